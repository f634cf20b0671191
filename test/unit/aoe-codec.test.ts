import { describe, expect, test } from '@jest/globals';
import {
  AddressError,
  formatMac,
  formatTargetAddress,
  isStationMac,
  MAC_BROADCAST,
  parseMac,
  parseTargetAddress,
  readMac,
  targetKey,
  writeMac,
} from '../../src/aoe/address.ts';
import {
  AtaRequest,
  AtaResponse,
  readAtaRequest,
  readAtaResponse,
  ataFailed,
  readLba28,
  readTrimRangeLba,
  readTrimRangeSectors,
  writeFlushRequest,
  writeIdentifyRequest,
  writeReadRequest,
  writeTrimRange,
  writeTrimRequest,
  writeWriteRequest,
} from '../../src/aoe/ata.ts';
import { configStringText, readConfigResponse, writeConfigRequest, writeConfigResponse } from '../../src/aoe/config.ts';
import {
  COMMAND_ATA,
  COMMAND_CONFIG,
  VERSION_FLAGS_ERROR,
  VERSION_FLAGS_REQUEST,
  VERSION_FLAGS_RESPONSE,
} from '../../src/aoe/constants.ts';
import {
  checkFrame,
  checkRequest,
  checkResponse,
  FRAME_OK,
  frameRefusalName,
  padFrame,
  REFUSED_ARGUMENT,
  REFUSED_DIRECTION,
  REFUSED_ETHERTYPE,
  REFUSED_SHORT,
  REFUSED_VERSION,
  writeCommon,
  writeEthernet,
} from '../../src/aoe/header.ts';
import { decodeIdentify, encodeIdentify, IDENTIFY_BYTES, type Identity } from '../../src/aoe/identify.ts';
import { readMask, writeMaskEdit, writeMaskFailure, writeMaskList } from '../../src/aoe/mask.ts';
import { aoeErrorName, ataCommandName, ataStatusText, commandName } from '../../src/aoe/names.ts';
import { readReserve, writeReserve } from '../../src/aoe/reserve.ts';

const HERE = parseMac('02:00:00:00:0a:01');
const THERE = parseMac('02:00:00:00:0a:02');

interface Frame {
  bytes: Uint8Array;
  view: DataView;
}

function emptyFrame(sizeBytes = 2048): Frame {
  const bytes = new Uint8Array(sizeBytes);
  return { bytes, view: new DataView(bytes.buffer) };
}

function frameOf(versionFlags: number, command: number): Frame {
  const frame = emptyFrame();
  writeEthernet(frame.view, 0, THERE, HERE);
  writeCommon(frame.view, 0, versionFlags, 0, 10, 3, command, 0x80000001);
  return frame;
}

function hexOf(bytes: Uint8Array, from: number, to: number): string {
  return Buffer.from(bytes.subarray(from, to)).toString('hex');
}

describe('target addresses', () => {
  test('parseTargetAddress() reads shelf and slot when both are in range', () => {
    expect(parseTargetAddress('e10.3')).toEqual({ shelf: 10, slot: 3 });
    expect(parseTargetAddress('e0.0')).toEqual({ shelf: 0, slot: 0 });
    expect(parseTargetAddress('e65534.254')).toEqual({ shelf: 65534, slot: 254 });
    expect(formatTargetAddress(10, 3)).toBe('e10.3');
    expect(targetKey(10, 3)).toBe(0x0a03);
  });

  test.each([
    '',
    'e',
    '10.3',
    'e10',
    'e10.',
    'e10.3 ',
    ' e10.3',
    'E10.3',
    'e010.3',
    'e10.03',
    'e-1.3',
    'e1.3p1',
    'e1e1.3',
    'e100000.3',
  ])('parseTargetAddress() says what to write when given %p', (text) => {
    expect(() => parseTargetAddress(text)).toThrow(AddressError);
    expect(() => parseTargetAddress(text)).toThrow(/e10\.3/);
  });

  test('parseTargetAddress() names the range when a number is a wildcard or beyond', () => {
    expect(() => parseTargetAddress('e65535.3')).toThrow("shelf 65535 of 'e65535.3' is out of range");
    expect(() => parseTargetAddress('e1.255')).toThrow("slot 255 of 'e1.255' is out of range");
  });
});

