import { describe, expect, test } from '@jest/globals';
import { OP_FLUSH, OP_TRIM, OP_WRITE_ZEROES, type BlockRequest } from '../../src/block/request.ts';
import * as status from '../../src/block/status.ts';
import { IoVector } from '../../src/buffers/io-vector.ts';
import { decodeReplies, encodeCommand, type Command, type Reply } from '../support/nbd-client.ts';
import { MemoryDevice } from '../support/nbd-memory-device.ts';
import { NbdWire } from '../support/nbd-wire.ts';

const READ = 0;
const WRITE = 1;
const DISC = 2;
const FLUSH = 3;
const TRIM = 4;
const WRITE_ZEROES = 6;
const FUA = 1;
const NO_HOLE = 2;
const EPERM = 1;
const EINVAL = 22;
const ENOSPC = 28;
const ESHUTDOWN = 108;

interface Setup {
  readonly sectors?: number;
  readonly immediate?: boolean;
  readonly readOnly?: boolean;
  readonly canTrim?: boolean;
  readonly chunks?: number;
  readonly chunksMax?: number;
  readonly requests?: number;
  readonly vectorCapacity?: number;
}

function open(setup: Setup = {}) {
  const wire = new NbdWire({ chunks: 8, ...setup });
  const device = new MemoryDevice(wire.arena, wire.chunks, { sectors: 2048, immediate: true, canTrim: true, ...setup });
  const share = setup.chunksMax === undefined ? {} : { chunksMax: setup.chunksMax };
  const session = wire.session({ device, readOnly: setup.readOnly ?? false, ...share });
  return { wire, device, session };
}

let nextCookie = 0x1122334455667788n;

function command(
  type: number,
  offset: number | bigint,
  length: number,
  more: { flags?: number; data?: Uint8Array } = {},
): Command {
  return { type, cookie: nextCookie++, offset: BigInt(offset), length, ...more };
}

function write(offset: number, data: Uint8Array, flags = 0): Command {
  return command(WRITE, offset, data.length, { data, flags });
}

function encode(...commands: Command[]): Buffer {
  return Buffer.concat(commands.map(encodeCommand));
}

function decode(stream: Buffer, commands: readonly Command[]): Reply[] {
  const lengths = new Map(commands.map(({ type, cookie, length }) => [cookie, type === READ ? length : 0]));
  return decodeReplies(stream, (cookie) => lengths.get(cookie) ?? 0);
}

function pattern(lengthBytes: number, seed: number): Buffer {
  return Buffer.from(Array.from({ length: lengthBytes }, (_, index) => (index * 7 + (index >> 8) * 13 + seed) & 0xff));
}

/** The errors that a fresh session answers these commands with. */
function errorsOf(setup: Setup, ...commands: Command[]): number[] {
  const { wire, session } = open(setup);
  const replies = decode(wire.exchange(session, encode(...commands)), commands);
  expect(replies.map(({ cookie }) => cookie)).toEqual(commands.map(({ cookie }) => cookie));
  expect(session.finished).toBe(false);
  expect(wire.chunks.free).toBe(wire.chunks.capacity);
  expect(wire.requests.free).toBe(wire.requests.capacity);
  return replies.map(({ error }) => error);
}

