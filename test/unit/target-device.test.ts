import { beforeEach, describe, expect, test } from '@jest/globals';
import { parseMac, type Mac } from '../../src/aoe/address.ts';
import {
  AtaResponse,
  readAtaResponse,
  writeAtaArgument,
  writeFlushRequest,
  writeIdentifyRequest,
  writeReadRequest,
  writeTrimRange,
  writeTrimRequest,
  writeWriteRequest,
} from '../../src/aoe/ata.ts';
import { readConfigResponse, writeConfigRequest } from '../../src/aoe/config.ts';
import {
  AOE_ERROR_BAD_ARGUMENT,
  AOE_ERROR_BAD_COMMAND,
  AOE_ERROR_BAD_VERSION,
  AOE_ERROR_CONFIG_PRESENT,
  AOE_ERROR_DEVICE_UNAVAILABLE,
  AOE_ERROR_RESERVED,
  ATA_CHECK_POWER_MODE,
  COMMAND_ATA,
  COMMAND_CONFIG,
  COMMAND_MASK,
  COMMAND_RESERVE,
  CONFIG_FORCE_SET,
  CONFIG_READ,
  CONFIG_SET,
  CONFIG_TEST,
  CONFIG_TEST_PREFIX,
  FLAG_ERROR,
  MASK_DIRECTIVE_ADD,
  MASK_DIRECTIVE_DELETE,
  MASK_DIRECTIVE_NONE,
  RESERVE_FORCE_SET,
  RESERVE_READ,
  RESERVE_SET,
  SHELF_BROADCAST,
  SLOT_BROADCAST,
} from '../../src/aoe/constants.ts';
import { checkResponse, FRAME_OK, writeCommon, writeEthernet } from '../../src/aoe/header.ts';
import { decodeIdentify, type Identity } from '../../src/aoe/identify.ts';
import { ATA_COUNT, ATA_DATA, ERROR, TAG, VERSION_FLAGS } from '../../src/aoe/layout.ts';
import { readMask, writeMaskEdit, writeMaskRead, type MaskMessage } from '../../src/aoe/mask.ts';
import { readReserve, writeReserve, type ReserveMessage } from '../../src/aoe/reserve.ts';
import { plainArena } from '../../src/buffers/arena.ts';
import { MemoryBacking } from '../../src/target/backing-memory.ts';
import { TargetDevice } from '../../src/target/device.ts';
import { SILENT_LOG, type TargetLog } from '../../src/target/log.ts';
import { Call, SILENCE } from '../../src/target/reply.ts';
import { VolatileState, type DeviceState, type StateStore } from '../../src/target/state.ts';

const REQUEST = 64;
const REPLY = 16_384;
const TARGET_MAC = parseMac('02:00:00:00:00:aa');
const ALICE = parseMac('02:00:00:00:00:01');
const BOB = parseMac('02:00:00:00:00:02');
const SECTORS = 1000;
const TAG_SENT = 0x8123_4567;

/** A device in memory with an initiator's hands on it: writes requests, reads replies. */
class Bench {
  readonly arena = plainArena(32_768);
  readonly backing: MemoryBacking;
  readonly store: StateStore;
  readonly logged: string[] = [];
  readonly call = new Call(this.arena);
  device: TargetDevice;

  constructor(options: { backing?: (bench: Bench) => MemoryBacking; store?: StateStore } = {}) {
    this.backing = options.backing?.(this) ?? new MemoryBacking(this.arena, SECTORS);
    this.store = options.store ?? new VolatileState('SERIAL');
    this.device = this.#makeDevice();
  }

