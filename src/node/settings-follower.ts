import { isDeepStrictEqual } from 'node:util';
import type { Logger } from '../logging/logger.ts';
import { addressOf, findVolume, settingsFor } from './staging/known-volume.ts';
import type { KeyedLock } from '../volumes/keyed-lock.ts';
import type { NodeParts } from './node-parts.ts';
import { attachSettings } from './staging/attach-settings.ts';

/** An operation on the volume that goes on longer than this applies the settings itself, or is followed by another change. */
const PATIENCE_MS = 60_000;

/** Applies changed volume parameters (ControllerModifyVolume) to volumes in use here, without detaching them. */
export class SettingsFollower {
  readonly #parts: NodeParts;
  readonly #lock: KeyedLock;
  readonly #logger: Logger;
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
    this.#stop();
  }

  async #followAll(addresses: readonly string[]): Promise<void> {
    for (const address of addresses) {
      try {
        if (await this.#differs(address)) await this.#follow(address);
      } catch (error) {
        this.#logger.warn(`changed parameters of ${address} were not applied: ${(error as Error).message}`, { target: address });
      }
    }
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
