import { describe, expect, test } from '@jest/globals';
import type { NbdEvent } from '../../src/nbd/phase.ts';
import type { NbdSession } from '../../src/nbd/session.ts';
import { CLIENT_FLAGS, decodeOptionReplies, encodeCommand, encodeOption, infoRequest } from '../support/nbd-client.ts';
import { MemoryDevice } from '../support/nbd-memory-device.ts';
import { NbdWire } from '../support/nbd-wire.ts';

const EXPORT_NAME = 1;
const ABORT = 2;
const LIST = 3;
const INFO = 6;
const GO = 7;
const ERR_UNSUP = 0x80000001;
const ERR_INVALID = 0x80000003;
const ERR_UNKNOWN = 0x80000006;
const ERR_TOO_BIG = 0x80000009;

const GREETING_HEX = '4e42444d41474943' + '49484156454f5054' + '0003';
/** HAS_FLAGS, FLUSH, FUA, TRIM, WRITE_ZEROES, CAN_MULTI_CONN. */
const FLAGS_HEX = '016d';
/** 2048 sectors. */
const SIZE_HEX = '0000000000100000';

function open(names = ['e10.3'], extra: { readOnly?: boolean; canTrim?: boolean; chunks?: number; poison?: number } = {}) {
  const wire = new NbdWire({ chunks: extra.chunks ?? 4, ...(extra.poison === undefined ? {} : { poison: extra.poison }) });
  const devices = names.map(
    (name) => new MemoryDevice(wire.arena, wire.chunks, { name, sectors: 2048, immediate: true, canTrim: extra.canTrim ?? true }),
  );
  const events: NbdEvent[] = [];
  const session = wire.session({
    directory: { find: (name) => devices.find((device) => device.name === name), names: () => names },
    readOnly: extra.readOnly ?? false,
    log: (event) => events.push(event),
  });
  return { wire, session, devices, events };
}

/** The answers to options sent after the greeting. */
function answers(wire: NbdWire, session: NbdSession, ...options: Buffer[]) {
  const stream = wire.exchange(session, Buffer.concat([CLIENT_FLAGS, ...options]));
  expect(stream.subarray(0, 18).toString('hex')).toBe(GREETING_HEX);
  return decodeOptionReplies(stream.subarray(18));
}