  #makeDevice(): TargetDevice {
    const note = (message: string): void => void this.logged.push(message);
    const log: TargetLog = { info: note, warn: note, error: note };
    const { backing, store: state } = this;
    return new TargetDevice({ address: { shelf: 10, slot: 3 }, backing, state, log, bufferCount: 16, firmware: '0.1.0' });
  }

  restart(): void {
    this.device = this.#makeDevice();
  }

  /** Sends what `write` put behind the header; returns the reply's length. */
  send(command: number, write: (view: DataView) => number | void, source: Mac = ALICE, shelf = 10, slot = 3): number {
    const { view, bytes } = this.arena;
    bytes.fill(0xee); // What is not written must not be sent.
    writeEthernet(view, REQUEST, TARGET_MAC, source);
    writeCommon(view, REQUEST, 0x10, 0, shelf, slot, command, TAG_SENT);
    const length = write(view) ?? ATA_DATA;
    return this.answer(length);
  }

  answer(length: number): number {
    this.call.request = REQUEST;
    this.call.length = length;
    this.call.reply = REPLY;
    this.call.port = { mac: TARGET_MAC, sectorsPerFrame: 2 };
    if (!this.device.isAddressedBy(this.arena.view, REQUEST)) return SILENCE;
    const replyLength = this.device.answer(this.call);
    if (replyLength !== SILENCE) {
      expect(checkResponse(this.arena.view, REPLY, replyLength)).toBe(FRAME_OK);
      expect(this.arena.view.getUint32(REPLY + TAG)).toBe(TAG_SENT);
      expect(replyLength).toBeGreaterThanOrEqual(60);
    }
    return replyLength;
  }

  /** AoE error of the last reply; 0 when it has none. */
  get error(): number {
    const isError = (this.arena.view.getUint8(REPLY + VERSION_FLAGS) & FLAG_ERROR) !== 0;
    return isError ? this.arena.view.getUint8(REPLY + ERROR) : 0;
  }

  ata(write: (view: DataView) => number | void, source: Mac = ALICE): AtaResponse & { aoeError: number } {
    const length = this.send(COMMAND_ATA, write, source);
    expect(length).not.toBe(SILENCE);
    const response = new AtaResponse();
    readAtaResponse(this.arena.view, REPLY, length, response);
    return Object.assign(response, { aoeError: this.error });
  }

  read(lba: number, sectors: number, source: Mac = ALICE): AtaResponse & { aoeError: number } {
    return this.ata((view) => writeReadRequest(view, REQUEST, lba, sectors, true), source);
  }

  write(lba: number, data: Uint8Array, source: Mac = ALICE, sectors = data.length / 512): AtaResponse & { aoeError: number } {
    const put = (view: DataView): number => {
      writeWriteRequest(view, REQUEST, lba, sectors, true);
      this.arena.bytes.set(data, REQUEST + ATA_DATA);
      return ATA_DATA + data.length;
    };
    return this.ata(put, source);
  }

  trim(ranges: readonly (readonly [lba: number, sectors: number])[], blocks = 1): AtaResponse & { aoeError: number } {
    return this.ata((view) => {
      writeTrimRequest(view, REQUEST, blocks);
      this.arena.bytes.fill(0, REQUEST + ATA_DATA, REQUEST + ATA_DATA + blocks * 512);
      ranges.forEach(([lba, sectors], index) => writeTrimRange(view, REQUEST + ATA_DATA, index, lba, sectors));
      return ATA_DATA + blocks * 512;
    });
  }

  identify(source: Mac = ALICE): Identity | undefined {
    const { dataLength } = this.ata((view) => writeIdentifyRequest(view, REQUEST), source);
    return decodeIdentify(this.arena.view, REPLY + ATA_DATA, dataLength);
  }

  /** The answer to a config command: its string, `silence`, or an error with the string that stands. */
  config(command: number, text = '', source: Mac = ALICE): string {
    const string = new Uint8Array(Buffer.from(text));
    const length = this.send(COMMAND_CONFIG, (view) => writeConfigRequest(view, REQUEST, command, string), source);
    if (length === SILENCE) return 'silence';
    const response = readConfigResponse(this.arena.view, REPLY, length);
    const stands = Buffer.from(response?.string ?? []).toString();
    return this.error === 0 ? stands : `error ${this.error}: ${stands}`;
  }

  mask(directives?: readonly (readonly [directive: number, mac: Mac])[], source: Mac = ALICE): MaskMessage | undefined {
    const edits = directives?.map(([directive, mac]) => ({ directive, mac }));
    const length = this.send(
      COMMAND_MASK,
      (view) => (edits === undefined ? writeMaskRead(view, REQUEST) : writeMaskEdit(view, REQUEST, edits)),
      source,
    );
    return length === SILENCE ? undefined : readMask(this.arena.view, REPLY, length);
  }

  reserve(command: number, macs: readonly Mac[], source: Mac = ALICE): (ReserveMessage & { error: number }) | undefined {
    const length = this.send(COMMAND_RESERVE, (view) => writeReserve(view, REQUEST, command, macs), source);
    const message = readReserve(this.arena.view, REPLY, length);
    return message === undefined ? undefined : { ...message, error: this.error };
  }
}