describe('MAC addresses', () => {
  test('parseMac() reads the three usual notations', () => {
    expect(parseMac('02:00:00:00:0A:01')).toBe(0x020000000a01);
    expect(parseMac('02-00-00-00-0a-01')).toBe(0x020000000a01);
    expect(parseMac('020000000a01')).toBe(0x020000000a01);
    expect(formatMac(0x020000000a01)).toBe('02:00:00:00:0a:01');
    expect(formatMac(1)).toBe('00:00:00:00:00:01');
  });

  test.each(['', '02:00', '02:00:00:00:0a:0g', '02:00-00:00:0a:01', '02:00:00:00:0a:01:02', '2:0:0:0:a:1'])(
    'parseMac() says what to write when given %p',
    (text) => expect(() => parseMac(text)).toThrow(/is not a MAC address; write six hex octets/),
  );

  test('writeMac() puts the first octet first', () => {
    const { bytes, view } = emptyFrame();
    writeMac(view, 3, 0xfedcba987654);
    expect(hexOf(bytes, 2, 10)).toBe('00fedcba98765400');
    expect(readMac(view, 3)).toBe(0xfedcba987654);
  });

  test('isStationMac() is false when the address is a group or nobody', () => {
    expect(isStationMac(HERE)).toBe(true);
    expect(isStationMac(MAC_BROADCAST)).toBe(false);
    expect(isStationMac(parseMac('01:00:5e:00:00:01'))).toBe(false);
    expect(isStationMac(0)).toBe(false);
  });
});

describe('frame header', () => {
  test('writeEthernet() and writeCommon() write the 24 bytes of AoEr11 §2', () => {
    const { bytes } = frameOf(VERSION_FLAGS_REQUEST, COMMAND_CONFIG);
    expect(hexOf(bytes, 0, 24)).toBe('020000000a02020000000a0188a21000000a030180000001');
  });

  test('padFrame() zeroes what was there when the frame is short', () => {
    const { bytes } = emptyFrame();
    bytes.fill(0xaa);
    expect(padFrame(bytes, 8, 32)).toBe(60);
    expect(hexOf(bytes, 8 + 31, 8 + 33)).toBe('aa00');
    expect(hexOf(bytes, 8 + 59, 8 + 61)).toBe('00aa');
    expect(padFrame(bytes, 8, 61)).toBe(61);
  });

  test('checkFrame() refuses with the reason when a frame is not AoE', () => {
    const { view } = frameOf(VERSION_FLAGS_REQUEST, COMMAND_ATA);
    expect(checkFrame(view, 0, 23)).toBe(REFUSED_SHORT);
    expect(checkFrame(view, 0, 35)).toBe(REFUSED_ARGUMENT);
    expect(checkFrame(view, 0, 36)).toBe(FRAME_OK);
    view.setUint16(12, 0x0800);
    expect(checkFrame(view, 0, 60)).toBe(REFUSED_ETHERTYPE);
    expect(frameRefusalName(REFUSED_ETHERTYPE)).toBe('not AoE (EtherType)');
  });

  test('checkResponse() tolerates version 0 only when it is a config response (vblade announces so)', () => {
    expect(checkResponse(frameOf(0x08, COMMAND_CONFIG).view, 0, 32)).toBe(FRAME_OK);
    expect(checkResponse(frameOf(0x08, COMMAND_ATA).view, 0, 36)).toBe(REFUSED_VERSION);
    expect(checkResponse(frameOf(0x28, COMMAND_CONFIG).view, 0, 32)).toBe(REFUSED_VERSION);
  });

  test('checkResponse() accepts a bare header when the E flag is set (ggaoed answers so)', () => {
    expect(checkResponse(frameOf(VERSION_FLAGS_ERROR, COMMAND_ATA).view, 0, 24)).toBe(FRAME_OK);
    expect(checkResponse(frameOf(VERSION_FLAGS_RESPONSE, COMMAND_ATA).view, 0, 24)).toBe(REFUSED_ARGUMENT);
  });

  test("checkResponse() and checkRequest() refuse each other's frames", () => {
    expect(checkResponse(frameOf(VERSION_FLAGS_REQUEST, COMMAND_ATA).view, 0, 36)).toBe(REFUSED_DIRECTION);
    expect(checkRequest(frameOf(VERSION_FLAGS_RESPONSE, COMMAND_ATA).view, 0, 36)).toBe(REFUSED_DIRECTION);
    expect(checkRequest(frameOf(0x20, COMMAND_ATA).view, 0, 36)).toBe(FRAME_OK);
  });
});

