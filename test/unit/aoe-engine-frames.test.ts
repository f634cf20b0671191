import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { MAC_BROADCAST, parseMac } from '../../src/aoe/address.ts';
import { writeAtaArgument } from '../../src/aoe/ata.ts';
import { writeConfigRequest } from '../../src/aoe/config.ts';
import {
  ATA_FLAG_EXTENDED,
  COMMAND_ATA,
  COMMAND_CONFIG,
  CONFIG_READ,
  LBA28_SECTORS_MAX,
  VERSION_FLAGS_REQUEST,
} from '../../src/aoe/constants.ts';
import { ataArgument, writeAtaHeader, writeConfigQuery } from '../../src/aoe/frame-writer.ts';
import { padFrame, writeCommon, writeEthernet } from '../../src/aoe/header.ts';
import { ATA_DATA, FRAME_BYTES_MIN } from '../../src/aoe/layout.ts';
import { Path } from '../../src/aoe/path.ts';
import { Port } from '../../src/aoe/port.ts';
import { Target } from '../../src/aoe/target.ts';
import { TransmitBatch } from '../../src/aoe/transmit-batch.ts';
import { ArenaPlan, plainArena } from '../../src/buffers/arena.ts';

const mac = fc.integer({ min: 1, max: 0xffff_ffff_ffff });
const byte = fc.integer({ min: 0, max: 255 });
const shelf = fc.integer({ min: 0, max: 0xfffe });
const tag = fc.integer({ min: -0x8000_0000, max: 0x7fff_ffff });

function pathOf(to: number, from: number, shelfNumber: number, slot: number): Path {
  const plan = new ArenaPlan();
  const offset = TransmitBatch.reserve(plan);
  const port = new Port(0, 'eth0', plainArena(plan.sizeBytes), offset);
  port.update({ name: 'eth0', mac: from, mtu: 1_500, up: true });
  return new Path(new Target(shelfNumber, slot), port, to);
}

/** A buffer whose old content must not show. */
function dirty(sizeBytes: number): DataView<ArrayBuffer> {
  return new DataView(new Uint8Array(sizeBytes).fill(0xee).buffer);
}

const bytesOf = (view: DataView): number[] => Array.from(new Uint8Array(view.buffer));

describe('frames of the hot path', () => {
  test('writeAtaHeader() writes what the readable codec writes, byte for byte', () => {
    fc.assert(
      fc.property(
        mac,
        mac,
        shelf,
        byte,
        tag,
        byte,
        byte,
        byte,
        fc.boolean(),
        fc.nat(2 ** 40),
        (to, from, sh, slot, t, feature, sectors, opcode, extended, big) => {
          const lba = extended ? big : big % LBA28_SECTORS_MAX;
          const flags = extended ? ATA_FLAG_EXTENDED : 0;
          const fast = dirty(ATA_DATA);
          writeAtaHeader(fast, 0, pathOf(to, from, sh, slot), t, ataArgument(flags, feature, sectors, opcode), lba, extended);
          const readable = dirty(ATA_DATA);
          writeEthernet(readable, 0, to, from);
          writeCommon(readable, 0, VERSION_FLAGS_REQUEST, 0, sh, slot, COMMAND_ATA, t >>> 0);
          writeAtaArgument(readable, 0, flags, feature, sectors, opcode, lba);
          expect(bytesOf(fast)).toEqual(bytesOf(readable));
        },
      ),
    );
  });

  test('writeAtaHeader() writes the largest LBAs of both forms', () => {
    for (const [lba, extended] of [
      [LBA28_SECTORS_MAX - 1, false],
      [2 ** 48 - 1, true],
      [2 ** 32, true],
      [2 ** 32 - 1, true],
    ] as const) {
      const fast = dirty(ATA_DATA);
      writeAtaHeader(fast, 0, pathOf(1, 2, 3, 4), 5, ataArgument(extended ? ATA_FLAG_EXTENDED : 0, 0, 1, 0x24), lba, extended);
      const readable = dirty(ATA_DATA);
      writeEthernet(readable, 0, 1, 2);
      writeCommon(readable, 0, VERSION_FLAGS_REQUEST, 0, 3, 4, COMMAND_ATA, 5);
      writeAtaArgument(readable, 0, extended ? ATA_FLAG_EXTENDED : 0, 0, 1, 0x24, lba);
      expect(bytesOf(fast)).toEqual(bytesOf(readable));
    }
  });

  test('refreshHeader() takes over a new MAC of the interface', () => {
    const path = pathOf(parseMac('02:00:00:00:00:01'), parseMac('02:00:00:00:00:02'), 10, 3);
    path.port.update({ name: 'eth0', mac: parseMac('02:00:00:00:00:03'), mtu: 1_500, up: true });
    path.refreshHeader();
    const frame = dirty(ATA_DATA);
    writeAtaHeader(frame, 0, path, 0, 0, 0, true);
    expect(bytesOf(frame).slice(6, 12)).toEqual([2, 0, 0, 0, 0, 3]);
  });

  test('writeConfigQuery() writes what the readable codec writes, and zeros up to 60 bytes', () => {
    fc.assert(
      fc.property(mac, shelf, byte, tag, (from, sh, slot, t) => {
        const arena = plainArena(FRAME_BYTES_MIN);
        arena.bytes.fill(0xee);
        writeConfigQuery(arena, 0, MAC_BROADCAST, from, sh, slot, t);
        const readable = plainArena(FRAME_BYTES_MIN);
        writeEthernet(readable.view, 0, MAC_BROADCAST, from);
        writeCommon(readable.view, 0, VERSION_FLAGS_REQUEST, 0, sh, slot, COMMAND_CONFIG, t >>> 0);
        padFrame(readable.bytes, 0, writeConfigRequest(readable.view, 0, CONFIG_READ));
        expect(Array.from(arena.bytes)).toEqual(Array.from(readable.bytes));
      }),
    );
  });
});
