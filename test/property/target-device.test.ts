import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { COMMAND_ATA, FLAG_ERROR, SECTOR_BYTES } from '../../src/aoe/constants.ts';
import { ATA_COMMAND, ATA_DATA, COMMAND, ERROR, VERSION_FLAGS } from '../../src/aoe/layout.ts';
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
  state.save({ ...state.load(), configString: Uint8Array.of(7) });
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

/** Arguments as they come: any bytes, cut anywhere. fast-check makes long ones only when told so. */
const anything = fc.uint8Array({ maxLength: 1200, size: 'max' });
/** ATA arguments that get far: known opcodes, counts and addresses around the limits, data that may be missing. */
const ataArguments = fc
  .tuple(
    fc.constantFrom(0x06, 0x20, 0x24, 0x30, 0x34, 0xe5, 0xe7, 0xea, 0xec),
    fc.nat(3),
    fc.nat(1),
    fc.oneof(fc.nat(66), fc.nat(255)),
    fc.uint8Array({ maxLength: 1100, size: 'max' }),
  )
  .map(([opcode, count, feature, lba, data]) =>
    Uint8Array.from([0x40, feature, count, opcode, lba, 0, 0, 0, 0, 0, 0, 0, ...data]),
  );

/** Config arguments with strings that may be equal, prefixes of each other, or cut off. */
const configArguments = fc
  .tuple(fc.nat(5), fc.nat(3), fc.nat(3))
  .map(([command, length, there]) =>
    Uint8Array.from([0, 0, 0, 0, 0, 0x10 | command, 0, length, ...new Uint8Array(there).fill(7)]),
  );

/** Reserve arguments for one of the two stations. */
const reserveArguments = fc.tuple(fc.nat(3), fc.nat(1), fc.constantFrom(3, 4)).map(([command, count, station]) => {
  return Uint8Array.from([command, count, 2, 0, 0, 0, 0, station]);
});

/** A request of any command, from one of two stations, addressed to the device. */
const requests = fc
  .tuple(
    fc.boolean(),
    fc.constantFrom(0x10, 0x10, 0x10, 0x10, 0x18, 0x20),
    fc.oneof(
      fc.tuple(fc.constant(0), ataArguments),
      fc.tuple(fc.constant(1), configArguments),
      fc.tuple(fc.constant(3), reserveArguments),
      fc.tuple(fc.integer({ min: 0, max: 5 }), anything),
      fc.tuple(fc.integer({ min: 1, max: 3 }), fc.uint8Array({ maxLength: 24, max: 2 })),
    ),
  )
  .map(([isAlice, versionFlags, [command, argument]]) => {
    const header = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, isAlice ? 3 : 4, 0x88, 0xa2, versionFlags, 0, 0, 1, 1, command, 1, 2, 3, 4];
    return Uint8Array.from([...header, ...argument]);
  });

/** What kind of answer it was, to see that the generator reaches all of them. */
function kindOf(reply: Uint8Array): string {
  if (reply.length === 0) return 'silence';
  const command = reply[COMMAND];
  if ((reply[VERSION_FLAGS] & FLAG_ERROR) !== 0) return `AoE error ${reply[ERROR]}`;
  return command === COMMAND_ATA ? `ATA status ${reply[ATA_COMMAND]}` : `command ${command}`;
}

describe('TargetDevice', () => {
  test('answer() stays in its place and depends on nothing but the request when frames are arbitrary', () => {
    const kinds = new Set<string>();
    fc.assert(
      fc.property(fc.array(requests, { maxLength: 8, size: 'max' }), (frames) => {
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
            const reply = arena.bytes.slice(REPLY, REPLY + length);
            kinds.add(kindOf(reply));
            return Buffer.from(reply).toString('hex');
          });
          expect(replies[0]).toBe(replies[1]);
        }
        expect(Buffer.from(setups[0].backing.content).equals(setups[1].backing.content)).toBe(true);
      }),
      { numRuns: 500 },
    );
    const errors = [1, 2, 4, 5, 6].map((error) => `AoE error ${error}`);
    const answers = ['ATA status 64', 'ATA status 65', 'command 1', 'command 2', 'command 3', 'silence'];
    expect(kinds).toEqual(new Set([...errors, ...answers]));
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