const OK = { status: 0x40, error: 0, aoeError: 0 };
const IDNF = { status: 0x41, error: 0x10, aoeError: 0 };
const ABRT = { status: 0x41, error: 0x04, aoeError: 0 };
const UNC = { status: 0x41, error: 0x40, aoeError: 0 };

let bench: Bench;
beforeEach(() => {
  bench = new Bench();
});

describe('ATA commands', () => {
  test('read returns what write stored', () => {
    const data = Uint8Array.from({ length: 1024 }, (_, index) => index % 251);
    expect(bench.write(998, data)).toMatchObject(OK);
    expect(bench.read(998, 2)).toMatchObject({ ...OK, dataLength: 1024 });
    expect(bench.arena.bytes.slice(REPLY + ATA_DATA, REPLY + ATA_DATA + 1024)).toEqual(data);
  });

  test("a write is acknowledged without any of the sender's bytes behind the header", () => {
    bench.write(0, new Uint8Array(512).fill(0xaa));
    expect([...bench.arena.bytes.subarray(REPLY + ATA_DATA, REPLY + 60)]).toEqual(new Array(24).fill(0));
  });

  test("reads and writes of no sectors succeed without data, as vblade's do", () => {
    expect(bench.read(0, 0)).toMatchObject({ ...OK, dataLength: 24 });
    expect(bench.write(0, new Uint8Array(0))).toMatchObject(OK);
  });

  test('IDNF is answered when any sector lies beyond the end', () => {
    expect(bench.read(1000, 1)).toMatchObject(IDNF);
    expect(bench.read(999, 2)).toMatchObject(IDNF);
    expect(bench.write(999, new Uint8Array(1024))).toMatchObject(IDNF);
    expect(bench.read(2 ** 48 - 1, 2)).toMatchObject(IDNF);
    expect(bench.backing.content.every((byte) => byte === 0)).toBe(true);
  });

  test('AoE error 2 is answered when the count exceeds the frame or the data is missing', () => {
    expect(bench.read(0, 3).aoeError).toBe(AOE_ERROR_BAD_ARGUMENT);
    expect(bench.write(0, new Uint8Array(1536)).aoeError).toBe(AOE_ERROR_BAD_ARGUMENT);
    expect(bench.write(0, new Uint8Array(512), ALICE, 2).aoeError).toBe(AOE_ERROR_BAD_ARGUMENT);
    expect(bench.ata((view) => writeAtaArgument(view, REQUEST, 0, 0, 2, 0xec, 0)).aoeError).toBe(AOE_ERROR_BAD_ARGUMENT);
  });

  test('28-bit opcodes work and 28 bits count', () => {
    expect(bench.ata((view) => writeReadRequest(view, REQUEST, 999, 1, false))).toMatchObject({ ...OK, dataLength: 512 });
    expect(bench.ata((view) => writeFlushRequest(view, REQUEST, false))).toMatchObject(OK);
  });

  test('unknown opcodes are aborted, CHECK POWER MODE says active', () => {
    expect(bench.ata((view) => writeAtaArgument(view, REQUEST, 0, 0xd0, 1, 0xb0, 0))).toMatchObject(ABRT);
    expect(bench.ata((view) => writeAtaArgument(view, REQUEST, 0, 0, 0, ATA_CHECK_POWER_MODE, 0))).toMatchObject(OK);
    expect(bench.arena.view.getUint8(REPLY + ATA_COUNT)).toBe(0xff);
  });

  test('IDENTIFY offers LBA48, FLUSH CACHE EXT and trim, with the serial from the state', () => {
    expect(bench.identify()).toEqual({
      serial: 'SERIAL',
      firmware: '0.1.0',
      model: 'aoe-csi target',
      sectors: SECTORS,
      lba48: true,
      flush: 'ext',
      trim: true,
      trimBlocksMax: 2,
      readZeroAfterTrim: true,
      physicalSectorBytes: 4096,
      logicalSectorBytes: 512,
      rotational: false,
    });
  });

  test('trim zeroes its ranges, and none of them when one lies beyond the end', () => {
    bench.backing.content.fill(1);
    expect(
      bench.trim([
        [0, 1],
        [999, 2],
      ]),
    ).toMatchObject(IDNF);
    expect(bench.backing.content.includes(0)).toBe(false);
    expect(
      bench.trim([
        [0, 1],
        [998, 2],
        [2 ** 40, 0],
      ]),
    ).toMatchObject(OK);
    expect(bench.backing.content.subarray(0, 512).includes(1)).toBe(false);
    expect(bench.backing.content.subarray(512, 998 * 512).includes(0)).toBe(false);
    expect(bench.backing.content.subarray(998 * 512).includes(1)).toBe(false);
  });

  test('trim is aborted when it is not trim, and refused when its blocks are not there', () => {
    expect(bench.ata((view) => (writeAtaArgument(view, REQUEST, 0x41, 0, 1, 0x06, 0), ATA_DATA + 512))).toMatchObject(ABRT);
    expect(bench.ata((view) => (writeTrimRequest(view, REQUEST, 2), ATA_DATA + 512)).aoeError).toBe(AOE_ERROR_BAD_ARGUMENT);
    expect(bench.trim([], 3).aoeError).toBe(AOE_ERROR_BAD_ARGUMENT);
  });

  test('a read-only target aborts writes and trims and offers no trim', () => {
    bench = new Bench({ backing: ({ arena }) => new MemoryBacking(arena, SECTORS, true) });
    expect(bench.write(0, new Uint8Array(512))).toMatchObject(ABRT);
    expect(bench.trim([[0, 1]])).toMatchObject(ABRT);
    expect(bench.read(0, 1)).toMatchObject(OK);
    expect(bench.identify()).toMatchObject({ trim: false });
  });
});