describe('ATA requests', () => {
  test('writeReadRequest() writes 48 bits of LBA least significant byte first when extended', () => {
    const { bytes, view } = emptyFrame();
    writeReadRequest(view, 0, 0x010203040506, 16, true);
    expect(hexOf(bytes, 24, 36)).toBe('400010240605040302010000');
  });

  test('writeReadRequest() writes 28 bits and the device bits when not extended', () => {
    const { bytes, view } = emptyFrame();
    writeReadRequest(view, 0, 0x0fedcba9, 2, false);
    expect(hexOf(bytes, 24, 36)).toBe('00000220a9cbedef00000000');
    expect(readLba28(view, 28)).toBe(0x0fedcba9);
  });

  test('writeWriteRequest() sets W, and E together with the EXT opcode', () => {
    const { bytes, view } = emptyFrame();
    writeWriteRequest(view, 0, 1, 2, true);
    expect(hexOf(bytes, 24, 28)).toBe('41000234');
    writeWriteRequest(view, 0, 1, 2, false);
    expect(hexOf(bytes, 24, 28)).toBe('01000230');
  });

  test('writeFlushRequest() and writeIdentifyRequest() overwrite whatever the frame held', () => {
    const { bytes, view } = emptyFrame();
    bytes.fill(0xff);
    writeFlushRequest(view, 0, true);
    expect(hexOf(bytes, 24, 36)).toBe('400000ea0000000000000000');
    writeFlushRequest(view, 0, false);
    expect(hexOf(bytes, 24, 36)).toBe('000000e7000000e000000000');
    writeIdentifyRequest(view, 0);
    expect(hexOf(bytes, 24, 36)).toBe('000001ec000000e000000000');
  });

  test('writeTrimRange() packs ranges as DATA SET MANAGEMENT does', () => {
    const { bytes, view } = emptyFrame();
    writeTrimRequest(view, 0, 1);
    expect(hexOf(bytes, 24, 36)).toBe('410101060000000000000000');
    writeTrimRange(view, 36, 1, 0x010203040506, 0xffee);
    expect(hexOf(bytes, 44, 52)).toBe('060504030201eeff');
    expect(readTrimRangeLba(view, 36, 1)).toBe(0x010203040506);
    expect(readTrimRangeSectors(view, 36, 1)).toBe(0xffee);
  });

  test('readAtaRequest() takes the width of the LBA from the opcode when the E flag contradicts it', () => {
    const { view } = emptyFrame();
    const request = new AtaRequest();
    writeReadRequest(view, 0, 0xf00000001, 2, true);
    view.setUint8(24, 0);
    readAtaRequest(view, 0, 36, request);
    expect(request).toMatchObject({ lba: 0xf00000001, sectors: 2, opcode: 0x24, dataLength: 0 });
    view.setUint8(27, 0x20);
    readAtaRequest(view, 0, 36, request);
    expect(request.lba).toBe(1);
  });

  test('readAtaResponse() reports the bytes that are there, not the count that is claimed', () => {
    const { view } = emptyFrame();
    const response = new AtaResponse();
    view.setUint8(26, 16);
    view.setUint8(27, 0x41);
    view.setUint8(25, 0x10);
    readAtaResponse(view, 0, 36, response);
    expect(response).toEqual({ status: 0x41, error: 0x10, dataLength: 0 });
  });

  test("ataFailed() accepts status 0 (vblade's flush) and refuses BSY, DF, DRQ and ERR", () => {
    expect([0x00, 0x40, 0x50].map(ataFailed)).toEqual([false, false, false]);
    expect([0x80, 0x60, 0x48, 0x41].map(ataFailed)).toEqual([true, true, true, true]);
  });
});

