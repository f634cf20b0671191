import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { decodeLinkMessages, encodeLinkDump } from '../../src/system/rtnetlink.ts';

/** A link message as the kernel lays it out, built by hand: veth `v0` (index 9, up, no carrier), port of bridge 4, MTU 9000. */
function linkMessage(type: number, family: number): Buffer {
  const attribute = (kind: number, value: Buffer) => {
    const padded = Buffer.alloc(4 + Math.ceil(value.length / 4) * 4);
    padded.writeUInt16LE(4 + value.length, 0);
    padded.writeUInt16LE(kind, 2);
    value.copy(padded, 4);
    return padded;
  };
  const nested = 0x8000;
  const body = Buffer.concat([
    Buffer.from([family, 0, 1, 0, 9, 0, 0, 0, 0x03, 0x10, 0, 0, 0, 0, 0, 0]),
    attribute(3, Buffer.from('v0\0')),
    attribute(1, Buffer.from([2, 0, 0x5e, 0x10, 0, 0xfe])),
    attribute(4, Buffer.from([0x28, 0x23, 0, 0])),
    attribute(10, Buffer.from([4, 0, 0, 0])),
    attribute(18 | nested, Buffer.concat([attribute(1, Buffer.from('veth\0')), attribute(4, Buffer.from('bridge\0'))])),
  ]);
  const header = Buffer.alloc(16);
  header.writeUInt32LE(16 + body.length, 0);
  header.writeUInt16LE(type, 4);
  return Buffer.concat([header, body]);
}

const RTM_NEWLINK = 16;
const RTM_DELLINK = 17;
const AF_BRIDGE = 7;
const DONE = Buffer.from([20, 0, 0, 0, 3, 0, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
const ERROR = Buffer.from([20, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]);

test('decodeLinkMessages() reads what a link message says', () => {
  const [message, ...rest] = decodeLinkMessages(linkMessage(RTM_NEWLINK, 0));
  expect(rest).toEqual([]);
  expect(message).toEqual({
    type: 'link',
    interrupted: false,
    link: {
      ...{ index: 9, name: 'v0', mac: Uint8Array.of(2, 0, 0x5e, 0x10, 0, 0xfe), macText: '02:00:5e:10:00:fe', mtu: 9000 },
      ...{ up: true, running: false, loopback: false, ethernet: true, kind: 'veth', masterIndex: 4, masterKind: 'bridge' },
    },
  });
});

test('decodeLinkMessages() tells a deletion from a port that left its bridge', () => {
  expect(decodeLinkMessages(linkMessage(RTM_DELLINK, 0))).toEqual([{ type: 'deleted', index: 9, name: 'v0' }]);
  expect(decodeLinkMessages(linkMessage(RTM_DELLINK, AF_BRIDGE))).toEqual([]);
});

test('decodeLinkMessages() reads several messages of a datagram', () => {
  const types = decodeLinkMessages(Buffer.concat([linkMessage(RTM_NEWLINK, 0), ERROR, DONE])).map((message) => message.type);
  expect(types).toEqual(['link', 'error', 'done']);
  expect(decodeLinkMessages(ERROR)).toEqual([{ type: 'error', errno: 1 }]);
  expect(decodeLinkMessages(DONE)).toEqual([{ type: 'done', interrupted: true }]);
});

test('decodeLinkMessages() never throws, whatever it is given', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => void decodeLinkMessages(Buffer.from(bytes))));
  const valid = Buffer.concat([linkMessage(RTM_NEWLINK, 0), DONE]);
  const edits = fc.array(fc.tuple(fc.nat(valid.length - 1), fc.nat(255)), { maxLength: 4 });
  fc.assert(
    fc.property(edits, fc.nat(valid.length), (changes, lengthBytes) => {
      const bytes = Buffer.from(valid.subarray(0, lengthBytes));
      for (const [at, value] of changes) if (at < lengthBytes) bytes[at] = value;
      decodeLinkMessages(bytes);
    }),
    { numRuns: 5000 },
  );
});

test('decodeLinkMessages() reads nothing past the length it is given', () => {
  const valid = linkMessage(RTM_NEWLINK, 0);
  for (let lengthBytes = 0; lengthBytes < valid.length; lengthBytes++) {
    expect(decodeLinkMessages(valid.subarray(0, lengthBytes))).toEqual([]);
  }
});

test('encodeLinkDump() is the request that the kernel documents', () => {
  expect(encodeLinkDump(7).toString('hex')).toBe(
    `28000000 1200 0103 07000000 00000000 ${'00'.repeat(16)} 0800 1d00 08000000`.replaceAll(' ', ''),
  );
});
