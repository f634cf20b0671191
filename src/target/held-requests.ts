import type { Arena, ArenaPlan } from '../buffers/arena.ts';

/** Requests for no single device (wildcards) are held under this one. */
export const NO_DEVICE = -1;

/**
 * Requests that wait to be carried out: a target with `--delay` or `--slow`. Each is a copy of its frame in a slot. As in a
 * real target the room is limited, per device to the buffer count it advertises, and what finds none is dropped in silence.
 */
export class HeldRequests {
  readonly capacity: number;
  readonly #arena: Arena;
  readonly #base: number;
  readonly #slotBytes: number;
  readonly #perDeviceMax: number;
  readonly #held: Int32Array;
  readonly #free: number[] = [];
  /** Slots in the order of their time; equal times in the order of arrival. */
  readonly #order: number[] = [];
  readonly #dueUs: Float64Array;
  readonly #length: Int32Array;
  readonly #port: Int32Array;
  readonly #device: Int32Array;

  /** Reserves the slots in an arena; the offset goes to the constructor. */
  static reserve(plan: ArenaPlan, capacity: number, slotBytes: number): number {
    return plan.reserve(capacity * slotBytes);
  }

  constructor(arena: Arena, base: number, devices: number, bufferCount: number, slotBytes: number) {
    this.capacity = devices * bufferCount;
    this.#arena = arena;
    this.#base = base;
    this.#slotBytes = slotBytes;
    this.#perDeviceMax = bufferCount;
    this.#held = new Int32Array(devices);
    this.#dueUs = new Float64Array(this.capacity);
    this.#length = new Int32Array(this.capacity);
    this.#port = new Int32Array(this.capacity);
    this.#device = new Int32Array(this.capacity);
    for (let slot = this.capacity - 1; slot >= 0; slot--) this.#free.push(slot);
  }

  /** When the next one is due; Infinity without any. */
  get nextUs(): number {
    return this.#order.length === 0 ? Infinity : this.#dueUs[this.#order[0]];
  }

  /** Copies a frame. False when there is no room: the frame is lost. */
  hold(offset: number, length: number, port: number, device: number, dueUs: number): boolean {
    if (device !== NO_DEVICE && this.#held[device] === this.#perDeviceMax) return false;
    const slot = this.#free.pop();
    if (slot === undefined) return false;
    if (device !== NO_DEVICE) this.#held[device]++;
    this.#arena.bytes.copyWithin(this.offset(slot), offset, offset + length);
    this.#dueUs[slot] = dueUs;
    this.#length[slot] = length;
    this.#port[slot] = port;
    this.#device[slot] = device;
    let at = this.#order.length;
    while (at > 0 && this.#dueUs[this.#order[at - 1]] > dueUs) at--;
    this.#order.splice(at, 0, slot);
    return true;
  }

  /** Takes the next one that is due by `nowUs`; undefined when there is none. Its frame stays until `release`. */
  take(nowUs: number): number | undefined {
    return this.nextUs <= nowUs ? this.#order.shift() : undefined;
  }

  offset(slot: number): number {
    return this.#base + slot * this.#slotBytes;
  }

  length(slot: number): number {
    return this.#length[slot];
  }

  port(slot: number): number {
    return this.#port[slot];
  }

  release(slot: number): void {
    const device = this.#device[slot];
    if (device !== NO_DEVICE) this.#held[device]--;
    this.#free.push(slot);
  }
}
