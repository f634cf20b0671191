import { ATA_DATA } from '../../src/aoe/layout.ts';
import type { ReplyPlacement } from '../../src/aoe/core.ts';
import type { Arena } from '../../src/buffers/arena.ts';
import type { Frame } from './network.ts';
import type { Random } from './random.ts';

interface Expectation {
  readonly copy: number;
  readonly offset: number;
  readonly length: number;
}

/**
 * Plays the receive ring of a packet socket whose kernel writes the data of answers straight to where the next answer is expected:
 * it can't know which answer comes next, so data lands where it belongs, or where another answer is still waited for. The engine
 * must cope with both, and must withdraw a place before its memory is somebody else's.
 */
export class RandomPlacement implements ReplyPlacement {
  readonly #arena: Arena;
  readonly #random: Random;
  readonly #expectations: Expectation[] = [];
  readonly #index = new Map<number, number>();
  /** How often an answer's data is placed, rather than received into the ring's own memory. */
  readonly #share: number;
  /** False in a mutation that shows what withdrawing is good for. */
  readonly #withdraws: boolean;
  placed = 0;

  constructor(arena: Arena, random: Random, share: number, withdraws: boolean) {
    this.#arena = arena;
    this.#random = random;
    this.#share = share;
    this.#withdraws = withdraws;
  }

  get waiting(): number {
    return this.#expectations.length;
  }

  /** A read has been sent; its data may from now on be written to `offset`. */
  expect(copy: number, offset: number, length: number): void {
    this.#remove(copy);
    this.#index.set(copy, this.#expectations.length);
    this.#expectations.push({ copy, offset, length });
  }

  withdraw(copy: number): void {
    if (this.#withdraws) this.#remove(copy);
  }

  /** Writes a frame's data to some place where data is waited for; answers where, or undefined when it stays in the ring. */
  place(frame: Frame): number | undefined {
    const size = frame.length - ATA_DATA;
    if (size <= 0 || this.#expectations.length === 0 || !this.#random.chance(this.#share)) return undefined;
    const { offset, length } = this.#random.pick(this.#expectations);
    if (length < size) return undefined;
    this.#arena.bytes.set(frame.subarray(ATA_DATA), offset);
    this.placed++;
    return offset;
  }

  #remove(copy: number): void {
    const index = this.#index.get(copy);
    if (index === undefined) return;
    this.#index.delete(copy);
    const last = this.#expectations.pop();
    if (last === undefined || last.copy === copy) return;
    this.#expectations[index] = last;
    this.#index.set(last.copy, index);
  }
}
