import { setTimeout as sleep } from 'node:timers/promises';
import { ask, type CommandTarget } from '../ask.ts';
import { TARGET_FENCED, TARGET_UP } from '../../aoe/target.ts';
import type { LastingDevices, Survivor } from './backend.ts';

const RETRY_MS = 5_000;

interface Underway {
  readonly abort: AbortController;
  readonly done: Promise<void>;
  trouble: string;
}

/**
 * Brings back the volumes of devices that an earlier initiator has left alive: looks for each one's target, for as long as that takes,
 * and hands it to its device when it is the disk that it was; or when its I/O is to fail.
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
    const { name, request, serial, model, sectors } = volume;
    const command = { op: 'attach', attach: request, resumed: { serial, model, sectors } } as const;
    const { signal } = underway.abort;
    while (!signal.aborted) {
      try {
        const { state } = (await ask(this.#dataPath, command, 'attached')).attachment;
        if (!signal.aborted) lasting.resume({ volume, device }, state === TARGET_UP || state === TARGET_FENCED);
        return;
      } catch (error) {
        if (!signal.aborted) this.#say(name, underway, `${device} waits for its target: ${(error as Error).message}`);
      }
      await sleep(RETRY_MS, undefined, { signal }).catch(() => undefined);
    }
  }

  #say(name: string, underway: Underway, text: string): void {
    if (underway.trouble !== text) this.#notice('nbd', name, text);
    underway.trouble = text;
  }

  /** It may not be attached at all, or not any more. */
  async #giveBack(name: string): Promise<void> {
    await this.#dataPath.execute({ op: 'detach', name, force: true }).catch(() => undefined);
  }
}
