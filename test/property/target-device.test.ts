import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { SECTOR_BYTES } from '../../src/aoe/constants.ts';
import { ATA_DATA } from '../../src/aoe/layout.ts';
import { plainArena, type Arena } from '../../src/buffers/arena.ts';
import { MemoryBacking } from '../../src/target/backing-memory.ts';
import { TargetDevice } from '../../src/target/device.ts';
import { Faults } from '../../src/target/faults.ts';
import { SILENT_LOG } from '../../src/target/log.ts';
import { Call } from '../../src/target/reply.ts';
import { VolatileState } from '../../src/target/state.ts';

const REQUEST = 256;
const REPLY = 8192;
const REPLY_ROOM = 2048;
const ARENA_BYTES = REPLY + REPLY_ROOM + 256;

interface Setup {
  arena: Arena;
  device: TargetDevice;
  call: Call;
  backing: MemoryBacking;
}

/** `garbage` fills all memory: no answer may depend on it. */
function setUp(garbage: number): Setup {
  const arena = plainArena(ARENA_BYTES);
  arena.bytes.fill(garbage);
  const backing = new MemoryBacking(arena, 64);
  const state = new VolatileState('S');
  const device = new TargetDevice({
    address: { shelf: 1, slot: 1 },
    backing,
    state,
    log: SILENT_LOG,
    bufferCount: 4,
    firmware: '0',
  });
  const call = new Call(arena);
  call.port = { mac: 0x0200_0000_0001, sectorsPerFrame: 2 };
  call.request = REQUEST;
  call.reply = REPLY;
  return { arena, device, call, backing };
}

/** A request of any command with any argument, from one of two stations, addressed to the device. */
const requests = fc
  .tuple(
    fc.integer({ min: 0, max: 5 }),
    fc.boolean(),
    fc.constantFrom(0x10, 0x10, 0x10, 0x18, 0x20),
    fc.uint8Array({ maxLength: 1500 }),
  )
  .map(([command, isAlice, versionFlags, argument]) => {
    const header = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, isAlice ? 3 : 4, 0x88, 0xa2, versionFlags, 0, 0, 1, 1, command, 1, 2, 3, 4];
    return Uint8Array.from([...header, ...argument]);
  });

describe('TargetDevice', () => {
  test('answer() stays in its place and depends on nothing but the request when frames are arbitrary', () => {
    fc.assert(
      fc.property(fc.array(requests, { maxLength: 8 }), (frames) => {
        const setups = [setUp(0x00), setUp(0xa5)];
        for (const frame of frames) {
          const replies = setups.map(({ arena, device, call }) => {
            const garbage = arena.bytes[0];
            arena.bytes.fill(garbage);
            arena.bytes.set(frame, REQUEST);
            call.length = frame.length;
            const length = device.answer(call);
            expect(length).toBeLessThanOrEqual(REPLY_ROOM);
            const behind = REPLY + Math.max(length, ATA_DATA + 2 * SECTOR_BYTES);
            expect(Buffer.from(arena.bytes.subarray(behind)).equals(Buffer.alloc(ARENA_BYTES - behind, garbage))).toBe(true);
            return Buffer.from(arena.bytes.slice(REPLY, REPLY + length)).toString('hex');
          });
          expect(replies[0]).toBe(replies[1]);
        }
        expect(Buffer.from(setups[0].backing.content).equals(setups[1].backing.content)).toBe(true);
      }),
      { numRuns: 300 },
    );
  });
});

describe('Faults', () => {
  test('the same seed makes the same faults', () => {
    const options = { loss: 0.2, duplicate: 0.2, error: 0.2, delayMs: 1, jitterMs: 5, slowMs: 1 };
    fc.assert(
      fc.property(fc.nat(), (seed) => {
        const run = (): unknown[] => {
          const faults = new Faults({ ...options, seed });
          return Array.from({ length: 20 }, (_, at) => [
            faults.loses(60),
            faults.duplicates(),
            faults.dueUs(at * 1000, at % 2 === 0),
            faults.nextError(),
          ]);
        };
        expect(run()).toEqual(run());
      }),
    );
  });

  test('loses() happens about as often as it is asked to', () => {
    fc.assert(
      fc.property(fc.nat(), (seed) => {
        const faults = new Faults({ loss: 0.1, seed });
        let lost = 0;
        for (let frame = 0; frame < 2000; frame++) if (faults.loses(60)) lost++;
        expect(lost).toBeGreaterThan(100);
        expect(lost).toBeLessThan(320);
      }),
    );
  });

  test('nothing happens when nothing is asked for', () => {
    const faults = new Faults({});
    for (let frame = 0; frame < 100; frame++) {
      expect([faults.loses(9000), faults.duplicates(), faults.nextError(), faults.dueUs(7, true)]).toEqual([
        false,
        false,
        undefined,
        7,
      ]);
    }
    expect(faults.holds).toBe(false);
  });

  test('loses() drops frames beyond the limit only when they are longer', () => {
    const faults = new Faults({ dropLargeBytes: 1514 });
    expect([1514, 1515].map((length) => faults.loses(length))).toEqual([false, true]);
  });
});
