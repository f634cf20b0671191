import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { decodeFamily, decodeGenericMessages, encodeGenericRequest } from '../../src/system/generic-netlink-codec.ts';
import { connectRequest, decodeIndex, reconfigureRequest } from '../../src/system/nbd-netlink-codec.ts';
import { NBD_CMD_CONNECT, NBD_CMD_RECONFIGURE } from '../../src/system/nbd-netlink-constants.ts';
import { decodeAttributes, encodeAttribute } from '../../src/system/netlink-codec.ts';

const FAMILY = 32;

/** Everything that is made of a datagram. */
function decodeAll(bytes: Buffer): unknown[] {
  return decodeGenericMessages(bytes).map((message) => [
    message,
    decodeIndex(message, FAMILY, NBD_CMD_CONNECT),
    message.type === 'message' ? decodeFamily(message.attributes) : message.errno,
  ]);
}

const text = fc.string({ unit: 'grapheme-ascii', maxLength: 64 });
const connects = fc.record({
  ...{ sizeBytes: fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }), blockBytes: fc.nat(65_536), timeoutSeconds: fc.nat() },
  ...{ serverFlags: fc.nat(), deadConnectionSeconds: fc.nat(), identifier: text, socket: fc.nat() },
});

test('no decoder throws, whatever it is given', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => void decodeAll(Buffer.from(bytes))));
  const edits = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 });
  const types = fc.constantFrom(2, 0x10, FAMILY);
  fc.assert(
    fc.property(connects, types, edits, fc.nat(), (connect, family, changes, cut) => {
      const whole = encodeGenericRequest(connectRequest(family, connect), 1);
      const bytes = Buffer.from(whole.subarray(0, cut % (whole.length + 1)));
      for (const [at, value] of changes) if (bytes.length > 0) bytes[at % bytes.length] = value;
      decodeAll(bytes);
    }),
    { numRuns: 2_000 },
  );
});

test('nothing is read past the length of a datagram', () => {
  fc.assert(
    fc.property(connects, fc.nat(), (connect, cut) => {
      const whole = encodeGenericRequest(connectRequest(FAMILY, connect), 1);
      const behind = Buffer.concat([whole.subarray(0, cut % whole.length), whole]);
      expect(decodeAll(behind.subarray(0, cut % whole.length))).toEqual([]);
    }),
  );
});

test('attributes come back as they were encoded', () => {
  const attributes = fc.uniqueArray(fc.tuple(fc.integer({ min: 1, max: 0x3fff }), fc.uint8Array({ maxLength: 64 })), {
    selector: ([type]) => type,
  });
  fc.assert(
    fc.property(attributes, (given) => {
      const encoded = Buffer.concat(given.map(([type, data]) => encodeAttribute(type, Buffer.from(data))));
      expect(encoded.length % 4).toBe(0);
      expect([...decodeAttributes(encoded)]).toEqual(given.map(([type, data]) => [type, Buffer.from(data)]));
    }),
  );
});

test('a new socket never travels with a size', () => {
  fc.assert(
    fc.property(fc.nat(), text, fc.nat(), (index, identifier, socket) => {
      const [message] = decodeGenericMessages(encodeGenericRequest(reconfigureRequest(FAMILY, { index, identifier, socket }), 1));
      expect(decodeIndex(message, FAMILY, NBD_CMD_RECONFIGURE)).toBe(index);
      expect(message.type === 'message' && [...message.attributes.keys()]).toEqual([1, 10, 7]);
    }),
  );
});