/** A disk that fails with `errno` while that is set. */
class FailingBacking extends MemoryBacking {
  errno = 0;

  override read(lba: number, sectors: number, offset: number): number {
    return this.errno === 0 ? super.read(lba, sectors, offset) : -this.errno;
  }

  override write(lba: number, sectors: number, offset: number): number {
    return this.errno === 0 ? super.write(lba, sectors, offset) : -this.errno;
  }

  override flush(): number {
    return -this.errno;
  }
}

describe('failing backing', () => {
  const failing = (): FailingBacking => bench.backing as FailingBacking;

  beforeEach(() => {
    bench = new Bench({ backing: ({ arena }) => new FailingBacking(arena, SECTORS) });
  });

  test('a write without space left is aborted, and logged once with what to do', () => {
    failing().errno = 28;
    expect(bench.write(8, new Uint8Array(512))).toMatchObject(ABRT);
    expect(bench.write(8, new Uint8Array(512))).toMatchObject(ABRT);
    expect(bench.logged).toEqual([
      'e10.3: cannot WRITE SECTORS EXT at sector 8 of memory: ENOSPC; its file system is full: make room there, initiators will try again',
    ]);
    failing().errno = 0;
    expect(bench.write(8, new Uint8Array(512))).toMatchObject(OK);
    expect(bench.logged[1]).toBe('e10.3: memory works again');
  });

  test('a read that fails is answered with UNC', () => {
    failing().errno = 5;
    expect(bench.read(0, 1)).toMatchObject(UNC);
  });

  test('a flush that failed once stays failed', () => {
    failing().errno = 5;
    expect(bench.ata((view) => writeFlushRequest(view, REQUEST, true))).toMatchObject(ABRT);
    failing().errno = 0;
    expect(bench.ata((view) => writeFlushRequest(view, REQUEST, true))).toMatchObject(ABRT);
    expect(bench.write(0, new Uint8Array(512))).toMatchObject(OK);
    expect(bench.ata((view) => writeFlushRequest(view, REQUEST, true))).toMatchObject(ABRT);
  });
});

