import { RpcError } from '../../rpc/status.ts';
import { ask, type CommandTarget } from '../ask.ts';
import type { AttachmentReport, AttachRequest } from '../messages.ts';
import type { Quarantine } from '../quarantine.ts';

/** Volumes that wait for their targets to answer. */
export class Openings {
  readonly #dataPath: CommandTarget;
  readonly #quarantine: Quarantine;
  readonly #waiting = new Map<string, AbortController>();

  /** @param quarantine passed before a volume is used */
  constructor(dataPath: CommandTarget, quarantine: Quarantine) {
    this.#dataPath = dataPath;
    this.#quarantine = quarantine;
  }

  /** Ends what waits for a target, or for any. */
  giveUp(reason: RpcError, name?: string): void {
    for (const [each, controller] of this.#waiting) if (name === undefined || each === name) controller.abort(reason);
  }

  /** Waits for the target. When that is given up, the data path tells what it waited for. */
  async open(name: string, request: AttachRequest, signal: AbortSignal): Promise<AttachmentReport> {
    const dataPath = this.#dataPath;
    const controller = new AbortController();
    this.#waiting.set(name, controller);
    const given = AbortSignal.any([signal, controller.signal]);
    const giveUp = (): void => {
      // It may have ended in this moment: then there is nothing to detach.
      dataPath.execute({ op: 'detach', name, force: true }).catch(() => undefined);
    };
    given.addEventListener('abort', giveUp);
    let hints = quarantineHints;
    try {
      await this.#quarantine.end(given);
      hints = this.#hints.bind(this);
      const { attachment } = await ask(dataPath, { op: 'attach', attach: request }, 'attached');
      given.throwIfAborted();
      return attachment;
    } catch (error) {
      throw given.aborted ? givenUp(error, given.reason, await hints()) : error;
    } finally {
      given.removeEventListener('abort', giveUp);
      this.#waiting.delete(name);
    }
  }

  /** What to look at when a target has not answered: interfaces that can't be used, or else the target itself. */
  async #hints(): Promise<string[]> {
    const { interfaces } = await ask(this.#dataPath, { op: 'listInterfaces' }, 'interfaces');
    const unused = interfaces.filter(({ state }) => state !== 'up');
    if (unused.length > 0) return unused.map((each) => `interface ${each.name} is ${each.state}: ${each.reason}`);
    const names = interfaces.map(({ name }) => name).join(', ');
    return [`check that it is switched on and on the same network as ${names}`];
  }
}

/** The target has not even been looked for. */
async function quarantineHints(): Promise<string[]> {
  return Promise.resolve(['what an initiator before this one has sent may still be on its way, or that one has not ended yet']);
}

/** What was waited for, and why no longer. */
function givenUp(error: unknown, reason: unknown, hints: readonly string[]): RpcError {
  const { code, message } = reason as RpcError;
  const obstacle = error === reason ? [] : [(error as Error).message];
  return new RpcError(code, [...obstacle, ...hints, message].join('; '));
}