describe('NbdSession negotiation', () => {
  test('fillTransmit() gives the greeting when the connection is new', () => {
    const { wire, session } = open();
    expect(wire.transmit(session).toString('hex')).toBe(GREETING_HEX);
    expect(session.state).toBe('negotiation');
    expect(session.finished).toBe(false);
  });

  test('GO answers with export, name and block sizes when asked for them', () => {
    const { wire, session, devices, events } = open(['e10.3'], { chunks: 512 });
    const replies = answers(wire, session, encodeOption(GO, infoRequest('e10.3', [1, 3, 3, 2, 0x7777])));
    expect(replies.map(({ option, type, data }) => [option, type, data.toString('hex')])).toEqual([
      [GO, 3, '0000' + SIZE_HEX + FLAGS_HEX],
      [GO, 3, '0001' + Buffer.from('e10.3').toString('hex')],
      [GO, 3, '0003' + '00000200' + '00001000' + '02000000'],
      [GO, 1, ''],
    ]);
    expect(session.state).toBe('transmission');
    expect(session.device).toBe(devices[0]);
    expect(events).toEqual([{ kind: 'exportOpened', exportName: 'e10.3', readOnly: false }]);
  });

  test('GO answers with the export only when nothing else is asked for', () => {
    const { wire, session } = open();
    expect(answers(wire, session, encodeOption(GO, infoRequest('e10.3'))).map(({ type }) => type)).toEqual([3, 1]);
  });

  test('GO tells the largest payload that the chunks allow when the pool is small', () => {
    const { wire, session } = open(['e10.3'], { chunks: 4 });
    const [, sizes] = answers(wire, session, encodeOption(GO, infoRequest('e10.3', [3])));
    expect(sizes.data.readUInt32BE(10)).toBe(4 * 65536);
  });

  test('GO offers no trim when the device can not trim, and no writes when the session is read-only', () => {
    const noTrim = open(['e10.3'], { canTrim: false });
    expect(answers(noTrim.wire, noTrim.session, encodeOption(GO, infoRequest('e10.3')))[0].data.readUInt16BE(10)).toBe(0x14d);
    const readOnly = open(['e10.3'], { readOnly: true });
    expect(answers(readOnly.wire, readOnly.session, encodeOption(GO, infoRequest('e10.3')))[0].data.readUInt16BE(10)).toBe(0x10f);
  });

  test('INFO answers and stays in negotiation when the export is known', () => {
    const { wire, session } = open();
    expect(answers(wire, session, encodeOption(INFO, infoRequest('e10.3'))).map(({ type }) => type)).toEqual([3, 1]);
    expect(session.state).toBe('negotiation');
  });

  test('the empty name means the only export, and nothing when there are two or none', () => {
    const one = open(['e10.3']);
    expect(
      answers(one.wire, one.session, encodeOption(GO, infoRequest('', [1])))[1]
        .data.subarray(2)
        .toString(),
    ).toBe('e10.3');
    for (const names of [[], ['e10.3', 'e10.4']]) {
      const other = open(names);
      const [reply] = answers(other.wire, other.session, encodeOption(GO, infoRequest('')));
      expect(reply.type).toBe(ERR_UNKNOWN);
      expect(reply.data.toString()).toContain('not exactly one export');
    }
  });

  test('GO refuses and lets the client go on when the export is unknown', () => {
    const { wire, session, events } = open();
    const unknown = encodeOption(GO, infoRequest('e9.9'));
    const replies = answers(wire, session, unknown, encodeOption(GO, infoRequest('e10.3')));
    expect(replies.map(({ type }) => type)).toEqual([ERR_UNKNOWN, 3, 1]);
    expect(replies[0].data.toString()).toContain('e9.9');
    expect(events[0]).toEqual({ kind: 'exportUnknown', exportName: 'e9.9' });
    expect(session.state).toBe('transmission');
  });

  test('LIST names every export when there are many', () => {
    const names = Array.from({ length: 3000 }, (_, slot) => `e1.${slot}`);
    const { wire, session } = open(names);
    const replies = answers(wire, session, encodeOption(LIST));
    expect(replies.pop()).toEqual({ option: LIST, type: 1, data: Buffer.alloc(0) });
    expect(replies.every(({ type, data }) => type === 2 && data.readUInt32BE(0) === data.length - 4)).toBe(true);
    expect(replies.map(({ data }) => data.subarray(4).toString())).toEqual(names);
  });

  test('EXPORT_NAME answers without a header, with zeroes unless the client waived them', () => {
    const waived = open();
    const short = waived.wire.exchange(
      waived.session,
      Buffer.concat([CLIENT_FLAGS, encodeOption(EXPORT_NAME, Buffer.from('e10.3'))]),
    );
    expect(short.subarray(18).toString('hex')).toBe(SIZE_HEX + FLAGS_HEX);
    const plain = open();
    const flags = Buffer.from('00000001', 'hex');
    const long = plain.wire.exchange(plain.session, Buffer.concat([flags, encodeOption(EXPORT_NAME, Buffer.from('e10.3'))]));
    expect(long.subarray(18).toString('hex')).toBe(SIZE_HEX + FLAGS_HEX + '00'.repeat(124));
    expect(plain.session.state).toBe('transmission');
  });

  test('EXPORT_NAME ends the connection when the export is unknown', () => {
    const { wire, session } = open();
    const stream = wire.exchange(session, Buffer.concat([CLIENT_FLAGS, encodeOption(EXPORT_NAME, Buffer.from('nope'))]));
    expect(stream.length).toBe(18);
    expect(session.finished).toBe(true);
    expect(session.counters.dropped.unknownExport).toBe(1);
  });

  test('ABORT is acknowledged before the session is finished', () => {
    const { wire, session } = open();
    wire.transmit(session);
    wire.receive(session, Buffer.concat([CLIENT_FLAGS, encodeOption(ABORT)]));
    expect(session.finished).toBe(false);
    expect(decodeOptionReplies(wire.transmit(session)).map(({ type }) => type)).toEqual([1]);
    expect(session.finished).toBe(true);
  });

  test('options that are not served are declined and the next one is answered', () => {
    const { wire, session } = open();
    const declined = [5, 8, 9, 10, 11, 4, 99].map((option) => encodeOption(option, Buffer.alloc(option)));
    const replies = answers(wire, session, ...declined, encodeOption(GO, infoRequest('e10.3')));
    expect(replies.map(({ type }) => type)).toEqual([...declined.map(() => ERR_UNSUP), 3, 1]);
    expect(replies[1].data.toString()).toBe('STRUCTURED_REPLY is not supported');
  });

  test('options whose lengths do not add up are refused', () => {
    const { wire, session } = open();
    const go = infoRequest('e10.3', [3]);
    const longName = Buffer.from(go);
    longName.writeUInt32BE(0xffffffff, 0);
    const manyWishes = Buffer.from(go);
    manyWishes.writeUInt16BE(2, 9);
    const bad = [go.subarray(0, 5), Buffer.alloc(0), longName, manyWishes, Buffer.concat([go, Buffer.alloc(1)])];
    const replies = answers(wire, session, ...bad.map((data) => encodeOption(GO, data)), encodeOption(LIST, Buffer.alloc(1)));
    expect(replies.map(({ type }) => type)).toEqual([...bad.map(() => ERR_INVALID), ERR_INVALID]);
  });

  test('an option of more than 8 KiB is refused and its data skipped', () => {
    const { wire, session } = open();
    const replies = answers(wire, session, encodeOption(GO, Buffer.alloc(500_000, 'IHAVEOPT')), encodeOption(LIST));
    expect(replies.map(({ type }) => type)).toEqual([ERR_TOO_BIG, 2, 1]);
  });

  test.each([
    ['clientFlags', Buffer.from('00000007', 'hex')],
    ['optionMagic', Buffer.concat([CLIENT_FLAGS, Buffer.from('GET / HTTP/1.1\r\n')])],
    ['optionTooLong', Buffer.concat([CLIENT_FLAGS, encodeOption(GO, Buffer.alloc(1024 * 1024 + 1))])],
    ['tooManyOptions', Buffer.concat([CLIENT_FLAGS, ...Array.from({ length: 129 }, () => encodeOption(8))])],
  ] as const)('the connection is dropped and counted when the client breaks the rules: %s', (reason, bytes) => {
    const { wire, session, events } = open();
    wire.exchange(session, bytes);
    expect(session.finished).toBe(true);
    expect(session.counters.dropped[reason]).toBe(1);
    expect(events).toMatchObject([{ kind: 'connectionDropped', reason }]);
    expect(wire.receive(session, bytes)).toBe(0);
  });

  test('no more is read while an answer is waiting to be sent', () => {
    const { wire, session } = open();
    expect(wire.receive(session, CLIENT_FLAGS)).toBe(0);
    wire.transmit(session);
    const options = Buffer.concat([CLIENT_FLAGS, encodeOption(8), encodeOption(8)]);
    expect(wire.receive(session, options)).toBe(options.length);
    expect(wire.receive(session, options)).toBe(0);
    expect(decodeOptionReplies(wire.transmit(session)).length).toBe(2);
  });

  test('shutdown() ends a negotiation', () => {
    const { wire, session } = open();
    session.shutdown();
    wire.transmit(session);
    expect(session.finished).toBe(true);
    expect(wire.receive(session, CLIENT_FLAGS)).toBe(0);
  });

  test('every split of the input, every size of the pieces sent and any stale memory give the same answers', () => {
    const script = Buffer.concat([
      CLIENT_FLAGS,
      encodeOption(8),
      encodeOption(LIST),
      encodeOption(GO, infoRequest('e9.9')),
      encodeOption(GO, Buffer.alloc(8200)).subarray(0, 16 + 8200),
      encodeOption(GO, infoRequest('e10.3', [3])),
      encodeCommand({ type: 0, cookie: 7n, offset: 0n, length: 512 }),
      encodeCommand({ type: 2, cookie: 8n, offset: 0n, length: 0 }),
    ]);
    const whole = open();
    const expected = whole.wire.exchange(whole.session, script);
    expect(whole.session.finished).toBe(true);
    for (let split = 0; split <= script.length; split++) {
      // The zeroes of the long option are all alike; every tenth of them is enough.
      if (split > 160 && split < script.length - 120 && split % 10 !== 0) continue;
      const { wire, session } = open(['e10.3'], { poison: split % 256 });
      const first = wire.exchange(session, script.subarray(0, split));
      const second = wire.exchange(session, script.subarray(split));
      expect(Buffer.concat([first, second]).equals(expected)).toBe(true);
    }
    for (const size of [1, 2, 3, 5, 7, 19]) {
      const { wire, session } = open();
      expect(wire.exchange(session, script, size, size).equals(expected)).toBe(true);
    }
  });
});
