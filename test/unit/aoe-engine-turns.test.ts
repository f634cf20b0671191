import { expect, test } from '@jest/globals';
import { ATA_WRITE_EXT } from '../../src/aoe/constants.ts';
import { TURN_SECTORS } from '../../src/aoe/limits.ts';
import { OP_FLUSH, OP_READ, OP_WRITE, OP_WRITE_ZEROES, BlockRequest } from '../../src/block/request.ts';
import { STATUS_DEAD, STATUS_OK } from '../../src/block/status.ts';
import type { Volume } from '../../src/aoe/volume.ts';
import { Laboratory } from '../simulation/laboratory.ts';
import type { ModelTarget } from '../simulation/model-target.ts';

/** Requests of 16 MiB, which a target without trim takes as two thousand writes. */
const LARGE = 32_768;
const WINDOW = 16 * 16;

function laboratory(): { lab: Laboratory; target: ModelTarget; volume: Volume } {
  const lab = new Laboratory();
  lab.addSegment();
  lab.addInterface(lab.segments[0], 9_000);
  const target = lab.addTarget({}, { sectors: 3 * LARGE, trim: false });
  target.disk.content.fill(-1);
  const volume = lab.attachedVolume(target);
  lab.run(20_000);
  return { lab, target, volume };
}

function zero(lab: Laboratory, volume: Volume, lba: number): BlockRequest {
  const request = new BlockRequest();
  Object.assign(request, { op: OP_WRITE_ZEROES, lba, sectors: LARGE, fua: true, owner: lab });
  lab.initiator.awake = true;
  volume.submit(request);
  return request;
}

function written(lab: Laboratory, fromUs: number, untilUs = Infinity): number {
  const writes = lab.sent.filter(({ opcode, timeUs }) => opcode === ATA_WRITE_EXT && timeUs >= fromUs && timeUs < untilUs);
  return writes.reduce((sum, { sectors }) => sum + sectors, 0);
}

test('Engine lets others go first after each MiB of a large request', () => {
  const { lab, target, volume } = laboratory();
  const large = [zero(lab, volume, 0), zero(lab, volume, LARGE)];
  lab.run(1_000);
  for (let round = 0; round < 3; round++) {
    const fromUs = lab.nowUs;
    const small = [
      lab.submit(volume, OP_READ, 2 * LARGE, 8),
      lab.submit(volume, OP_WRITE, 2 * LARGE, 8),
      lab.submit(volume, OP_FLUSH),
    ];
    lab.runUntil(() => small.every((request) => lab.ended(request)), 1_000_000);
    expect(small.map(({ status }) => status)).toEqual([STATUS_OK, STATUS_OK, STATUS_OK]);
    expect(written(lab, fromUs)).toBeLessThanOrEqual(large.length * TURN_SECTORS + 2 * WINDOW);
  }
  expect(large.some((request) => lab.ended(request))).toBe(false);
  lab.runUntil(() => large.every((request) => lab.ended(request)), 10_000_000);
  expect(large.map(({ status }) => status)).toEqual([STATUS_OK, STATUS_OK]);
  const zeroes = target.disk.content.subarray(0, (2 * LARGE * 512) / 4);
  expect(zeroes.every((word) => word === 0)).toBe(true);
  expect(written(lab, 0)).toBe(2 * LARGE + 3 * 8);
});

test('Engine ends large requests that have taken turns when their target is given up', () => {
  const { lab, target, volume } = laboratory();
  const large = [zero(lab, volume, 0), zero(lab, volume, LARGE)];
  lab.runUntil(() => large.every(({ nextSector }) => nextSector >= TURN_SECTORS), 1_000_000);
  lab.engine.setOptions(volume, { ...volume.options, deadUs: 1_000_000 }, lab.nowUs);
  target.crash(false);
  lab.runUntil(() => large.every((request) => lab.ended(request)), 3_000_000);
  expect([large.map(({ status }) => status), volume.target.requests]).toEqual([[STATUS_DEAD, STATUS_DEAD], 0]);
});
