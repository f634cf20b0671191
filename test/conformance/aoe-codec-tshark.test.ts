import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { parseMac } from '../../src/aoe/address.ts';
import {
  writeAtaStatus,
  writeFlushRequest,
  writeIdentifyRequest,
  writeReadRequest,
  writeTrimRequest,
  writeWriteRequest,
} from '../../src/aoe/ata.ts';
import { writeConfigRequest } from '../../src/aoe/config.ts';
import {
  COMMAND_ATA,
  COMMAND_CONFIG,
  VERSION_FLAGS_ERROR,
  VERSION_FLAGS_REQUEST,
  VERSION_FLAGS_RESPONSE,
} from '../../src/aoe/constants.ts';
import { padFrame, writeCommon, writeEthernet } from '../../src/aoe/header.ts';
import { command, describeIf } from '../support/requires.ts';

/** What our encoders write, read by Wireshark's dissector: whoever wrote that has not seen our code. */

const HERE = '02:00:00:00:0a:01';
const THERE = '02:00:00:00:0b:01';
const TAG = 0x8abc_def0;

/** Fields in the order in which tshark is asked for them; booleans come as 0 and 1. */
const FIELDS = [
  ...['eth.dst', 'eth.src', 'eth.type', 'aoe.version', 'aoe.response', 'aoe.flags_error', 'aoe.error'],
  ...['aoe.major', 'aoe.minor', 'aoe.cmd', 'aoe.tag'],
  ...['aoe.aflags.e', 'aoe.aflags.d', 'aoe.aflags.a', 'aoe.aflags.w', 'aoe.err_feature', 'aoe.sector_count'],
  ...['aoe.ata.cmd', 'aoe.ata.status', 'aoe.lba'],
] as const;

type Dissected = Record<(typeof FIELDS)[number], string>;

interface Vector {
  readonly name: string;
  readonly versionFlags: number;
  readonly error?: number;
  readonly command?: number;
  readonly write: (view: DataView) => number | void;
  readonly expected: Partial<Record<(typeof FIELDS)[number], string | number>>;
}

const LBA = 0x0102_0304_0506;
const VECTORS: readonly Vector[] = [
  {
    name: 'an extended read',
    versionFlags: VERSION_FLAGS_REQUEST,
    write: (view) => writeReadRequest(view, 0, LBA, 17, true),
    expected: { 'aoe.aflags.e': 1, 'aoe.aflags.w': 0, 'aoe.ata.cmd': 0x24, 'aoe.sector_count': 17, 'aoe.lba': LBA },
  },
  {
    name: 'an extended write',
    versionFlags: VERSION_FLAGS_REQUEST,
    write: (view) => (writeWriteRequest(view, 0, LBA, 1, true), 36 + 512),
    expected: { 'aoe.aflags.e': 1, 'aoe.aflags.w': 1, 'aoe.ata.cmd': 0x34, 'aoe.sector_count': 1, 'aoe.lba': LBA },
  },
  {
    name: 'a 28-bit read, device bits above the LBA',
    versionFlags: VERSION_FLAGS_REQUEST,
    write: (view) => writeReadRequest(view, 0, 0x0abc_def1, 2, false),
    expected: { 'aoe.aflags.e': 0, 'aoe.ata.cmd': 0x20, 'aoe.lba': 0xeabc_def1 },
  },
  {
    name: 'a flush',
    versionFlags: VERSION_FLAGS_REQUEST,
    write: (view) => writeFlushRequest(view, 0, true),
    expected: { 'aoe.aflags.e': 1, 'aoe.aflags.w': 0, 'aoe.ata.cmd': 0xea, 'aoe.sector_count': 0, 'aoe.lba': 0 },
  },
  {
    name: 'IDENTIFY',
    versionFlags: VERSION_FLAGS_REQUEST,
    write: (view) => writeIdentifyRequest(view, 0),
    expected: { 'aoe.aflags.e': 0, 'aoe.aflags.d': 0, 'aoe.aflags.a': 0, 'aoe.ata.cmd': 0xec, 'aoe.sector_count': 1 },
  },
  {
    name: 'a trim',
    versionFlags: VERSION_FLAGS_REQUEST,
    write: (view) => (writeTrimRequest(view, 0, 1), 36 + 512),
    expected: { 'aoe.aflags.w': 1, 'aoe.ata.cmd': 0x06, 'aoe.err_feature': 1, 'aoe.sector_count': 1 },
  },
  {
    name: 'a failed answer of the disk',
    versionFlags: VERSION_FLAGS_RESPONSE,
    write: (view) => {
      writeReadRequest(view, 0, LBA, 1, true);
      writeAtaStatus(view, 0, 0x41, 0x10);
    },
    expected: { 'aoe.response': 1, 'aoe.flags_error': 0, 'aoe.ata.status': 0x41, 'aoe.err_feature': 0x10 },
  },
  {
    name: 'an AoE error',
    versionFlags: VERSION_FLAGS_ERROR,
    error: 6,
    write: () => 36,
    expected: { 'aoe.response': 1, 'aoe.flags_error': 1, 'aoe.error': 6 },
  },
  {
    name: 'a config query',
    versionFlags: VERSION_FLAGS_REQUEST,
    command: COMMAND_CONFIG,
    write: (view) => writeConfigRequest(view, 0, 0),
    expected: { 'aoe.cmd': 1, 'aoe.response': 0 },
  },
];

