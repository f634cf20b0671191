import { describe, expect, test } from '@jest/globals';
import { formatMac } from '../../src/aoe/address.ts';
import { COMMAND_RESERVE } from '../../src/aoe/constants.ts';
import { RESUME_US } from '../../src/aoe/limits.ts';
import { STANDING_PROVEN } from '../../src/aoe/path.ts';
import { TARGET_DOWN, TARGET_FENCED, TARGET_UP } from '../../src/aoe/target.ts';
import { OP_READ, OP_WRITE } from '../../src/block/request.ts';
import { STATUS_FENCED, STATUS_OK } from '../../src/block/status.ts';
import { Laboratory } from '../simulation/laboratory.ts';
import { modelMac } from '../simulation/model-target.ts';

/** Reserved for a machine that is none of ours. */
const OTHERS = [modelMac(3, 1)];

/** A volume that has been detached, as if its process were gone. */
function again(): ReturnType<typeof Laboratory.simple> {
  const simple = Laboratory.simple();
  simple.lab.engine.detach(simple.volume, true, simple.lab.nowUs);
  return simple;
}

describe('reservations', () => {
  test.each([false, true])(
    'Volume is fenced for good when its target is reserved by others (hides for whom: %s)',
    (hidesReservation) => {
      const { lab, target, volume } = Laboratory.simple();
      target.troubles = { ...target.troubles, reservedFor: OTHERS, hidesReservation };
      const request = lab.submit(volume, OP_WRITE, 0, 8);
      lab.runUntil(() => lab.ended(request), 10_000);
      expect(request.status).toBe(STATUS_FENCED);
      target.troubles.reservedFor = [];
      target.announce();
      lab.run(5_000_000);
      expect(volume.target.state).toBe(TARGET_FENCED);
      expect(lab.submit(volume, OP_READ, 0, 1).status).toBe(STATUS_FENCED);
    },
  );

  test('Volume is fenced when the target comes back reserved by somebody else', () => {
    const { lab, target, volume } = Laboratory.simple();
    target.crash(false);
    const request = lab.submit(volume, OP_WRITE, 0, 8);
    lab.run(1_000_000);
    target.troubles.reservedFor = OTHERS;
    target.start(true);
    lab.runUntil(() => lab.ended(request), 10_000);
    expect(request.status).toBe(STATUS_FENCED);
  });

  test('Volume that has been given up is fenced when the target comes back reserved by somebody else', () => {
    const { lab, target, volume } = Laboratory.simple();
    lab.engine.setOptions(volume, { ...volume.options, deadUs: 1_000_000 }, lab.nowUs);
    target.crash(false);
    lab.submit(volume, OP_WRITE, 0, 8);
    lab.runUntil(() => volume.target.dead, 3_000_000);
    target.troubles.reservedFor = OTHERS;
    target.start(true);
    lab.runUntil(() => volume.target.state === TARGET_FENCED, 1_000_000);
  });

  test.each([false, true])(
    'Volume that is taken up again fails its I/O when its target is reserved by others (hides for whom: %s)',
    (hidesReservation) => {
      const { lab, target, volume } = again();
      target.troubles = { ...target.troubles, reservedFor: OTHERS, hidesReservation };
      lab.attach(target, {}, target.disk.identity);
      // Not at once: an interface of ours may be late.
      lab.run(RESUME_US - 1_000_000);
      expect(lab.volumes).toHaveLength(1);
      lab.runUntil(() => lab.volumes.length > 1, 5_000_000);
      const [, resumed] = lab.volumes;
      expect([resumed.target.state, resumed.sectors]).toEqual([TARGET_FENCED, volume.sectors]);
      expect(lab.submit(resumed, OP_READ, 0, 1).status).toBe(STATUS_FENCED);
      target.troubles.reservedFor = [];
      target.announce();
      lab.run(5_000_000);
      expect(resumed.target.state).toBe(TARGET_FENCED);
    },
  );

  test.each([0, RESUME_US - 2_000_000])(
    'Volume that is taken up again works when an interface that its target is reserved for is late (deadUs %i)',
    (deadUs) => {
      const { lab, target } = again();
      const late = modelMac(1, 2);
      target.troubles.reservedFor = [late];
      lab.attach(target, { deadUs }, target.disk.identity);
      lab.run(RESUME_US - 1_000_000);
      expect(lab.addInterface().mac).toBe(late);
      lab.runUntil(() => lab.volumes.at(-1)?.target.state === TARGET_UP, 5_000_000);
      expect(lab.volumes).toHaveLength(2);
    },
  );

  test('Volume that is new waits while its target is reserved by others', () => {
    const { lab, target } = again();
    target.troubles.reservedFor = OTHERS;
    const { target: seen } = lab.attach(target);
    lab.run(4 * RESUME_US);
    expect([lab.volumes.length, seen.obstacle]).toEqual([1, expect.stringMatching(/reserved/)]);
  });

  test('Volume goes on over one interface while a new one of ours is not in the list yet, and uses it when it is', () => {
    const { lab, target, volume } = Laboratory.simple();
    const [first] = lab.initiator.interfaces;
    target.troubles.reservedFor = [first.mac];
    const second = lab.addInterface();
    lab.run(1_000_000);
    const request = lab.submit(volume, OP_WRITE, 0, 8);
    lab.runUntil(() => lab.ended(request), 10_000);
    expect([request.status, volume.target.state]).toEqual([STATUS_OK, TARGET_UP]);
    expect(lab.notices.filter(({ kind }) => kind === 'reserved').map(({ text }) => text)).toEqual([
      expect.stringContaining(`is reserved for this node, but not for ${formatMac(second.mac)}`),
    ]);
    target.troubles.reservedFor = [first.mac, second.mac];
    lab.run(2_000_000);
    expect(volume.target.paths.map(({ standing }) => standing)).toEqual([STANDING_PROVEN, STANDING_PROVEN]);
  });

  test('Volume waits while only an interface is up that is not in the list', () => {
    const { lab, target, volume } = Laboratory.simple();
    const [first] = lab.initiator.interfaces;
    target.troubles.reservedFor = [first.mac];
    lab.addInterface();
    lab.run(1_000_000);
    first.up = false;
    lab.initiator.refresh(first);
    const request = lab.submit(volume, OP_WRITE, 0, 8);
    lab.run(3_000_000);
    expect([lab.ended(request), volume.target.state]).toEqual([false, TARGET_DOWN]);
    first.up = true;
    lab.initiator.refresh(first);
    lab.runUntil(() => lab.ended(request), 3_000_000);
    expect(request.status).toBe(STATUS_OK);
  });

  test('Volume is fenced when its target refuses, and does not say for whom it is reserved', () => {
    const { lab, target, volume } = Laboratory.simple();
    target.troubles.reservedFor = OTHERS;
    lab.loses = ({ command }) => command === COMMAND_RESERVE;
    const request = lab.submit(volume, OP_WRITE, 0, 8);
    lab.run(4_000_000);
    expect(lab.ended(request)).toBe(false);
    lab.runUntil(() => lab.ended(request), 3_000_000);
    expect(request.status).toBe(STATUS_FENCED);
  });

  test('Volume waits for a target that has refused once, and is silent since', () => {
    const { lab, target, volume } = Laboratory.simple();
    const [first] = lab.initiator.interfaces;
    target.troubles.reservedFor = OTHERS;
    lab.loses = ({ command }) => {
      if (command === COMMAND_RESERVE && target.up) target.crash(false);
      return false;
    };
    const request = lab.submit(volume, OP_WRITE, 0, 8);
    lab.run(20_000_000);
    expect([lab.ended(request), volume.target.state]).toEqual([false, TARGET_DOWN]);
    target.troubles.reservedFor = [first.mac];
    target.start(true);
    lab.runUntil(() => lab.ended(request), 3_000_000);
    expect(request.status).toBe(STATUS_OK);
  });

  test('Volume is not fenced by a refusal while it is being given back', () => {
    const { lab, target, volume } = Laboratory.simple();
    target.troubles.reservedFor = OTHERS;
    const request = lab.submit(volume, OP_WRITE, 0, 8);
    lab.loses = ({ command }) => {
      if (command === COMMAND_RESERVE) target.troubles.reservedFor = [];
      return false;
    };
    lab.runUntil(() => lab.ended(request), 3_000_000);
    expect(request.status).toBe(STATUS_OK);
  });
});
