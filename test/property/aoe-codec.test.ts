import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { formatMac, formatTargetAddress, parseMac, parseTargetAddress, readMac, writeMac } from '../../src/aoe/address.ts';
import {
  AtaRequest,
  AtaResponse,
  readAtaRequest,
  readAtaResponse,
  readLba48,
  writeLba48,
  writeReadRequest,
} from '../../src/aoe/ata.ts';
import { configStringText, readConfigRequestString, readConfigResponse, writeConfigResponse } from '../../src/aoe/config.ts';
import { COMMAND_ATA, FLAG_ERROR } from '../../src/aoe/constants.ts';
import { checkFrame, checkRequest, checkResponse, FRAME_OK } from '../../src/aoe/header.ts';
import { decodeIdentify, encodeIdentify } from '../../src/aoe/identify.ts';
import { readMask, writeMaskList } from '../../src/aoe/mask.ts';
import { ataStatusText, aoeErrorName, ataCommandName, commandName } from '../../src/aoe/names.ts';
import { readReserve, writeReserve } from '../../src/aoe/reserve.ts';

/** Bytes in front of the frame, so that reading before its start is seen as well: they differ from run to run. */
const FRONT = 5;

/** Short ones, where limits are, and long ones, which fast-check makes only when told so. */
const bytesUpTo = (maxLength: number): fc.Arbitrary<Uint8Array> =>
  fc.oneof(fc.uint8Array({ maxLength: 80, size: 'max' }), fc.uint8Array({ maxLength, size: 'max' }));

/**
 * A frame in a view that ends with the frame's last byte: a decoder that reads one byte further throws RangeError. Half of
 * the frames begin like AoE, so that decoders are reached at all.
 */
const frames = fc
  .tuple(bytesUpTo(1200), fc.boolean(), fc.constantFrom(0x10, 0x18, 0x1c, 0x08, 0x20), fc.integer({ min: 0, max: 5 }))
  .map(([bytes, looksLikeAoe, versionFlags, command]) => {
    const all = new Uint8Array(FRONT + bytes.length).fill(0xff);
    all.set(bytes, FRONT);
    if (looksLikeAoe && bytes.length >= 24) {
      all.set([0x88, 0xa2, versionFlags], FRONT + 12);
      all[FRONT + 19] = command;
    }
    return { view: new DataView(all.buffer), length: bytes.length };
  });

const macs = fc.integer({ min: 0, max: 2 ** 48 - 1 });
const lbas = fc.integer({ min: 0, max: 2 ** 48 - 1 });

function room(sizeBytes: number): DataView {
  return new DataView(new ArrayBuffer(sizeBytes));
}

describe('decoders', () => {
  test('every decoder returns without reading past the frame when given arbitrary bytes', () => {
    const request = new AtaRequest();
    const response = new AtaResponse();
    fc.assert(
      fc.property(frames, ({ view, length }) => {
        readConfigResponse(view, FRONT, length);
        readConfigRequestString(view, FRONT, length);
        readMask(view, FRONT, length);
        readReserve(view, FRONT, length);
        decodeIdentify(view, FRONT, length);
        if (checkFrame(view, FRONT, length) !== FRAME_OK) return;
        const isError = (view.getUint8(FRONT + 14) & FLAG_ERROR) !== 0;
        if (view.getUint8(FRONT + 19) !== COMMAND_ATA) return;
        if (checkRequest(view, FRONT, length) === FRAME_OK) readAtaRequest(view, FRONT, length, request);
        else if (checkResponse(view, FRONT, length) === FRAME_OK && !isError) readAtaResponse(view, FRONT, length, response);
      }),
      { numRuns: 2000 },
    );
  });

  test('decodeIdentify() keeps every field inside its limits when the block is arbitrary', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 512, maxLength: 512 }), (bytes) => {
        const identity = decodeIdentify(new DataView(bytes.buffer, bytes.byteOffset), 0, 512);
        expect(identity).toBeDefined();
        if (identity === undefined) return;
        expect(identity.sectors).toBeLessThan(2 ** 48);
        expect(identity.sectors).toBeGreaterThanOrEqual(0);
        expect(identity.serial + identity.firmware + identity.model).toMatch(/^[ -~]*$/);
        expect(identity.logicalSectorBytes).toBeLessThanOrEqual(65_536);
        expect(identity.physicalSectorBytes).toBeLessThanOrEqual(65_536 * 32_768);
      }),
    );
  });

  test('names are printable when the number is arbitrary', () => {
    fc.assert(
      fc.property(fc.nat(255), fc.nat(255), (a, b) => {
        for (const text of [ataStatusText(a, b), aoeErrorName(a), ataCommandName(a), commandName(a)]) {
          expect(text).toMatch(/^[ -~]+$/);
        }
      }),
    );
  });

  test('configStringText() is printable when the string is arbitrary', () => {
    fc.assert(fc.property(bytesUpTo(1024), (bytes) => expect(configStringText(bytes)).toMatch(/^[ -~]*$/)));
  });
});

