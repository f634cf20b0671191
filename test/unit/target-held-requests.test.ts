import { describe, expect, test } from '@jest/globals';
import { ArenaPlan, plainArena } from '../../src/buffers/arena.ts';
import { HeldRequests, NO_DEVICE } from '../../src/target/held-requests.ts';

const SLOT_BYTES = 64;

function held(devices: number, bufferCount: number): { requests: HeldRequests; bytes: Uint8Array } {
  const plan = new ArenaPlan();
  const incoming = plan.reserve(SLOT_BYTES);
  const base = HeldRequests.reserve(plan, devices * bufferCount, SLOT_BYTES);
  const arena = plainArena(plan.sizeBytes);
  expect(incoming).toBe(0);
  return { requests: new HeldRequests(arena, base, devices, bufferCount, SLOT_BYTES), bytes: arena.bytes };
}

/** Times of everything that is due, in the order in which it is taken. */
function drain(requests: HeldRequests, bytes: Uint8Array, nowUs: number): number[] {
  const marks: number[] = [];
  for (let slot = requests.take(nowUs); slot !== undefined; slot = requests.take(nowUs)) {
    marks.push(bytes[requests.offset(slot)]);
    requests.release(slot);
  }
  return marks;
}

describe('HeldRequests', () => {
  test('take() gives frames in the order of their time, equal times in the order of arrival', () => {
    const { requests, bytes } = held(1, 8);
    for (const [mark, dueUs] of [
      [1, 50],
      [2, 10],
      [3, 50],
      [4, 30],
      [5, 10],
    ]) {
      bytes[0] = mark;
      expect(requests.hold(0, 1, 0, 0, dueUs)).toBe(true);
    }
    expect(requests.nextUs).toBe(10);
    expect(drain(requests, bytes, 9)).toEqual([]);
    expect(drain(requests, bytes, 30)).toEqual([2, 5, 4]);
    expect(drain(requests, bytes, 50)).toEqual([1, 3]);
    expect(requests.nextUs).toBe(Infinity);
  });

  test('hold() keeps a copy with its length and port', () => {
    const { requests, bytes } = held(1, 2);
    bytes.set([7, 8, 9], 0);
    requests.hold(0, 3, 5, 0, 1);
    bytes.fill(0, 0, SLOT_BYTES);
    const slot = requests.take(1);
    expect(slot).toBeDefined();
    const offset = requests.offset(slot!);
    expect([...bytes.subarray(offset, offset + 3), requests.length(slot!), requests.port(slot!)]).toEqual([7, 8, 9, 3, 5]);
  });

  test('hold() refuses when a device has its buffer count, until one of its frames is released', () => {
    const { requests } = held(2, 2);
    expect([0, 0, 0].map(() => requests.hold(0, 1, 0, 0, 1))).toEqual([true, true, false]);
    expect(requests.hold(0, 1, 0, 1, 1)).toBe(true);
    const slot = requests.take(1)!;
    expect(requests.hold(0, 1, 0, 0, 1)).toBe(false);
    requests.release(slot);
    expect(requests.hold(0, 1, 0, 0, 1)).toBe(true);
  });

  test('hold() refuses wildcards when no slot is free', () => {
    const { requests } = held(1, 2);
    expect([0, 0, 0].map(() => requests.hold(0, 1, 0, NO_DEVICE, 1))).toEqual([true, true, false]);
  });
});