describe('config string', () => {
  test('set succeeds when empty or identical, else answers error 4 with the string that stands', () => {
    expect(bench.config(CONFIG_READ)).toBe('');
    expect(bench.config(CONFIG_SET, 'mine')).toBe('mine');
    expect(bench.config(CONFIG_SET, 'mine', BOB)).toBe('mine');
    expect(bench.config(CONFIG_SET, 'yours', BOB)).toBe(`error ${AOE_ERROR_CONFIG_PRESENT}: mine`);
    expect(bench.config(CONFIG_READ)).toBe('mine');
  });

  test('test and test prefix answer only when they match', () => {
    bench.config(CONFIG_SET, 'mine');
    expect(bench.config(CONFIG_TEST, 'mine')).toBe('mine');
    expect(bench.config(CONFIG_TEST, 'min')).toBe('silence');
    expect(bench.config(CONFIG_TEST_PREFIX, 'min')).toBe('mine');
    expect(bench.config(CONFIG_TEST_PREFIX, 'mines')).toBe('silence');
    expect(bench.config(CONFIG_TEST_PREFIX, '')).toBe('mine');
  });

  test('force set overwrites, and clears when empty', () => {
    bench.config(CONFIG_SET, 'mine');
    expect(bench.config(CONFIG_FORCE_SET, 'yours')).toBe('yours');
    expect(bench.config(CONFIG_FORCE_SET, '')).toBe('');
    expect(bench.config(CONFIG_SET, 'mine')).toBe('mine');
  });

  test('read answers whatever length it claims, others refuse what is not there', () => {
    const lie =
      (command: number) =>
      (view: DataView): number => {
        writeConfigRequest(view, REQUEST, command);
        view.setUint16(REQUEST + 30, 60_000);
        return 32;
      };
    expect(bench.send(COMMAND_CONFIG, lie(CONFIG_READ))).toBe(60);
    expect(bench.error).toBe(0);
    bench.send(COMMAND_CONFIG, lie(CONFIG_SET));
    expect(bench.error).toBe(AOE_ERROR_BAD_ARGUMENT);
    bench.send(COMMAND_CONFIG, (view) => writeConfigRequest(view, REQUEST, 5));
    expect(bench.error).toBe(AOE_ERROR_BAD_ARGUMENT);
  });

  test("nothing changes when it can't be saved", () => {
    const full: StateStore = {
      load: () => ({ serial: 'S', configString: new Uint8Array(0), mask: [], reserved: [] }),
      save: () => {
        throw new Error('no space');
      },
    };
    bench = new Bench({ store: full });
    expect(bench.config(CONFIG_SET, 'mine')).toBe(`error ${AOE_ERROR_DEVICE_UNAVAILABLE}: `);
    expect(bench.config(CONFIG_READ)).toBe('');
    expect(bench.reserve(RESERVE_SET, [ALICE])?.error).toBe(AOE_ERROR_DEVICE_UNAVAILABLE);
    expect(bench.reserve(RESERVE_READ, [])?.macs).toEqual([]);
    expect(bench.logged[0]).toContain('could not be saved');
  });

  test('state is what the store returns after a restart', () => {
    bench.config(CONFIG_SET, 'mine');
    bench.reserve(RESERVE_SET, [ALICE]);
    bench.restart();
    expect(bench.config(CONFIG_READ)).toBe('mine');
    expect(bench.read(0, 1, BOB).aoeError).toBe(AOE_ERROR_RESERVED);
  });
});