const DISK: Identity = {
  serial: 'AOE-10-3',
  firmware: '0.1.0',
  model: 'aoe-csi target',
  sectors: 2 ** 41 + 7,
  lba48: true,
  flush: 'ext',
  trim: true,
  trimBlocksMax: 8,
  readZeroAfterTrim: true,
  physicalSectorBytes: 4096,
  logicalSectorBytes: 512,
  rotational: false,
};

describe('IDENTIFY', () => {
  test('decodeIdentify() returns what encodeIdentify() was given', () => {
    const { view } = emptyFrame();
    encodeIdentify(view, 36, DISK);
    expect(decodeIdentify(view, 36, IDENTIFY_BYTES)).toEqual(DISK);
    const small: Identity = {
      ...DISK,
      sectors: 1000,
      lba48: false,
      flush: 'plain',
      trim: false,
      trimBlocksMax: 0,
      readZeroAfterTrim: false,
      physicalSectorBytes: 4096,
      logicalSectorBytes: 4096,
      rotational: true,
    };
    encodeIdentify(view, 36, small);
    expect(decodeIdentify(view, 36, IDENTIFY_BYTES)).toEqual(small);
  });

  test("decodeIdentify() understands vblade's words: LBA48 and FLUSH CACHE, without a checksum", () => {
    const { view } = emptyFrame();
    view.setUint16(2 * 83, 0x5400, true);
    view.setUint16(2 * 86, 0x1400, true);
    view.setUint32(2 * 100, 2048, true);
    view.setUint16(2 * 103, 0xffff, true); // beyond 48 bits: not part of the size
    const identity = decodeIdentify(view, 0, 512);
    expect(identity).toMatchObject({ lba48: true, flush: 'plain', sectors: 2048, trim: false });
  });

  test("decodeIdentify() finds no flush when ggaoed's words offer none, or word 83 is not valid", () => {
    const { view } = emptyFrame();
    view.setUint16(2 * 83, 0x4400, true);
    expect(decodeIdentify(view, 0, 512)).toMatchObject({ lba48: true, flush: 'none' });
    view.setUint16(2 * 83, 0xffff, true);
    expect(decodeIdentify(view, 0, 512)).toMatchObject({ lba48: true, flush: 'none' });
  });

  test('decodeIdentify() makes strings safe to print when they hold control characters', () => {
    const { bytes, view } = emptyFrame();
    bytes.set([0x1b, 0x41, 0x00, 0x42, 0xff, 0x43], 20);
    expect(decodeIdentify(view, 0, 512)?.serial).toBe('A.B C.');
  });

  test('decodeIdentify() returns undefined when the block is cut off', () => {
    expect(decodeIdentify(new DataView(new ArrayBuffer(511)), 0, 511)).toBeUndefined();
  });

  test('encodeIdentify() adds a checksum, for those who look at it', () => {
    const { bytes, view } = emptyFrame();
    encodeIdentify(view, 36, DISK);
    const block = bytes.subarray(36, 36 + IDENTIFY_BYTES);
    expect([block[510], block.reduce((sum, byte) => (sum + byte) & 0xff, 0)]).toEqual([0xa5, 0]);
  });
});

