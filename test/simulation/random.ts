/**
 * Random numbers that come again with their seed: everything in a simulation that could be one way or another asks here, so that a
 * failure can be repeated. Bob Jenkins' small fast generator with 128 bits of state.
 */
export class Random {
  #a = 0xf1ea5eed;
  #b: number;
  #c: number;
  #d: number;

  constructor(seed: number) {
    this.#b = seed | 0;
    this.#c = Math.floor(seed / 0x1_0000_0000) | 0;
    this.#d = 0x2545f491;
    for (let round = 0; round < 20; round++) this.bits();
  }

  /** 32 random bits as a signed number. */
  bits(): number {
    const e = (this.#a - ((this.#b << 27) | (this.#b >>> 5))) | 0;
    this.#a = this.#b ^ ((this.#c << 17) | (this.#c >>> 15));
    this.#b = (this.#c + this.#d) | 0;
    this.#c = (this.#d + e) | 0;
    this.#d = (e + this.#a) | 0;
    return this.#d;
  }

  /** In [0, 1). */
  next(): number {
    return (this.bits() >>> 0) / 0x1_0000_0000;
  }

  /** True this often. */
  chance(probability: number): boolean {
    return probability > 0 && this.next() < probability;
  }

  /** A whole number from `low` to `high`, both included. */
  integer(low: number, high: number): number {
    return low + Math.floor(this.next() * (high - low + 1));
  }

  /** A number between `low` and `high` that is as often below as above their geometric mean: for times and sizes. */
  logarithmic(low: number, high: number): number {
    return Math.round(low * (high / low) ** this.next());
  }

  pick<T>(choices: readonly T[]): T {
    return choices[this.integer(0, choices.length - 1)];
  }

  /** One of the choices, each as often as its weight says. */
  weighted<T extends { readonly weight: number }>(choices: readonly T[]): T {
    let left = this.next() * choices.reduce((sum, { weight }) => sum + weight, 0);
    return choices.find(({ weight }) => (left -= weight) < 0) ?? choices[choices.length - 1];
  }
}