describe('round trips', () => {
  test('addresses and MACs survive text and wire', () => {
    fc.assert(
      fc.property(fc.nat(65534), fc.nat(254), macs, (shelf, slot, mac) => {
        expect(parseTargetAddress(formatTargetAddress(shelf, slot))).toEqual({ shelf, slot });
        expect(parseMac(formatMac(mac))).toBe(mac);
        const view = room(8);
        writeMac(view, 1, mac);
        expect(readMac(view, 1)).toBe(mac);
        expect([view.getUint8(0), view.getUint8(7)]).toEqual([0, 0]);
      }),
    );
  });

  test('an LBA survives the wire and touches six bytes', () => {
    fc.assert(
      fc.property(lbas, (lba) => {
        const view = room(8);
        writeLba48(view, 1, lba);
        expect(readLba48(view, 1)).toBe(lba);
        expect([view.getUint8(0), view.getUint8(7)]).toEqual([0, 0]);
      }),
    );
  });

  test('a read request survives the wire', () => {
    const request = new AtaRequest();
    fc.assert(
      fc.property(lbas, fc.integer({ min: 1, max: 255 }), fc.boolean(), (lba, sectors, extended) => {
        const view = room(36);
        const first = extended ? lba : lba % 2 ** 28;
        writeReadRequest(view, 0, first, sectors, extended);
        readAtaRequest(view, 0, 36, request);
        expect([request.lba, request.sectors, request.dataLength]).toEqual([first, sectors, 0]);
      }),
    );
  });

  test('config responses, mask lists and reserve lists survive the wire', () => {
    const facts = { bufferCount: 65535, firmware: 1, sectorsPerFrame: 255 };
    fc.assert(
      fc.property(bytesUpTo(1024), fc.array(macs, { maxLength: 255, size: 'max' }), fc.nat(4), (string, list, command) => {
        const view = room(2200);
        const configLength = writeConfigResponse(view, 0, facts, command, string);
        expect(readConfigResponse(view, 0, configLength)).toEqual({ ...facts, command, string: new Uint8Array(string) });
        const maskLength = writeMaskList(view, 0, 0, list);
        expect(readMask(view, 0, maskLength)?.directives.map(({ mac }) => mac)).toEqual(list);
        const reserveLength = writeReserve(view, 0, 2, list);
        expect(readReserve(view, 0, reserveLength)).toEqual({ command: 2, macs: list });
      }),
    );
  });

  test('IDENTIFY survives the wire', () => {
    const text = (max: number): fc.Arbitrary<string> => fc.stringMatching(/^[!-~]*$/).map((s) => s.slice(0, max));
    const identities = fc.record({
      serial: text(20),
      firmware: text(8),
      model: text(40),
      sectors: lbas,
      lba48: fc.constant(true),
      flush: fc.constantFrom('ext' as const, 'plain' as const, 'none' as const),
      trim: fc.constant(true),
      trimBlocksMax: fc.nat(65535),
      readZeroAfterTrim: fc.boolean(),
      physicalSectorBytes: fc.constantFrom(4096, 8192, 65_536),
      logicalSectorBytes: fc.constantFrom(512, 1024, 4096),
      rotational: fc.boolean(),
    });
    fc.assert(
      fc.property(identities, (identity) => {
        const view = room(512);
        encodeIdentify(view, 0, identity);
        expect(decodeIdentify(view, 0, 512)).toEqual(identity);
      }),
    );
  });
});
