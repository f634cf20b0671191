import { describe, expect, test } from '@jest/globals';
import { TARGET_DOWN, TARGET_MISMATCH, TARGET_UP } from '../../src/aoe/target.ts';
import type { Volume } from '../../src/aoe/volume.ts';
import { OP_READ, OP_TRIM, OP_WRITE } from '../../src/block/request.ts';
import { STATUS_DEAD, STATUS_OK } from '../../src/block/status.ts';
import { Laboratory } from '../simulation/laboratory.ts';
import type { ModelTarget } from '../simulation/model-target.ts';

/** Volumes that an earlier process had, whose users are still there. */

const DEAD_US = 3_000_000;

function laboratory(): { lab: Laboratory; target: ModelTarget } {
  const lab = new Laboratory();
  lab.addSegment();
  lab.addInterface();
  return { lab, target: lab.addTarget() };
}

/** The volume when it has been attached, which takes at least `afterUs`. */
function attachedAfter(lab: Laboratory, afterUs: number): Volume {
  if (afterUs > 0) lab.run(afterUs - 1);
  expect(lab.volumes).toHaveLength(0);
  lab.runUntil(() => lab.volumes.length > 0, 300_000);
  return lab.volumes[0];
}

function requireWorks(lab: Laboratory, volume: Volume): void {
  lab.runUntil(() => volume.target.state === TARGET_UP, 3_000_000);
  const requests = [
    lab.submit(volume, OP_WRITE, 8, 8, lab, true),
    lab.submit(volume, OP_READ, 0, 8),
    lab.submit(volume, OP_TRIM, 64, 8),
  ];
  lab.runUntil(() => requests.every((request) => lab.ended(request)), 100_000);
  expect(requests.map(({ status }) => status)).toEqual([STATUS_OK, STATUS_OK, STATUS_OK]);
}

describe('a volume that is taken up again', () => {
  test('fails its I/O after deadUs of silence, and works when its target is back', () => {
    const { lab, target } = laboratory();
    target.up = false;
    lab.attach(target, { deadUs: DEAD_US }, target.disk.identity);
    const volume = attachedAfter(lab, DEAD_US);
    const { serial, model, sectors } = target.disk.identity;
    expect(volume).toMatchObject({ serial, model, sectors });
    expect([volume.target.state, volume.target.reason]).toEqual([TARGET_DOWN, expect.stringMatching(/no target answers/)]);
    expect(lab.submit(volume, OP_READ, 0, 1).status).toBe(STATUS_DEAD);
    expect(lab.notices.filter(({ kind }) => kind === 'dead')).toHaveLength(1);

    lab.run(60_000_000);
    expect(lab.submit(volume, OP_READ, 0, 1).status).toBe(STATUS_DEAD);
    target.start(false);
    requireWorks(lab, volume);
    expect([volume.flush, lab.volumes.length]).toEqual(['ext', 1]);

    // As any other, from now on.
    target.crash(false);
    const held = lab.submit(volume, OP_WRITE, 0, 1);
    lab.run(DEAD_US - 1);
    expect(lab.ended(held)).toBe(false);
    lab.runUntil(() => lab.ended(held), 300_000);
    expect(held.status).toBe(STATUS_DEAD);
  });

  test.each([
    ['with another serial number', { serial: 'stranger' }, /expected serial "laboratory".*found serial "stranger"/],
    ['that has shrunk', { sectors: 1_000 }, /shrank from 2048 to 1000/],
  ])('fails its I/O after deadUs while a disk answers %s, which is not touched', (_what, difference, reason) => {
    const { lab, target } = laboratory();
    const right = target.disk.identity;
    target.disk.identity = { ...right, ...difference };
    lab.attach(target, { deadUs: DEAD_US }, right);
    const volume = attachedAfter(lab, DEAD_US);
    expect([volume.target.state, volume.target.reason]).toEqual([TARGET_MISMATCH, expect.stringMatching(reason)]);
    expect(lab.submit(volume, OP_WRITE, 0, 1).status).toBe(STATUS_DEAD);
    lab.run(10_000_000);
    expect([volume.target.state, target.disk.accesses]).toEqual([TARGET_MISMATCH, 0]);
    target.disk.identity = right;
    requireWorks(lab, volume);
  });

  test('is not given to another disk that comes first after deadUs, but to the right one at its own MAC', () => {
    const { lab, target } = laboratory();
    target.up = false;
    lab.attach(target, { deadUs: DEAD_US }, target.disk.identity);
    const volume = attachedAfter(lab, DEAD_US);
    const other = lab.addTarget({}, { serial: 'stranger' });
    other.announce();
    lab.runUntil(() => volume.target.state === TARGET_MISMATCH, 100_000);
    expect(lab.submit(volume, OP_WRITE, 0, 1).status).toBe(STATUS_DEAD);
    target.start(true);
    requireWorks(lab, volume);
    expect(other.disk.accesses).toBe(0);
  });

  test.each([0, DEAD_US])('waits for its target, which comes in time (deadUs %i)', (deadUs) => {
    const { lab, target } = laboratory();
    target.up = false;
    lab.attach(target, { deadUs }, target.disk.identity);
    lab.run(DEAD_US - 1_000_000);
    if (deadUs === 0) lab.run(3_600_000_000);
    target.start(false);
    const volume = attachedAfter(lab, 0);
    expect(volume.target.state).toBe(TARGET_UP);
    requireWorks(lab, volume);
    lab.run(2 * DEAD_US);
    expect(volume.target.dead).toBe(false);
  });

  test('keeps its size where the target has grown', () => {
    const { lab, target } = laboratory();
    const { identity } = target.disk;
    target.disk.identity = { ...identity, sectors: 2 * identity.sectors };
    lab.attach(target, {}, identity);
    expect(attachedAfter(lab, 0).sectors).toBe(identity.sectors);
  });

  test('goes on at its own disk where another one answers at the same address', () => {
    const { lab, target } = laboratory();
    const other = lab.addTarget({ serviceUs: 1 }, { serial: 'stranger' });
    lab.attach(target, {}, target.disk.identity);
    const volume = attachedAfter(lab, 0);
    expect([volume.serial, lab.refusals]).toEqual(['laboratory', []]);
    requireWorks(lab, volume);
    expect(other.disk.accesses).toBe(0);
  });
});

test('a volume that is new waits for its target longer than deadUs', () => {
  const { lab, target } = laboratory();
  target.up = false;
  lab.attach(target, { deadUs: DEAD_US });
  lab.run(10 * DEAD_US);
  expect(lab.volumes).toHaveLength(0);
  target.start(false);
  attachedAfter(lab, 0);
});