describe('reserve list', () => {
  test('others get error 6 for all ATA commands but IDENTIFY, and may read everything else', () => {
    expect(bench.reserve(RESERVE_SET, [ALICE])).toEqual({ command: RESERVE_SET, macs: [ALICE], error: 0 });
    expect(bench.read(0, 1, BOB).aoeError).toBe(AOE_ERROR_RESERVED);
    expect(bench.write(0, new Uint8Array(512), BOB).aoeError).toBe(AOE_ERROR_RESERVED);
    expect(bench.ata((view) => writeFlushRequest(view, REQUEST, true), BOB).aoeError).toBe(AOE_ERROR_RESERVED);
    expect(bench.ata((view) => writeAtaArgument(view, REQUEST, 0, 0, 0, 0xe5, 0), BOB).aoeError).toBe(AOE_ERROR_RESERVED);
    expect(bench.identify(BOB)).toMatchObject({ sectors: SECTORS });
    expect(bench.config(CONFIG_READ, '', BOB)).toBe('');
    expect(bench.mask(undefined, BOB)?.count).toBe(0);
    expect(bench.reserve(RESERVE_READ, [], BOB)).toEqual({ command: RESERVE_READ, macs: [ALICE], error: 0 });
    expect(bench.write(0, new Uint8Array(512), ALICE)).toMatchObject(OK);
  });

  test('set by another is refused with the list that stands; force set takes over; an empty set releases', () => {
    bench.reserve(RESERVE_SET, [ALICE]);
    expect(bench.reserve(RESERVE_SET, [BOB], BOB)).toEqual({ command: RESERVE_SET, macs: [ALICE], error: AOE_ERROR_RESERVED });
    expect(bench.reserve(RESERVE_FORCE_SET, [BOB], BOB)?.macs).toEqual([BOB]);
    expect(bench.read(0, 1, ALICE).aoeError).toBe(AOE_ERROR_RESERVED);
    expect(bench.reserve(RESERVE_SET, [], BOB)?.macs).toEqual([]);
    expect(bench.read(0, 1, ALICE)).toMatchObject(OK);
  });

  test('a list that is cut off, too long or unknown is refused', () => {
    bench.send(COMMAND_RESERVE, (view) => writeReserve(view, REQUEST, RESERVE_SET, [ALICE, BOB]) - 1);
    expect(bench.error).toBe(AOE_ERROR_BAD_ARGUMENT);
    expect(bench.reserve(RESERVE_SET, new Array<Mac>(129).fill(ALICE))?.error).toBe(AOE_ERROR_BAD_ARGUMENT);
    expect(bench.reserve(3, [ALICE])?.error).toBe(AOE_ERROR_BAD_ARGUMENT);
  });
});

describe('MAC mask', () => {
  test('others get no answer at all, to the mask command neither', () => {
    expect(bench.mask([[MASK_DIRECTIVE_ADD, ALICE]])?.directives).toEqual([{ directive: MASK_DIRECTIVE_NONE, mac: ALICE }]);
    expect(bench.config(CONFIG_READ, '', BOB)).toBe('silence');
    expect(bench.mask(undefined, BOB)).toBeUndefined();
    expect(bench.send(COMMAND_ATA, (view) => writeIdentifyRequest(view, REQUEST), BOB)).toBe(SILENCE);
    expect(bench.config(CONFIG_READ)).toBe('');
    expect(bench.mask([[MASK_DIRECTIVE_DELETE, ALICE]])?.count).toBe(0);
    expect(bench.config(CONFIG_READ, '', BOB)).toBe('');
  });

  test('an edit stops at the directive that fails and says how many were carried out', () => {
    expect(
      bench.mask([
        [MASK_DIRECTIVE_ADD, ALICE],
        [7, BOB],
      ]),
    ).toMatchObject({ error: 2, count: 1 });
    expect(bench.mask()).toMatchObject({ error: 0, count: 1 });
    const many = Array.from({ length: 128 }, (_, index) => [MASK_DIRECTIVE_ADD, BOB + index] as const);
    expect(bench.mask(many)).toMatchObject({ error: 3, count: 127 });
    expect(bench.mask()).toMatchObject({ error: 0, count: 128 });
  });
});

