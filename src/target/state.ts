import type { Mac } from '../aoe/address.ts';

/** What initiators leave with a target, and what makes it recognizable: it has to survive a restart. */
export interface DeviceState {
  /** Up to 20 characters; IDENTIFY shows it. */
  readonly serial: string;
  /** Opaque bytes, up to CONFIG_STRING_BYTES_MAX. */
  readonly configString: Uint8Array;
  /** MACs that may talk to the target at all; empty means everybody. */
  readonly mask: readonly Mac[];
  /** MACs that may send ATA commands; empty means everybody. */
  readonly reserved: readonly Mac[];
}

/** Entries of a mask or reserve list: the whole list then fits into a frame at MTU 1500, as does a config string. */
export const LIST_ENTRIES_MAX = 128;

/** Where a device's state is kept. */
export interface StateStore {
  /** The state as it was last saved, or the first one. */
  load(): DeviceState;
  /** Returns when the state is on stable storage: only then is the initiator told so. Throws an Error with what to do otherwise. */
  save(state: DeviceState): void;
}

/** State that a restart forgets, as vblade's: `--forget-state`, and tests. */
export class VolatileState implements StateStore {
  #state: DeviceState;

  constructor(serial: string, mask: readonly Mac[] = []) {
    this.#state = { serial, configString: new Uint8Array(0), mask, reserved: [] };
  }

  load(): DeviceState {
    return this.#state;
  }

  save(state: DeviceState): void {
    this.#state = state;
  }
}
