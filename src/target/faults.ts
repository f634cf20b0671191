import {
  AOE_ERROR_DEVICE_UNAVAILABLE,
  ATA_ERROR_ABRT,
  ATA_ERROR_IDNF,
  ATA_ERROR_UNC,
  ATA_STATUS_DRDY,
  ATA_STATUS_ERR,
} from '../aoe/constants.ts';

/** An answer that a target gives instead of doing what it was asked for. */
export interface InjectedError {
  /** AoE error code, or 0 when the error is the disk's. */
  readonly aoeError: number;
  readonly status: number;
  readonly error: number;
}

const FAILED = ATA_STATUS_DRDY | ATA_STATUS_ERR;

/** Kinds of `--error P:kind`. */
export const INJECTED_ERRORS = {
  unc: { aoeError: 0, status: FAILED, error: ATA_ERROR_UNC },
  abrt: { aoeError: 0, status: FAILED, error: ATA_ERROR_ABRT },
  idnf: { aoeError: 0, status: FAILED, error: ATA_ERROR_IDNF },
  unavailable: { aoeError: AOE_ERROR_DEVICE_UNAVAILABLE, status: 0, error: 0 },
} as const satisfies Record<string, InjectedError>;

export type InjectedErrorKind = keyof typeof INJECTED_ERRORS;

/** What goes wrong on purpose. Probabilities are 0 to 1; everything left out does not happen. */
export interface FaultOptions {
  /** Requests wait this long before they are carried out, as in a slow network … */
  readonly delayMs?: number;
  /** … plus up to this much, so that they overtake each other. */
  readonly jitterMs?: number;
  /** Frames lost, on the way in and on the way out alike. */
  readonly loss?: number;
  /** Requests that arrive twice, and are carried out twice. */
  readonly duplicate?: number;
  /** ATA commands (IDENTIFY excepted) answered with an error. */
  readonly error?: number;
  readonly errorKind?: InjectedErrorKind;
  /** A slow disk, shared by all exports of a process: ATA commands but IDENTIFY take this long, one after another. */
  readonly slowMs?: number;
  /** Frames longer than this vanish in both directions, as in a switch with a smaller MTU. */
  readonly dropLargeBytes?: number;
  /** The same seed and the same traffic give the same faults. */
  readonly seed?: number;
}

/**
 * Decides, frame by frame, what goes wrong. Knows no frames, no clock and no sockets: whoever carries the frames asks it.
 * Every decision comes from one seeded generator, in the order of the questions.
 */
export class Faults {
  readonly #options: FaultOptions;
  readonly #error: InjectedError;
  #random: number;
  #busyUntilUs = 0;

  constructor(options: FaultOptions) {
    this.#options = options;
    this.#error = INJECTED_ERRORS[options.errorKind ?? 'unc'];
    // Spread, because xorshift begins with small numbers when its seed is one; never 0, where it would stay.
    this.#random = Math.imul(options.seed ?? 1, 0x9e37_79b1) | 1;
  }

  /** Requests may have to wait: whoever carries them needs memory for those. */
  get holds(): boolean {
    const { delayMs = 0, jitterMs = 0, slowMs = 0 } = this.#options;
    return delayMs + jitterMs + slowMs > 0;
  }

  /** A frame of this length, with its Ethernet header, is lost in the network. */
  loses(length: number): boolean {
    const { dropLargeBytes = Infinity, loss = 0 } = this.#options;
    return length > dropLargeBytes || this.#happens(loss);
  }

  /** This request arrives a second time. */
  duplicates(): boolean {
    return this.#happens(this.#options.duplicate ?? 0);
  }

  /** When a request that arrives now is carried out. `isSlow`: it is the slow disk's turn. */
  dueUs(nowUs: number, isSlow: boolean): number {
    const { delayMs = 0, jitterMs = 0, slowMs = 0 } = this.#options;
    const jitterUs = jitterMs === 0 ? 0 : this.#next() * jitterMs * 1000;
    const arrivesUs = nowUs + delayMs * 1000 + jitterUs;
    if (!isSlow || slowMs === 0) return arrivesUs;
    this.#busyUntilUs = Math.max(this.#busyUntilUs, arrivesUs) + slowMs * 1000;
    return this.#busyUntilUs;
  }

  /** The error to answer an ATA command with, if this is one of those. */
  nextError(): InjectedError | undefined {
    return this.#happens(this.#options.error ?? 0) ? this.#error : undefined;
  }

  #happens(probability: number): boolean {
    return probability > 0 && this.#next() < probability;
  }

  /** A number in [0, 1): Marsaglia's xorshift with 32 bits of state, plenty for dropping frames. */
  #next(): number {
    let state = this.#random;
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    this.#random = state;
    return (state >>> 0) / 0x1_0000_0000;
  }
}
