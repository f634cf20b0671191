import { describe, expect, test } from '@jest/globals';
import { IoVector } from '../../src/buffers/io-vector.ts';
import { decodeReplies, encodeCommand, type Command } from '../support/nbd-client.ts';
import { MemoryDevice } from '../support/nbd-memory-device.ts';
import { NbdWire } from '../support/nbd-wire.ts';

const READ = 0;
const WRITE = 1;
const FLUSH = 3;

/** One after the other they leave traces of their order; the last write is refused, with its payload still to come. */
const COMMANDS: Command[] = [
  { type: WRITE, cookie: 1n, offset: 0n, length: 1024, data: Buffer.alloc(1024, 1) },
  { type: READ, cookie: 2n, offset: 512n, length: 1024 },
  { type: WRITE, cookie: 3n, offset: 512n, length: 512, data: Buffer.alloc(512, 3) },
  { type: FLUSH, cookie: 4n, offset: 0n, length: 0 },
  { type: READ, cookie: 5n, offset: 0n, length: 1024 },
  { type: WRITE, cookie: 6n, offset: 1n << 40n, length: 512, data: Buffer.alloc(512, 6) },
  { type: READ, cookie: 7n, offset: 512n, length: 512 },
];
const INPUT = Buffer.concat(COMMANDS.map(encodeCommand));

function openAt(device: MemoryDevice | undefined, unread?: Uint8Array) {
  const wire = new NbdWire({ chunks: 4 });
  const served = new MemoryDevice(wire.arena, wire.chunks, { sectors: 8, immediate: true });
  if (device !== undefined) served.content.set(device.content);
  const session = wire.session({ device: served, ...(unread === undefined ? {} : { unread }) });
  return { wire, device: served, session };
}

function replies(stream: Buffer): { cookie: bigint; error: number; data: string }[] {
  const lengthOf = (cookie: bigint): number => COMMANDS.find((each) => each.cookie === cookie && each.type === READ)?.length ?? 0;
  return decodeReplies(stream, lengthOf).map(({ cookie, error, data }) => ({ cookie, error, data: data.toString('hex') }));
}

describe('NbdSession freeze()', () => {
  const undisturbed = openAt(undefined);
  const expected = replies(undisturbed.wire.exchange(undisturbed.session, INPUT));

  test('wherever it comes, another session goes on where this one has stopped, and nothing is lost or done twice', () => {
    expect(expected).toHaveLength(COMMANDS.length);
    for (let cut = 0; cut <= INPUT.length; cut++) {
      const first = openAt(undefined);
      // What has been received by then, in pieces, so that some of it is taken and some stands in the window.
      const begun = first.wire.exchange(first.session, INPUT.subarray(0, cut), 700);
      first.session.freeze();
      const more: Buffer[] = [];
      let taken = cut;
      for (let now = -1; now !== 0; taken += now) {
        now = first.wire.receive(first.session, INPUT.subarray(taken));
        more.push(first.wire.transmit(first.session));
      }
      expect(first.session.drained).toBe(true);

      const second = openAt(first.device, first.session.unread());
      expect(second.wire.transmit(second.session)).toHaveLength(0);
      second.session.thaw();
      second.session.fillReceive(new IoVector(4));
      const rest = second.wire.exchange(second.session, INPUT.subarray(taken));
      expect(replies(Buffer.concat([begun, ...more, rest]))).toEqual(expected);
      expect(Buffer.compare(second.device.content, undisturbed.device.content)).toBe(0);
    }
  });

  test('it is not drained while the device has a request, or the socket has not taken a reply; thaw() goes on', () => {
    const wire = new NbdWire({ chunks: 4 });
    const device = new MemoryDevice(wire.arena, wire.chunks, { sectors: 8, immediate: false });
    const session = wire.session({ device });
    wire.receive(session, encodeCommand(COMMANDS[1]));
    session.freeze();
    expect(session.drained).toBe(false);
    // Nothing further is even received.
    expect(wire.receive(session, encodeCommand(COMMANDS[4]))).toBe(0);
    device.complete(0);
    expect(session.drained).toBe(false);
    wire.transmit(session, Infinity, 20);
    expect(session.drained).toBe(false);
    wire.transmit(session);
    expect(session.drained).toBe(true);

    session.thaw();
    expect(session.drained).toBe(false);
    wire.receive(session, encodeCommand(COMMANDS[4]));
    device.complete(0);
    expect(wire.transmit(session)).toHaveLength(16 + 1024);
  });

  test('a session that starts with unread bytes takes none of them before it is thawed', () => {
    const { session, wire } = openAt(undefined, encodeCommand(COMMANDS[1]));
    expect(wire.transmit(session)).toHaveLength(0);
    expect(session.drained).toBe(true);
    session.thaw();
    expect(wire.exchange(session, encodeCommand(COMMANDS[4]))).toHaveLength(2 * (16 + 1024));
  });
});