describe('config, mask and reserve', () => {
  const bytesOf = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'latin1'));

  test('readConfigResponse() returns what writeConfigResponse() was given, whatever pads the frame', () => {
    const { view } = emptyFrame();
    const facts = { bufferCount: 128, firmware: 0x4019, sectorsPerFrame: 17 };
    expect(writeConfigResponse(view, 0, facts, 3, bytesOf('shelf'))).toBe(37);
    expect(readConfigResponse(view, 0, 60)).toEqual({ ...facts, command: 3, string: bytesOf('shelf') });
  });

  test('readConfigResponse() takes a sector count of 0 for 2', () => {
    const { view } = emptyFrame();
    expect(writeConfigRequest(view, 0, 0)).toBe(32);
    expect(readConfigResponse(view, 0, 32)).toMatchObject({ bufferCount: 0, sectorsPerFrame: 2 });
  });

  test('readConfigResponse() refuses when the string is longer than the frame or the limit', () => {
    const { view } = emptyFrame();
    writeConfigRequest(view, 0, 3, bytesOf('shelf'));
    expect(readConfigResponse(view, 0, 36)).toBeUndefined();
    view.setUint16(30, 1025);
    expect(readConfigResponse(view, 0, 2048)).toBeUndefined();
    expect(readConfigResponse(view, 0, 24)).toBeUndefined();
  });

  test('configStringText() escapes what a terminal would act on', () => {
    expect(configStringText(bytesOf('aoe-csi/1;\\\u001b[2J\u00e9'))).toBe('aoe-csi/1;\\x5c\\x1b[2J\\xe9');
  });

  test('readMask() returns the directives when the frame holds them, padded or not', () => {
    const { bytes, view } = emptyFrame();
    const directives = [
      { directive: 1, mac: HERE },
      { directive: 2, mac: THERE },
    ];
    expect(writeMaskEdit(view, 0, directives)).toBe(44);
    expect(hexOf(bytes, 24, 44)).toBe('000100020001020000000a010002020000000a02');
    expect(readMask(view, 0, 60)).toEqual({ command: 1, error: 0, count: 2, directives });
    expect(readMask(view, 0, 43)).toBeUndefined();
    expect(writeMaskList(view, 0, 0, [HERE])).toBe(36);
    expect(readMask(view, 0, 36)).toEqual({ command: 0, error: 0, count: 1, directives: [{ directive: 0, mac: HERE }] });
  });

  test('readMask() takes the count for progress when the edit failed', () => {
    const { view } = emptyFrame();
    expect(writeMaskFailure(view, 0, 3, 32)).toBe(28);
    expect(readMask(view, 0, 28)).toEqual({ command: 1, error: 3, count: 32, directives: [] });
  });

  test('readReserve() goes by the count when the frame is padded to 60 bytes', () => {
    const { bytes, view } = emptyFrame();
    expect(writeReserve(view, 0, 1, [HERE, THERE])).toBe(38);
    expect(hexOf(bytes, 24, 38)).toBe('0102020000000a01020000000a02');
    expect(readReserve(view, 0, 60)).toEqual({ command: 1, macs: [HERE, THERE] });
    expect(readReserve(view, 0, 37)).toBeUndefined();
  });
});

describe('names', () => {
  test('names are total: unknown numbers print as hex', () => {
    expect(commandName(0)).toBe('ATA');
    expect(commandName(4)).toBe('unknown command 0x04');
    expect(aoeErrorName(6)).toBe('target is reserved');
    expect(aoeErrorName(200)).toBe('unknown AoE error 0xc8');
    expect(ataCommandName(0xea)).toBe('FLUSH CACHE EXT');
  });

  test('ataStatusText() shows the error register only when the status has ERR', () => {
    expect(ataStatusText(0x41, 0x10)).toBe('status 0x41 (DRDY|ERR), error 0x10 (IDNF)');
    expect(ataStatusText(0x41, 0x04)).toBe('status 0x41 (DRDY|ERR), error 0x04 (ABRT): the command was refused');
    expect(ataStatusText(0x00, 0x77)).toBe('status 0x00');
  });
});
