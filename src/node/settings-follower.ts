import { isDeepStrictEqual } from 'node:util';
import type { Logger } from '../logging/logger.ts';
import { addressOf, findVolume, settingsFor } from './staging/known-volume.ts';
import { isVolumeError } from '../volumes/errors.ts';
import type { KeyedLock } from '../volumes/keyed-lock.ts';
import type { NodeParts } from './node-parts.ts';
import { attachSettings } from './staging/attach-settings.ts';

/** An operation on the volume that goes on longer than this applies the settings itself, or is followed by another change. */
const PATIENCE_MS = 60_000;
/** What could not be applied, because the initiator is away, say, is tried again: nobody says it twice. */
const RETRY_MS = 2_000;
/** The same where a person has something to do first. */
const LATER_MS = 60_000;

/** Applies changed volume parameters (ControllerModifyVolume) to volumes in use here, without detaching them. */
export class SettingsFollower {
  readonly #parts: NodeParts;
  readonly #lock: KeyedLock;
  readonly #logger: Logger;
  /** By address. */
  readonly #retries = new Map<string, NodeJS.Timeout>();
  /** What was last complained about, by address: said once. */
  readonly #complaints = new Map<string, string>();
  #isStopped = false;
  #stop: () => void = () => undefined;

  constructor(parts: NodeParts, lock: KeyedLock, logger: Logger) {
    this.#parts = parts;
    this.#lock = lock;
    this.#logger = logger.with({ component: 'settings' });
  }

  start(): void {
    this.#stop = this.#parts.store.targets.watch((addresses) => void this.#followAll(addresses));
    void this.#followAll(this.#parts.state.list().map(({ address }) => address));
  }

  stop(): void {
    this.#isStopped = true;
    this.#stop();
    for (const timer of this.#retries.values()) clearTimeout(timer);
  }

  async #followAll(addresses: readonly string[]): Promise<void> {
    for (const address of addresses) {
      try {
        if (await this.#differs(address)) await this.#follow(address);
        this.#complaints.delete(address);
      } catch (error) {
        this.#tryAgain(address, error as Error);
      }
    }
  }

  #tryAgain(address: string, error: Error): void {
    const { message } = error;
    if (this.#complaints.get(address) !== message) {
      this.#logger.warn(`changed parameters of ${address} are not applied yet: ${message}; trying again`, { target: address });
    }
    this.#complaints.set(address, message);
    clearTimeout(this.#retries.get(address));
    if (this.#isStopped) return;
    const waitMs = mayPass(error) ? RETRY_MS : LATER_MS;
    this.#retries.set(
      address,
      setTimeout(() => void this.#followAll([address]), waitMs),
    );
  }

  async #differs(address: string): Promise<boolean> {
    const wanted = await this.#wanted(address);
    return wanted !== undefined && !isDeepStrictEqual(wanted.attach, wanted.staged.attach);
  }

  async #follow(address: string): Promise<void> {
    const { initiator, state } = this.#parts;
    await this.#lock.runWhenFree(`volume ${address}`, AbortSignal.timeout(PATIENCE_MS), async () => {
      const wanted = await this.#wanted(address);
      if (wanted === undefined || isDeepStrictEqual(wanted.attach, wanted.staged.attach)) return;
      await initiator.modify(address, wanted.attach);
      await state.save({ ...wanted.staged, attach: wanted.attach });
      this.#logger.info(`changed parameters of ${wanted.staged.volumeId} are in use`, { target: address });
    });
  }

  async #wanted(address: string) {
    const { initiator, state, store } = this.#parts;
    const staged = state.get(address);
    if (staged?.phase !== 'staged' || addressOf(staged.volumeId) !== address) return undefined;
    const volume = await findVolume(store, staged.volumeId);
    // What a person wrote into a PersistentVolume does not change.
    if (volume.claim === undefined) return undefined;
    const attach = await attachSettings(initiator, address, settingsFor(volume, {}), staged.attach.readOnly);
    return { staged, attach };
  }
}

function mayPass(error: Error): boolean {
  return !isVolumeError(error) || error.code === 'unavailable' || error.code === 'aborted';
}
