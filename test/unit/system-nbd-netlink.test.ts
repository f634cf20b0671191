import { describe, expect, test } from '@jest/globals';
import {
  decodeFamily,
  decodeGenericMessages,
  encodeGenericRequest,
  familyRequest,
  type GenericRequest,
} from '../../src/system/generic-netlink-codec.ts';
import { connectRequest, decodeIndex, disconnectRequest, reconfigureRequest } from '../../src/system/nbd-netlink-codec.ts';
import { NBD_CMD_CONNECT, NBD_CMD_LINK_DEAD } from '../../src/system/nbd-netlink-constants.ts';
import { nbdCommandName } from '../../src/system/nbd-netlink-names.ts';

/** Vectors that two kernels have accepted, with family 32. */

const FAMILY = 32;
const IDENTIFIER = 'vol-A';

function hex(request: GenericRequest, sequence: number): string {
  const bytes = encodeGenericRequest(request, sequence).toString('hex');
  return (bytes.match(/.{8}/g) ?? []).join(' ');
}

function bytesOf(text: string): Buffer {
  return Buffer.from(text.replaceAll(/\s/g, ''), 'hex');
}

describe('requests to the kernel', () => {
  test('familyRequest() asks the controller by name', () => {
    expect(hex(familyRequest('nbd'), 1)).toBe('1c000000 10000500 01000000 00000000 03010000 08000200 6e626400');
  });

  test('connectRequest() names everything but an index when none was asked for', () => {
    const request = connectRequest(FAMILY, {
      ...{ sizeBytes: 256n << 20n, blockBytes: 4096, timeoutSeconds: 0, serverFlags: 0x2d, deadConnectionSeconds: 600 },
      ...{ identifier: IDENTIFIER, socket: 18 },
    });
    expect(hex(request, 2)).toBe(
      '6c000000 20000500 02000000 00000000 01010000 0c000200 00000010 00000000 ' +
        '0c000300 00100000 00000000 0c000400 00000000 00000000 0c000500 2d000000 ' +
        '00000000 0c000800 58020000 00000000 0a000a00 766f6c2d 41000000 10000700 ' +
        '0c000100 08000100 12000000',
    );
  });

  test('connectRequest() names an index that was asked for, first', () => {
    const request = connectRequest(FAMILY, {
      ...{ index: 163, sizeBytes: 256n << 20n, blockBytes: 512, timeoutSeconds: 0, serverFlags: 1, deadConnectionSeconds: 600 },
      ...{ identifier: IDENTIFIER, socket: 18 },
    });
    expect(hex(request, 2)).toMatch(
      /^74000000 20000500 02000000 00000000 01010000 08000100 a3000000 0c000200 00000010 00000000 /,
    );
  });

  test('reconfigureRequest() for a new socket has index, identifier and socket only', () => {
    expect(hex(reconfigureRequest(FAMILY, { index: 0, identifier: IDENTIFIER, socket: 18 }), 3)).toBe(
      '38000000 20000500 03000000 00000000 03010000 08000100 00000000 0a000a00 766f6c2d 41000000 10000700 0c000100 08000100 12000000',
    );
  });

  test('reconfigureRequest() for a new size has index, size and identifier only', () => {
    expect(hex(reconfigureRequest(FAMILY, { index: 0, identifier: IDENTIFIER, sizeBytes: 384n << 20n }), 4)).toBe(
      '34000000 20000500 04000000 00000000 03010000 08000100 00000000 0c000200 00000018 00000000 0a000a00 766f6c2d 41000000',
    );
  });

  test('reconfigureRequest() carries timeouts, and sizes beyond 2^53', () => {
    const change = { index: 7, identifier: 'v', timeoutSeconds: 10, deadConnectionSeconds: 30, sizeBytes: (1n << 57n) - 512n };
    expect(hex(reconfigureRequest(FAMILY, change), 6)).toBe(
      '48000000 20000500 06000000 00000000 03010000 08000100 07000000 0c000200 00feffff ffffff01 ' +
        '0c000400 0a000000 00000000 0c000800 1e000000 00000000 06000a00 76000000',
    );
  });

  test('disconnectRequest() has the index only', () => {
    expect(hex(disconnectRequest(FAMILY, 0), 5)).toBe('1c000000 20000500 05000000 00000000 02010000 08000100 00000000');
  });
});

describe('messages of the kernel', () => {
  test('decodeIndex() reads the index of a CONNECT, and the acknowledgement follows', () => {
    const answer = bytesOf(
      '1c000000 20000000 02000000 00000000 01000000 08000100 03000000' +
        '24000000 02000001 02000000 00000000 00000000 6c000000 20000500 02000000 00000000',
    );
    const [connected, ack] = decodeGenericMessages(answer);
    expect(decodeIndex(connected, FAMILY, NBD_CMD_CONNECT)).toBe(3);
    expect(decodeIndex(connected, FAMILY, NBD_CMD_LINK_DEAD)).toBeUndefined();
    expect(decodeIndex(connected, FAMILY + 1, NBD_CMD_CONNECT)).toBeUndefined();
    expect(ack).toEqual({ type: 'ack', sequence: 2, errno: 0, text: '' });
    expect(decodeIndex(ack, FAMILY, NBD_CMD_CONNECT)).toBeUndefined();
  });

  test('decodeGenericMessages() finds the text of an error behind the repeated request, and where that is capped', () => {
    const whole = '18000000 20000500 07000000 00000000 02010000 00000000';
    const text = '0d000100 6e6f2069 6e646578 00000000';
    const repeated = bytesOf(`3c000000 02000002 07000000 00000000 eaffffff ${whole} ${text}`);
    expect(decodeGenericMessages(repeated)).toEqual([{ type: 'ack', sequence: 7, errno: 22, text: 'no index' }]);
    const capped = bytesOf(`34000000 02000003 07000000 00000000 eaffffff 18000000 20000500 07000000 00000000 ${text}`);
    expect(decodeGenericMessages(capped)).toEqual([{ type: 'ack', sequence: 7, errno: 22, text: 'no index' }]);
  });

  test('decodeFamily() reads id, highest attribute and groups', () => {
    const answer = bytesOf(
      '54000000 10000000 01000000 00000000 01020000' +
        '08000200 6e626400 06000100 20000000 08000300 01000000 08000500 0a000000' +
        '24000780 20000180 08000200 09000000 11000100 6e62645f 6d635f67 726f7570 00000000',
    );
    answer.writeUInt32LE(answer.length, 0);
    const [message] = decodeGenericMessages(answer);
    const family = message.type === 'message' ? decodeFamily(message.attributes) : undefined;
    expect(family).toEqual({ id: 32, attributesMax: 10, groups: new Map([['nbd_mc_group', 9]]) });
  });

  test('decodeFamily() makes nothing of an answer without an id', () => {
    expect(decodeFamily(new Map())).toBeUndefined();
    expect(decodeFamily(new Map([[1, Buffer.alloc(1)]]))).toBeUndefined();
  });
});

test('nbdCommandName() is total', () => {
  expect([nbdCommandName(1), nbdCommandName(4), nbdCommandName(99)]).toEqual([
    'NBD_CMD_CONNECT',
    'NBD_CMD_LINK_DEAD',
    'NBD_CMD_99',
  ]);
});