describe('addressing and versions', () => {
  test('a wildcard finds the device by shelf or slot, and the answer has the real address', () => {
    const read = (view: DataView): number => writeConfigRequest(view, REQUEST, CONFIG_READ);
    expect(bench.send(COMMAND_CONFIG, read, ALICE, SHELF_BROADCAST, SLOT_BROADCAST)).toBe(60);
    expect(bench.arena.view.getUint16(REPLY + 16)).toBe(10);
    expect(bench.arena.view.getUint8(REPLY + 18)).toBe(3);
    expect(bench.send(COMMAND_CONFIG, read, ALICE, SHELF_BROADCAST, 3)).toBe(60);
    expect(bench.send(COMMAND_CONFIG, read, ALICE, 10, SLOT_BROADCAST)).toBe(60);
    expect(bench.send(COMMAND_CONFIG, read, ALICE, SHELF_BROADCAST, 4)).toBe(SILENCE);
    expect(bench.send(COMMAND_CONFIG, read, ALICE, 11, 3)).toBe(SILENCE);
  });

  test('nothing but queries is done for a wildcard', () => {
    const everybody = [ALICE, SHELF_BROADCAST, SLOT_BROADCAST] as const;
    const string = new Uint8Array([1]);
    expect(bench.send(COMMAND_ATA, (view) => writeIdentifyRequest(view, REQUEST), ...everybody)).toBe(SILENCE);
    const write = (view: DataView): number => (writeWriteRequest(view, REQUEST, 0, 1, true), ATA_DATA + 512);
    expect(bench.send(COMMAND_ATA, write, ...everybody)).toBe(SILENCE);
    expect(bench.send(COMMAND_CONFIG, (view) => writeConfigRequest(view, REQUEST, 4, string), ...everybody)).toBe(SILENCE);
    expect(bench.send(COMMAND_RESERVE, (view) => writeReserve(view, REQUEST, 2, [ALICE]), ...everybody)).toBe(SILENCE);
    expect(bench.backing.content.every((byte) => byte === 0)).toBe(true);
  });

  test('unknown commands and versions are refused by number, frames that are no requests with silence', () => {
    expect(bench.send(4, () => 24)).toBe(60);
    expect(bench.error).toBe(AOE_ERROR_BAD_COMMAND);
    const config =
      (versionFlags: number) =>
      (view: DataView): number => {
        view.setUint8(REQUEST + VERSION_FLAGS, versionFlags);
        return writeConfigRequest(view, REQUEST, CONFIG_READ);
      };
    expect(bench.send(COMMAND_CONFIG, config(0x20))).toBe(60);
    expect(bench.error).toBe(AOE_ERROR_BAD_VERSION);
    expect(bench.send(COMMAND_CONFIG, config(0x18))).toBe(SILENCE);
    expect(bench.send(COMMAND_ATA, () => 30)).toBe(SILENCE);
    expect(bench.send(COMMAND_CONFIG, config(0x10), parseMac('ff:ff:ff:ff:ff:ff'))).toBe(SILENCE);
  });

  test('writeAnnouncement() is a config response with tag 0 and version 1', () => {
    bench.config(CONFIG_SET, 'mine');
    const port = { mac: TARGET_MAC, sectorsPerFrame: 17 };
    const length = bench.device.writeAnnouncement(bench.arena, REPLY, port, 0xffff_ffff_ffff);
    expect(bench.arena.view.getUint8(REPLY + VERSION_FLAGS)).toBe(0x18);
    expect(bench.arena.view.getUint32(REPLY + TAG)).toBe(0);
    expect(readConfigResponse(bench.arena.view, REPLY, length)).toEqual({
      bufferCount: 16,
      firmware: 0x0100,
      sectorsPerFrame: 17,
      command: CONFIG_READ,
      string: new Uint8Array(Buffer.from('mine')),
    });
  });
});

test('SILENT_LOG and VolatileState make a device without surroundings', () => {
  const arena = plainArena(4096);
  const state = new VolatileState('S', [BOB]);
  const device = new TargetDevice({
    address: { shelf: 0, slot: 0 },
    backing: new MemoryBacking(arena, 1),
    state,
    log: SILENT_LOG,
    bufferCount: 1,
    firmware: '0',
  });
  const saved: DeviceState = state.load();
  expect(device.mask).toEqual(saved.mask);
});
