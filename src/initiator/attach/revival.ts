import { setTimeout as sleep } from 'node:timers/promises';
import { ask, type CommandTarget } from '../ask.ts';
import type { AttachmentReport } from '../messages.ts';
import type { LastingDevices, ServedVolume, Survivor } from './backend.ts';

const RETRY_MS = 5_000;

interface Underway {
  readonly abort: AbortController;
  readonly done: Promise<void>;
  trouble: string;
}

/**
 * Brings back the volumes of devices that an earlier initiator has left alive: looks for each one's target, for as long as that takes,
 * and hands it to its device when it is the disk that it was.
 */
export class Revival {
  readonly #dataPath: CommandTarget;
  readonly #notice: (kind: string, target: string, text: string) => void;
  readonly #underway = new Map<string, Underway>();

  constructor(dataPath: CommandTarget, notice: (kind: string, target: string, text: string) => void) {
    this.#dataPath = dataPath;
    this.#notice = notice;
  }

  begin(survivor: Survivor, lasting: LastingDevices): void {
    const { name } = survivor.volume;
    const abort = new AbortController();
    const { promise: done, resolve } = Promise.withResolvers<void>();
    const underway = { abort, done, trouble: '' };
    this.#underway.set(name, underway);
    void this.#revive(survivor, lasting, underway).finally(() => {
      this.#underway.delete(name);
      resolve();
    });
  }

  /** Whether a volume is being brought back. */
  isUnderway(name: string): boolean {
    return this.#underway.has(name);
  }

  /** What keeps a volume from coming back; '' when nothing does. */
  trouble(name: string): string {
    return this.#underway.get(name)?.trouble ?? '';
  }

  /** Gives up on a volume that is to be detached. */
  async end(name: string): Promise<void> {
    const underway = this.#underway.get(name);
    if (underway === undefined) return;
    underway.abort.abort();
    await this.#giveBack(name);
    await underway.done;
  }

  /** Looks for nothing any more: the data path ends. The devices wait for the next initiator. */
  stop(): void {
    for (const { abort } of this.#underway.values()) abort.abort();
  }

  async #revive({ volume, device }: Survivor, lasting: LastingDevices, underway: Underway): Promise<void> {
    const { name, request } = volume;
    const { signal } = underway.abort;
    while (!signal.aborted) {
      try {
        const { attachment } = await ask(this.#dataPath, { op: 'attach', attach: request, isResumed: true }, 'attached');
        const difference = differenceOf(volume, attachment);
        if (difference === undefined) {
          if (!signal.aborted) lasting.resume({ volume, device });
          return;
        }
        await this.#giveBack(name);
        this.#say('identity-mismatch', name, underway, `${device} waits for the disk that it was made of: ${difference}`);
      } catch (error) {
        if (!signal.aborted) this.#say('nbd', name, underway, `${device} waits for its target: ${(error as Error).message}`);
      }
      await sleep(RETRY_MS, undefined, { signal }).catch(() => undefined);
    }
  }

  #say(kind: string, name: string, underway: Underway, text: string): void {
    if (underway.trouble !== text) this.#notice(kind, name, text);
    underway.trouble = text;
  }

  /** It may not be attached at all, or not any more. */
  async #giveBack(name: string): Promise<void> {
    await this.#dataPath.execute({ op: 'detach', name, force: true }).catch(() => undefined);
  }
}

/** Why what answers now is not the volume. A larger disk is: its device grows when somebody wants it to. */
function differenceOf(volume: ServedVolume, found: AttachmentReport): string | undefined {
  if (found.serial !== volume.serial || found.model !== volume.model) {
    return (
      `expected serial "${volume.serial}", model "${volume.model}"; ` +
      `${volume.name} has serial "${found.serial}", model "${found.model}" now`
    );
  }
  if (found.sectors >= volume.sectors) return undefined;
  return `expected ${volume.sectors} sectors; ${volume.name} has ${found.sectors} now`;
}
