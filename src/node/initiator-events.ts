import { setTimeout as sleep } from 'node:timers/promises';
import type { EventMessage } from '../initiator/control-messages.ts';
import type { InitiatorClient } from './initiator-client.ts';

const RECONNECT_MS = 1_000;

/**
 * Calls back for what happens to targets and interfaces, until aborted. What happens while the initiator restarts is not told:
 * who has to know all looks now and then, too. Never rejects.
 */
export async function followEvents(
  initiator: InitiatorClient,
  signal: AbortSignal,
  onEvent: (event: EventMessage) => void,
): Promise<void> {
  while (!signal.aborted) {
    try {
      for await (const event of initiator.events(signal)) onEvent(event);
    } catch {
      // Whoever asks the initiator anything is told what is wrong with it.
    }
    await sleep(RECONNECT_MS, undefined, { signal }).catch(() => undefined);
  }
}