describe('NbdSession transmission', () => {
  test('a read brings back what a write left, also across chunks', () => {
    const { wire, session, device } = open();
    const data = pattern(300 * 512, 1);
    const commands = [write(512, data), command(READ, 512, data.length), command(READ, 0, 512)];
    const replies = decode(wire.exchange(session, encode(...commands)), commands);
    expect(replies.map(({ error }) => error)).toEqual([0, 0, 0]);
    expect(replies[1].data.equals(data)).toBe(true);
    expect(replies[2].data.equals(Buffer.alloc(512))).toBe(true);
    expect(Buffer.from(device.content.subarray(512, 512 + data.length)).equals(data)).toBe(true);
    expect(session.counters.requests).toEqual({ read: 2, write: 1, flush: 0, trim: 0, writeZeroes: 0 });
    expect(session.counters.bytes).toEqual({ read: data.length + 512, written: data.length });
    expect(wire.chunks.free).toBe(wire.chunks.capacity);
  });

  test('replies are these bytes', () => {
    const { wire, session } = open();
    const request = Buffer.from('25609513' + '0000' + '0000' + '0102030405060708' + '0000000000000200' + '00000200', 'hex');
    const reply = wire.exchange(session, request);
    expect(reply.toString('hex')).toBe('67446698' + '00000000' + '0102030405060708' + '00'.repeat(512));
  });

  test('requests reach the device with their fields when they are good', () => {
    const { wire, session, device } = open({ immediate: false });
    const commands = [
      write(1024, Buffer.alloc(1024), FUA),
      command(TRIM, 512, 512, { flags: FUA }),
      command(WRITE_ZEROES, 0, 4096, { flags: NO_HOLE }),
      command(WRITE_ZEROES, 0, 512),
      command(FLUSH, 0, 0, { flags: FUA }),
      command(READ, 2047 * 512, 512, { flags: FUA }),
    ];
    wire.exchange(session, encode(...commands));
    const fields = ({ op, lba, sectors, fua, noHole }: BlockRequest) => [op, lba, sectors, fua, noHole];
    expect(device.pending.map(fields)).toEqual([
      [1, 2, 2, true, false],
      [OP_TRIM, 1, 1, true, false],
      [OP_WRITE_ZEROES, 0, 8, false, true],
      [OP_WRITE_ZEROES, 0, 1, false, false],
      [OP_FLUSH, 0, 0, false, false],
      [0, 2047, 1, false, false],
    ]);
    expect(session.inFlight).toBe(6);
  });

  test('replies go out in the order of completion', () => {
    const { wire, session, device } = open({ immediate: false });
    const commands = [command(READ, 0, 512), command(FLUSH, 0, 0), command(READ, 512, 1024)];
    device.content.set(pattern(2048, 3));
    expect(wire.exchange(session, encode(...commands)).length).toBe(0);
    for (const index of [2, 0, 0]) device.complete(index);
    const replies = decode(wire.transmit(session), commands);
    expect(replies.map(({ cookie }) => cookie)).toEqual([commands[2].cookie, commands[0].cookie, commands[1].cookie]);
    expect(replies[0].data.equals(pattern(2048, 3).subarray(512, 1536))).toBe(true);
    expect(session.inFlight).toBe(0);
  });

  test('a trim and zeroes of almost 4 GiB pass and take no memory', () => {
    const { wire } = open();
    const taken: [number, number, number][] = [];
    const submit = (request: BlockRequest) => void taken.push([request.op, request.lba, request.sectors]);
    const abandon = () => undefined;
    const session = wire.session({ device: { name: 'e0.0', sectors: 2 ** 48, readOnly: false, canTrim: true, submit, abandon } });
    const end = 2n ** 57n;
    const commands = [command(TRIM, 0x1_8000_0000n, 0xfffff000), command(WRITE_ZEROES, end - 0xfffffe00n, 0xfffffe00)];
    wire.exchange(session, encode(...commands));
    expect(taken).toEqual([
      [OP_TRIM, 0x1_8000_0000 / 512, 0xfffff000 / 512],
      [OP_WRITE_ZEROES, 2 ** 48 - 0xfffffe00 / 512, 0xfffffe00 / 512],
    ]);
    expect(wire.chunks.free).toBe(wire.chunks.capacity);
  });

  test('requests that touch the last sector pass and those beyond it are refused', () => {
    const end = 2048 * 512;
    expect(errorsOf({}, command(READ, end - 512, 512), write(end - 512, Buffer.alloc(512)))).toEqual([0, 0]);
    for (const offset of [BigInt(end), BigInt(end - 512), 2n ** 32n, 2n ** 41n, 2n ** 63n, 2n ** 64n - 512n]) {
      const data = Buffer.alloc(1024);
      const beyond = [READ, TRIM, WRITE, WRITE_ZEROES].map((type) => command(type, offset, 1024, type === WRITE ? { data } : {}));
      expect(errorsOf({}, ...beyond)).toEqual([EINVAL, EINVAL, ENOSPC, ENOSPC]);
    }
  });

  test('requests are refused and the next one is served when they are malformed', () => {
    const good = () => command(READ, 0, 512);
    const data = (lengthBytes: number) => ({ data: pattern(lengthBytes, 9) });
    expect(errorsOf({}, command(READ, 1, 512), good())).toEqual([EINVAL, 0]);
    expect(errorsOf({}, command(READ, 0, 513), good())).toEqual([EINVAL, 0]);
    expect(errorsOf({}, command(READ, 0, 0), command(WRITE, 0, 0), command(TRIM, 0, 0), good())).toEqual([22, 22, 22, 0]);
    expect(errorsOf({}, command(WRITE, 0, 513, data(513)), good())).toEqual([EINVAL, 0]);
    expect(errorsOf({}, command(WRITE, 0, 512, { flags: NO_HOLE, ...data(512) }), good())).toEqual([EINVAL, 0]);
    expect(errorsOf({}, command(READ, 0, 512, { flags: 4 }), good())).toEqual([EINVAL, 0]);
    expect(errorsOf({}, command(WRITE_ZEROES, 0, 512, { flags: 16 }), good())).toEqual([EINVAL, 0]);
    expect(errorsOf({}, command(FLUSH, 512, 0), command(FLUSH, 0, 512), good())).toEqual([EINVAL, EINVAL, 0]);
    expect(errorsOf({}, command(5, 0, 512), command(7, 0, 512), command(0xffff, 0, 0), good())).toEqual([22, 22, 22, 0]);
    expect(errorsOf({ canTrim: false }, command(TRIM, 0, 512), good())).toEqual([EINVAL, 0]);
  });

  test('writes are refused with EPERM when the device or the session is read-only', () => {
    const commands = () => [
      write(0, pattern(4096, 5)),
      command(TRIM, 0, 512),
      command(WRITE_ZEROES, 0, 512),
      command(READ, 0, 512),
    ];
    expect(errorsOf({ readOnly: true }, ...commands())).toEqual([EPERM, EPERM, EPERM, 0]);
    const { wire } = open();
    const device = new MemoryDevice(wire.arena, wire.chunks, { sectors: 64, readOnly: true, immediate: true });
    const sent = commands();
    const replies = decode(wire.exchange(wire.session({ device }), encode(...sent)), sent);
    expect(replies.map(({ error }) => error)).toEqual([EPERM, EPERM, EPERM, 0]);
  });

  test('the payload of a write that is too long is drained and answered last', () => {
    const { wire, session, device } = open({ chunks: 2 });
    const tooLong = write(0, pattern(3 * 65536, 1));
    const commands = [tooLong, command(READ, 0, 3 * 65536), command(READ, 0, 2 * 65536)];
    const bytes = encode(...commands);
    wire.receive(session, bytes.subarray(0, 28 + 3 * 65536 - 1));
    expect(wire.transmit(session).length).toBe(0);
    expect(session.inFlight).toBe(1);
    const replies = decode(wire.exchange(session, bytes.subarray(28 + 3 * 65536 - 1)), commands);
    expect(replies.map(({ error }) => error)).toEqual([EINVAL, EINVAL, 0]);
    expect(device.content.every((byte) => byte === 0)).toBe(true);
    expect(session.counters.refused.tooLong).toBe(2);
  });

  test('the connection is dropped when a refused write announces an absurd payload', () => {
    const { wire, session } = open();
    wire.receive(session, encode(command(WRITE, 0, 0xfffffe00)));
    expect(session.finished).toBe(true);
    expect(session.counters.dropped.payloadTooLong).toBe(1);
  });

  test('the connection is dropped and counted when a request has the wrong magic', () => {
    const { wire, session } = open();
    wire.receive(session, Buffer.concat([encode(command(READ, 0, 512)), Buffer.alloc(28, 'x')]));
    expect(session.finished).toBe(true);
    expect(session.counters.dropped.requestMagic).toBe(1);
    session.peerClosed();
    expect(wire.chunks.free).toBe(wire.chunks.capacity);
  });

  test.each([
    [status.STATUS_IO_ERROR, 5],
    [status.STATUS_INVALID, 22],
    [status.STATUS_READ_ONLY, 1],
    [status.STATUS_NOT_SUPPORTED, 95],
    [status.STATUS_FENCED, 5],
    [status.STATUS_DEAD, 5],
    [status.STATUS_SHUTDOWN, 108],
    [status.STATUS_NO_SPACE, 28],
  ] as const)('a read answers without data when the device ends it with status %i', (ended, error) => {
    const { wire, session, device } = open({ immediate: false });
    const commands = [command(READ, 0, 4096), write(0, pattern(512, 2))];
    wire.receive(session, encode(...commands));
    device.complete(0, ended);
    device.complete(0, ended);
    const replies = decode(wire.transmit(session), commands);
    expect(replies.map((reply) => [reply.error, reply.data.length])).toEqual([
      [error, 0],
      [error, 0],
    ]);
    expect(session.counters.failed).toBe(2);
    expect(wire.chunks.free).toBe(wire.chunks.capacity);
  });

  test('DISC finishes the session when all that came before it is answered', () => {
    const { wire, session, device } = open({ immediate: false });
    const commands = [command(READ, 0, 512), command(FLUSH, 0, 0)];
    wire.receive(session, encode(...commands, command(DISC, 0, 0), command(READ, 0, 512)));
    expect(device.pending.length).toBe(2);
    expect(session.finished).toBe(false);
    device.complete(0);
    device.complete(0);
    expect(session.finished).toBe(false);
    expect(decode(wire.transmit(session), commands).length).toBe(2);
    expect(session.finished).toBe(true);
    expect(wire.receive(session, encode(command(READ, 0, 512)))).toBe(0);
  });

  test('shutdown() refuses new requests with ESHUTDOWN and finishes when the old ones are answered', () => {
    const { wire, session, device } = open({ immediate: false });
    const old = command(READ, 0, 512);
    const half = write(0, pattern(4096, 1));
    wire.receive(session, Buffer.concat([encode(old), encode(half).subarray(0, 1000)]));
    session.shutdown();
    const late = [write(512, pattern(1024, 4)), command(FLUSH, 0, 0)];
    wire.receive(session, Buffer.concat([encode(half).subarray(1000), encode(...late)]));
    expect(device.pending.length).toBe(1);
    expect(session.finished).toBe(false);
    device.complete(0);
    const commands = [half, ...late, old];
    expect(decode(wire.transmit(session), commands).map(({ error }) => error)).toEqual([ESHUTDOWN, ESHUTDOWN, ESHUTDOWN, 0]);
    expect(session.finished).toBe(true);
    expect(wire.chunks.free).toBe(wire.chunks.capacity);
  });

  test('peerClosed() gives everything back when the device has completed what it has', () => {
    const { wire, session, device } = open({ immediate: false });
    const commands = [
      command(READ, 0, 512),
      write(0, pattern(512, 1)),
      command(READ, 512, 1024),
      write(0, pattern(200_000 & ~511, 1)),
    ];
    wire.receive(session, encode(...commands).subarray(0, -1));
    device.complete(0);
    wire.transmit(session, 1, 100);
    session.peerClosed();
    expect(device.abandoned).toHaveLength(1);
    expect(session.finished).toBe(true);
    expect(session.inFlight).toBe(2);
    expect(wire.chunks.free).toBe(wire.chunks.capacity - 2);
    for (let pending = 2; pending > 0; pending--) device.complete(0);
    expect(session.inFlight).toBe(0);
    expect(wire.chunks.free).toBe(wire.chunks.capacity);
    expect(wire.requests.free).toBe(wire.requests.capacity);
    expect(wire.transmit(session).length).toBe(0);
    expect(wire.receive(session, encode(command(READ, 0, 512)))).toBe(0);
  });

  test.each([
    ['chunks', { chunks: 2 }, 2],
    ['its share of the chunks', { chunks: 8, chunksMax: 3 }, 3],
    ['requests', { requests: 4 }, 4],
  ] as const)('reading stops, and goes on when some are free again, without %s', (_what, setup, served) => {
    const { wire, session, device } = open({ immediate: false, ...setup });
    const commands = Array.from({ length: 10 }, (_, index) => write(index * 512, pattern(512, index)));
    wire.receive(session, encode(...commands));
    expect(device.pending.length).toBe(served);
    expect(session.paused).toBe(true);
    expect(session.counters.pauses).toBe(1);
    expect(wire.receive(session, Buffer.alloc(1))).toBe(0);
    while (device.pending.length > 0) {
      device.complete(0);
      session.fillReceive(new IoVector(8));
    }
    expect(session.paused).toBe(false);
    expect(decode(wire.transmit(session), commands).map(({ error }) => error)).toEqual(commands.map(() => 0));
    expect(
      Buffer.from(device.content.subarray(0, 5120)).equals(Buffer.concat(commands.map(({ data }) => data ?? Buffer.alloc(0)))),
    ).toBe(true);
  });

  test('reading stops when 256 replies wait for a client that does not read them', () => {
    const { wire, session } = open({ chunks: 512, requests: 512 });
    const commands = Array.from({ length: 300 }, () => command(FLUSH, 0, 0));
    wire.receive(session, encode(...commands));
    expect(session.inFlight).toBe(256);
    expect(session.paused).toBe(true);
    expect(decode(wire.transmit(session), commands).length).toBe(300);
  });

  test('a write waits whole for its chunks: none is held by half', () => {
    const { wire, session } = open({ chunks: 3 });
    const outside = wire.chunks.allocate(65536);
    wire.receive(session, encode(write(0, pattern(3 * 65536, 1))));
    expect(session.paused).toBe(true);
    expect(wire.chunks.free).toBe(2);
    wire.chunks.release(outside);
  });

  test('the largest payload passes when the vector has few entries', () => {
    const { wire, session, device } = open({ chunks: 8, vectorCapacity: 2 });
    // Chunks in a mixed order don't touch each other, so each takes an entry.
    const taken = Array.from({ length: 8 }, () => wire.chunks.allocate(1));
    for (const chunk of [0, 2, 4, 6, 1, 3, 5, 7]) wire.chunks.release(taken[chunk]);
    const data = pattern(8 * 65536, 6);
    const commands = [write(0, data), command(READ, 0, data.length)];
    const replies = decode(wire.exchange(session, encode(...commands)), commands);
    expect(replies[1].data.equals(data)).toBe(true);
    expect(Buffer.from(device.content.subarray(0, data.length)).equals(data)).toBe(true);
  });

  test('only little is received behind a large write, and much when requests are small', () => {
    const { wire, session } = open();
    const vector = new IoVector(64);
    session.fillReceive(vector);
    expect(vector.sizeBytes).toBe(32768);
    wire.receive(session, encode(command(READ, 0, 512), write(0, Buffer.alloc(65536))).subarray(0, 28 + 28 + 100));
    session.fillReceive(vector);
    expect(Array.from(vector.lengths.subarray(0, vector.count))).toEqual([65536 - 100, 512]);
    wire.receive(session, Buffer.concat([Buffer.alloc(65536 - 100), encode(write(0, Buffer.alloc(4096))).subarray(0, 28)]));
    session.fillReceive(vector);
    expect(Array.from(vector.lengths.subarray(0, vector.count))).toEqual([4096, 32768]);
  });

  test('much is received at once of a payload that is thrown away, also after a large write', () => {
    const { wire, session } = open({ chunks: 2 });
    const commands = [write(0, Buffer.alloc(65536)), write(0, Buffer.alloc(3 * 65536))];
    wire.receive(session, encode(...commands).subarray(0, 28 + 65536 + 28));
    const vector = new IoVector(64);
    session.fillReceive(vector);
    expect([vector.count, vector.sizeBytes]).toEqual([1, 32768]);
  });

  test('headers of replies without data are sent as one range', () => {
    const { wire, session } = open();
    const commands = Array.from({ length: 5 }, () => command(FLUSH, 0, 0));
    wire.receive(session, encode(...commands));
    const vector = new IoVector(64);
    session.fillTransmit(vector);
    expect([vector.count, vector.sizeBytes]).toEqual([1, 80]);
  });

  test('every split of the input and every size of the pieces sent give the same replies', () => {
    const commands = [
      write(512, pattern(1024, 1)),
      command(READ, 0, 1536),
      command(READ, 3, 512),
      write(0, pattern(777, 2)),
      command(WRITE_ZEROES, 1024, 512),
      command(TRIM, 0, 512),
      command(99, 0, 0),
      command(READ, 0, 2048),
      command(DISC, 0, 0),
    ];
    const script = encode(...commands);
    const whole = open();
    const expected = whole.wire.exchange(whole.session, script);
    expect(decode(expected, commands).map(({ error }) => error)).toEqual([0, 0, 22, 22, 0, 0, 22, 0]);
    const wire = new NbdWire({ chunks: 8 });
    for (let split = 0; split <= script.length; split++) {
      wire.arena.bytes.fill(split);
      const session = wire.session({ device: new MemoryDevice(wire.arena, wire.chunks, { sectors: 2048, immediate: true }) });
      const first = wire.exchange(session, script.subarray(0, split));
      const second = wire.exchange(session, script.subarray(split));
      expect(Buffer.concat([first, second]).equals(expected)).toBe(true);
      expect(session.finished).toBe(true);
    }
    for (let size = 1; size < 40; size++) {
      const session = wire.session({ device: new MemoryDevice(wire.arena, wire.chunks, { sectors: 2048, immediate: true }) });
      expect(wire.exchange(session, script, 41 - size, size).equals(expected)).toBe(true);
    }
    expect(wire.chunks.free).toBe(8);
  });
});