function frameOf({ versionFlags, error = 0, command: aoeCommand = COMMAND_ATA, write }: Vector): Uint8Array {
  const bytes = new Uint8Array(2048);
  const view = new DataView(bytes.buffer);
  writeEthernet(view, 0, parseMac(THERE), parseMac(HERE));
  writeCommon(view, 0, versionFlags, error, 10, 3, aoeCommand, TAG);
  return bytes.subarray(0, padFrame(bytes, 0, write(view) ?? 36));
}

/** A capture file (pcap 2.4, Ethernet) as libpcap reads it. */
function pcapOf(frames: readonly Uint8Array[]): Buffer {
  const header = Buffer.alloc(24);
  header.writeUInt32LE(0xa1b2_c3d4, 0);
  header.writeUInt16LE(2, 4);
  header.writeUInt16LE(4, 6);
  header.writeUInt32LE(65_535, 16);
  header.writeUInt32LE(1, 20);
  const records = frames.flatMap((frame, second) => {
    const record = Buffer.alloc(16);
    record.writeUInt32LE(second, 0);
    record.writeUInt32LE(frame.length, 8);
    record.writeUInt32LE(frame.length, 12);
    return [record, frame];
  });
  return Buffer.concat([header, ...records]);
}

describeIf([command('tshark')], 'codecs and Wireshark', () => {
  let folder = '';
  let dissected: Dissected[] = [];

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'aoe-csi-tshark-'));
    const path = join(folder, 'frames.pcap');
    writeFileSync(path, pcapOf(VECTORS.map(frameOf)));
    // Requests and answers are told apart by their flags, not by the conversation they belong to.
    const words = ['-r', path, '-T', 'fields', '-E', 'separator=,', ...FIELDS.flatMap((field) => ['-e', field])];
    dissected = execFileSync('tshark', words, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'], timeout: 60_000 })
      .trimEnd()
      .split('\n')
      .map((line) => Object.fromEntries(line.split(',').map((value, index) => [FIELDS[index], value])) as Dissected);
  }, 60_000);

  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test('reads every frame, with our header on it', () => {
    expect(dissected).toHaveLength(VECTORS.length);
    for (const fields of dissected) {
      expect([fields['eth.dst'], fields['eth.src']]).toEqual([THERE, HERE]);
      expect(
        ['eth.type', 'aoe.version', 'aoe.major', 'aoe.minor', 'aoe.tag'].map((name) => numberOf(fields[name as 'aoe.tag'])),
      ).toEqual([0x88a2, 1, 10, 3, TAG]);
    }
  });

  test.each(VECTORS.map(({ name, expected }, index) => [name, expected, index] as const))(
    'reads %s as it was meant',
    (_name, expected, index) => {
      const found = Object.keys(expected).map((field) => [field, numberOf(dissected[index][field as 'aoe.tag'])]);
      expect(Object.fromEntries(found)).toEqual(expected);
    },
  );
});

/** tshark prints numbers in decimal or hex, booleans as 0 and 1 or in words. */
function numberOf(text: string): number {
  if (/^true$/i.test(text)) return 1;
  return /^false$/i.test(text) ? 0 : Number(text);
}
