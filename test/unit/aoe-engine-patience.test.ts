import { describe, expect, test } from '@jest/globals';
import { ATA_FLUSH_EXT, ATA_READ_EXT } from '../../src/aoe/constants.ts';
import { TARGET_DOWN, TARGET_UP } from '../../src/aoe/target.ts';
import type { Volume } from '../../src/aoe/volume.ts';
import { OP_FLUSH, OP_READ, OP_WRITE, type BlockOp, type BlockRequest } from '../../src/block/request.ts';
import { STATUS_OK } from '../../src/block/status.ts';
import { Laboratory } from '../simulation/laboratory.ts';

const SLOW_LBA = 1_000;

/** Keeps eight reads under way until `done`; answers how many have ended per second. */
function readAlong(lab: Laboratory, volume: Volume, done: () => boolean): number {
  const startUs = lab.nowUs;
  let count = 0;
  const reads: BlockRequest[] = [];
  lab.runUntil(() => {
    for (let index = 0; index < 8; index++) {
      if (reads[index] !== undefined && !lab.ended(reads[index])) continue;
      if (reads[index] !== undefined) count++;
      reads[index] = lab.submit(volume, OP_READ, 64 + index * 2, 2);
    }
    return done();
  }, 10_000_000);
  return (count * 1e6) / (lab.nowUs - startUs);
}

const told = (lab: Laboratory): string[] => lab.notices.map(({ text }) => text);

describe('slow requests', () => {
  test('Engine keeps its speed, and sends few copies, when one sector takes two seconds', () => {
    const { lab, target, volume } = Laboratory.simple();
    target.slowness = (opcode, lba) => (opcode === ATA_READ_EXT && lba === SLOW_LBA ? 2_000_000 : 0);
    const usual = readAlong(lab, volume, () => lab.nowUs > 500_000);
    lab.sent.length = 0;
    const slow = lab.submit(volume, OP_READ, SLOW_LBA, 1);
    const beside = readAlong(lab, volume, () => lab.ended(slow));
    expect(slow.status).toBe(STATUS_OK);
    expect(beside).toBeGreaterThan(usual * 0.9);
    const copies = lab.sent.filter(({ bytes }) => bytes[28] + bytes[29] * 256 === SLOW_LBA);
    expect(copies.length).toBeLessThanOrEqual(8);
    expect(told(lab).some((text) => text.includes('down'))).toBe(false);
  });

  test.each([25_000, 70_000, 130_000, 400_000])(
    'Engine serves others at once that come when one slow request has been alone for %i us',
    (aloneUs) => {
      const { lab, target, volume } = Laboratory.simple();
      target.slowness = (opcode, lba) => (opcode === ATA_READ_EXT && lba === SLOW_LBA ? 2_000_000 : 0);
      const slow = lab.submit(volume, OP_READ, SLOW_LBA, 1);
      lab.run(aloneUs);
      const startUs = lab.nowUs;
      for (let round = 0; round < 8; round++) {
        const beside = lab.submit(volume, OP_READ, 64, 1);
        lab.runUntil(() => lab.ended(beside), 1_000_000);
      }
      expect(lab.nowUs - startUs).toBeLessThan(20_000);
      expect(lab.ended(slow)).toBe(false);
    },
  );

  test.each<BlockOp>([OP_READ, OP_WRITE])(
    'Engine ends a request after 20 s when the disk does its copies one after another (operation %i)',
    (op) => {
      const { lab, target, volume } = Laboratory.simple();
      const serviceUs = 20_000_000;
      let freeUs = lab.nowUs;
      target.slowness = (_opcode, lba) => {
        if (lba !== SLOW_LBA) return 0;
        freeUs = Math.max(freeUs, lab.nowUs) + serviceUs;
        return freeUs - lab.nowUs;
      };
      const startUs = lab.nowUs;
      const slow = lab.submit(volume, op, SLOW_LBA, 1);
      while (!lab.ended(slow) && lab.nowUs - startUs < 2 * serviceUs) {
        const beside = lab.submit(volume, OP_READ, 64, 1);
        lab.run(10_000);
        expect(lab.ended(beside)).toBe(true);
      }
      expect(lab.endedUs.get(slow)! - startUs).toBeLessThan(serviceUs + 100_000);
      expect(told(lab).some((text) => text.includes('down'))).toBe(false);
    },
  );

  test('Engine sends a flush of 300 ms once, with and without other requests beside it', () => {
    const { lab, target, volume } = Laboratory.simple();
    target.slowness = (opcode) => (opcode === ATA_FLUSH_EXT ? 300_000 : 0);
    const beside = lab.submit(volume, OP_FLUSH);
    readAlong(lab, volume, () => lab.ended(beside));
    lab.run(10_000);
    const alone = lab.submit(volume, OP_FLUSH);
    lab.runUntil(() => lab.ended(alone), 400_000);
    expect(lab.sent.filter(({ opcode }) => opcode === ATA_FLUSH_EXT)).toHaveLength(2);
  });

  test('Engine sends a lost flush again within 600 ms', () => {
    const { lab, volume } = Laboratory.simple();
    let lost = 0;
    lab.loses = ({ opcode }) => opcode === ATA_FLUSH_EXT && lost++ === 0;
    const flush = lab.submit(volume, OP_FLUSH);
    lab.runUntil(() => lab.ended(flush), 600_000);
    expect(flush.status).toBe(STATUS_OK);
  });
});

describe('busy targets', () => {
  test('Engine does not call a target down that answers nothing for 500 ms, and sends it little', () => {
    const { lab, target, volume } = Laboratory.simple();
    target.pause(500_000, lab.nowUs);
    const requests = Array.from({ length: 8 }, (_, index) => lab.submit(volume, OP_READ, index * 8, 8));
    lab.runUntil(() => requests.every((request) => lab.ended(request)), 1_000_000);
    expect(volume.target.state).toBe(TARGET_UP);
    expect(told(lab).some((text) => text.includes('down'))).toBe(false);
    expect(lab.engine.counters.framesResent).toBeLessThanOrEqual(8);
  });

  test('Engine calls a target down that has been silent for a second', () => {
    const { lab, target, volume } = Laboratory.simple();
    target.crash(false);
    lab.submit(volume, OP_READ, 0, 1);
    lab.run(500_000);
    expect(volume.target.state).toBe(TARGET_UP);
    lab.run(500_000);
    expect(volume.target.state).toBe(TARGET_DOWN);
    expect(volume.target.reason).toBe('it does not answer');
  });
});
