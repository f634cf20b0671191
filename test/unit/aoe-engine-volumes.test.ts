import { describe, expect, test } from '@jest/globals';
import { ATA_FLUSH_EXT, ATA_IDENTIFY, ATA_WRITE_EXT } from '../../src/aoe/constants.ts';
import { TARGET_DOWN, TARGET_MISMATCH, TARGET_UP } from '../../src/aoe/target.ts';
import { OP_FLUSH, OP_READ, OP_TRIM, OP_WRITE } from '../../src/block/request.ts';
import {
  STATUS_DEAD,
  STATUS_INVALID,
  STATUS_IO_ERROR,
  STATUS_NOT_SUPPORTED,
  STATUS_OK,
  STATUS_READ_ONLY,
  STATUS_SHUTDOWN,
} from '../../src/block/status.ts';
import { Laboratory } from '../simulation/laboratory.ts';

function laboratory(): Laboratory {
  const lab = new Laboratory();
  lab.addSegment();
  lab.addInterface();
  return lab;
}

describe('attach', () => {
  test('Engine attaches a target that is found, proven and alone within 100 ms', () => {
    const lab = laboratory();
    const volume = lab.attachedVolume(lab.addTarget());
    expect(lab.nowUs).toBeLessThan(100_000);
    expect([volume.name, volume.sectors, volume.flush, volume.canTrim]).toEqual(['e10.3', 2_048, 'ext', true]);
    expect(volume.target.state).toBe(TARGET_UP);
  });

  test('Engine attaches a target that takes 60 ms for every answer', () => {
    const lab = new Laboratory();
    lab.addSegment({ latencyUs: 30_000 });
    lab.addInterface();
    lab.attach(lab.addTarget());
    lab.runUntil(() => lab.volumes.length === 1, 1_000_000);
  });

  test('Engine waits for a target that is not there yet, and says what for', () => {
    const lab = laboratory();
    const target = lab.addTarget();
    target.up = false;
    lab.attach(target);
    lab.run(5_000_000);
    expect(lab.engine.find(10, 3)?.obstacle).toContain('no target answers');
    target.start(false);
    lab.runUntil(() => lab.volumes.length === 1, 500_000);
  });

  test('Engine refuses two targets behind one MAC', () => {
    const lab = laboratory();
    const target = lab.addTarget();
    lab.addTarget({}, {}, [lab.segments[0]], target.nics[0].mac);
    lab.attach(target);
    lab.runUntil(() => lab.refusals.length === 1, 1_000_000);
    expect(lab.refusals[0]).toMatch(/two targets answer as e10\.3 from one MAC, 02:00:00:02:00:01 on eth0/);
    expect(lab.volumes).toHaveLength(0);
  });

  test('Engine refuses two disks at one address, and names both', () => {
    const lab = laboratory();
    const target = lab.addTarget();
    lab.addTarget({}, { serial: 'stranger' });
    lab.attach(target);
    lab.runUntil(() => lab.refusals.length === 1, 1_000_000);
    expect(lab.refusals[0]).toContain('serial "laboratory"');
    expect(lab.refusals[0]).toContain('serial "stranger"');
  });

  test('Engine takes one of two MACs that show the same disk, and mentions the other', () => {
    const lab = laboratory();
    const segments = [lab.segments[0], lab.segments[0]];
    const target = lab.addTarget({}, {}, segments);
    const volume = lab.attachedVolume(target);
    expect(target.nics.map(({ mac }) => mac)).toContain(volume.target.owner);
    expect(lab.notices.some(({ kind, text }) => kind === 'conflict' && text.includes('a second MAC'))).toBe(true);
  });

  test('Engine sends and accepts nothing on an interface that the volume may not use', () => {
    const lab = laboratory();
    const target = lab.addTarget();
    lab.attach(target, { interfaces: ['eth1'] });
    lab.run(2_000_000);
    expect(lab.volumes).toHaveLength(0);
    expect(lab.sent.filter(({ command, opcode }) => command === 0 && opcode !== ATA_IDENTIFY)).toHaveLength(0);
  });

  test('attach() refuses a second volume on one target', () => {
    const lab = laboratory();
    const target = lab.addTarget();
    lab.attachedVolume(target);
    expect(() => lab.attach(target)).toThrow('e10.3 is attached already');
  });
});

describe('changing MACs', () => {
  test('Engine finds a target that has another MAC after each of twenty starts', () => {
    const lab = laboratory();
    const target = lab.addTarget();
    const volume = lab.attachedVolume(target);
    for (let start = 1; start <= 20; start++) {
      lab.move(target);
      const request = lab.submit(volume, OP_WRITE, start, 1);
      lab.runUntil(() => lab.ended(request), 4_000_000);
      expect(request.status).toBe(STATUS_OK);
    }
    expect(volume.target.paths.length).toBeLessThanOrEqual(16);
  });
});

describe('requests', () => {
  test('Volume refuses what does not fit the disk or its rights', () => {
    const lab = laboratory();
    const volume = lab.attachedVolume(lab.addTarget({}, { trim: false }), { readOnly: true });
    expect(lab.submit(volume, OP_READ, 2_047, 2).status).toBe(STATUS_INVALID);
    expect(lab.submit(volume, OP_WRITE, 0, 1).status).toBe(STATUS_READ_ONLY);
    const other = lab.attachedVolume(lab.addTarget({ slot: 4 }, { trim: false }));
    expect(lab.submit(other, OP_TRIM, 0, 1).status).toBe(STATUS_NOT_SUPPORTED);
    expect(lab.submit(other, OP_WRITE, 0, 0).status).toBe(STATUS_OK);
  });

  test('Volume sends a flush after a write that must be durable, and before it ends', () => {
    const { lab, volume } = Laboratory.simple();
    const request = lab.submit(volume, OP_WRITE, 0, 4);
    request.fua = true;
    lab.runUntil(() => lab.ended(request), 10_000);
    expect(lab.sent.map(({ opcode }) => opcode)).toEqual([ATA_WRITE_EXT, ATA_WRITE_EXT, ATA_FLUSH_EXT]);
  });

  test('Volume acknowledges a flush at once, and has said so, when the target can’t flush', () => {
    const lab = laboratory();
    const volume = lab.attachedVolume(lab.addTarget({}, { flush: 'none' }));
    lab.sent.length = 0;
    expect(lab.ended(lab.submit(volume, OP_FLUSH))).toBe(true);
    expect(lab.sent).toHaveLength(0);
    expect(lab.notices.some(({ kind }) => kind === 'durability')).toBe(true);
  });

  test('Volume fails a request with a bad sector and goes on with others', () => {
    const { lab, target, volume } = Laboratory.simple();
    target.disk.bad.add(5);
    const bad = lab.submit(volume, OP_READ, 0, 64);
    const good = lab.submit(volume, OP_READ, 8, 8);
    lab.runUntil(() => lab.ended(bad) && lab.ended(good), 10_000);
    expect([bad.status, good.status]).toEqual([STATUS_IO_ERROR, STATUS_OK]);
    expect(volume.target.state).toBe(TARGET_UP);
  });

  test('Volume fails a read after some answers with too little data', () => {
    const { lab, target, volume } = Laboratory.simple();
    target.troubles.shortReads = 1;
    const request = lab.submit(volume, OP_READ, 0, 1);
    lab.runUntil(() => lab.ended(request), 10_000);
    expect(request.status).toBe(STATUS_IO_ERROR);
    expect(lab.engine.counters.shortData).toBe(4);
  });
});

describe('outages', () => {
  test('Volume holds requests for ever when deadUs is 0', () => {
    const { lab, target, volume } = Laboratory.simple();
    target.crash(false);
    const request = lab.submit(volume, OP_WRITE, 0, 1);
    lab.run(3_600_000_000);
    expect(lab.ended(request)).toBe(false);
    expect(volume.target.state).toBe(TARGET_DOWN);
    target.start(true);
    lab.runUntil(() => lab.ended(request), 10_000);
    expect(request.status).toBe(STATUS_OK);
  });

  test('Volume fails what it holds after deadUs, and new requests at once, until the target is back', () => {
    const lab = laboratory();
    const target = lab.addTarget();
    const volume = lab.attachedVolume(target, { deadUs: 3_000_000 });
    lab.run(20_000);
    target.crash(false);
    const startUs = lab.nowUs;
    const request = lab.submit(volume, OP_WRITE, 0, 1);
    lab.runUntil(() => lab.ended(request), 4_000_000);
    expect(request.status).toBe(STATUS_DEAD);
    expect(lab.nowUs - startUs).toBeGreaterThanOrEqual(3_000_000);
    expect(lab.nowUs - startUs).toBeLessThan(3_300_000);
    expect(lab.submit(volume, OP_READ, 0, 1).status).toBe(STATUS_DEAD);
    target.start(false);
    lab.runUntil(() => volume.target.state === TARGET_UP, 2_500_000);
    const read = lab.submit(volume, OP_READ, 0, 1);
    lab.runUntil(() => lab.ended(read), 10_000);
    expect(read.status).toBe(STATUS_OK);
  });

  test('Volume is down, with the reason, while the target says that its device is unavailable', () => {
    const { lab, target, volume } = Laboratory.simple();
    target.troubles.unavailable = true;
    const request = lab.submit(volume, OP_READ, 0, 1);
    lab.run(1_000_000);
    expect(volume.target.state).toBe(TARGET_DOWN);
    expect(volume.target.reason).toContain('unavailable');
    target.troubles.unavailable = false;
    lab.runUntil(() => lab.ended(request), 1_500_000);
    expect(request.status).toBe(STATUS_OK);
  });

  test('Volume says so when a target answers discovery and IDENTIFY but no reads', () => {
    const { lab, target, volume } = Laboratory.simple();
    target.troubles.stuck = true;
    const request = lab.submit(volume, OP_READ, 0, 1);
    lab.run(3_000_000);
    expect(volume.target.reason).toMatch(/answers discovery and IDENTIFY, but not a read/);
    target.troubles.stuck = false;
    lab.runUntil(() => lab.ended(request), 1_500_000);
  });

  test('Volume holds requests while another disk is in its place, and goes on when the right one is back', () => {
    const { lab, target, volume } = Laboratory.simple();
    const right = target.disk.identity;
    target.crash(false);
    target.disk.identity = { ...right, serial: 'stranger' };
    target.start(true);
    lab.run(1_000);
    const request = lab.submit(volume, OP_WRITE, 0, 1);
    const { accesses } = target.disk;
    lab.run(10_000_000);
    expect(volume.target.state).toBe(TARGET_MISMATCH);
    expect(volume.target.reason).toContain('serial "stranger"');
    expect(target.disk.accesses).toBe(accesses);
    target.disk.identity = right;
    lab.runUntil(() => lab.ended(request), 1_500_000);
    expect(request.status).toBe(STATUS_OK);
    expect(lab.notices.filter(({ kind }) => kind === 'identity-mismatch')).toHaveLength(1);
  });
});

describe('detach', () => {
  test('detach() waits for what is under way', () => {
    const { lab, volume } = Laboratory.simple();
    const request = lab.submit(volume, OP_WRITE, 0, 64);
    lab.run(50);
    lab.engine.detach(volume, false, lab.nowUs);
    expect(lab.detachments).toEqual([]);
    expect(lab.submit(volume, OP_READ, 0, 1).status).toBe(STATUS_SHUTDOWN);
    lab.runUntil(() => lab.detachments.length === 1, 10_000);
    expect(request.status).toBe(STATUS_OK);
  });

  /** A volume with a write that is done, of which a first copy has not been answered. */
  function withLateWrite() {
    const { lab, target, volume } = Laboratory.simple();
    const late: (() => void)[] = [];
    const [nic] = target.nics;
    const { received } = nic;
    nic.received = (at, frame) => {
      if (late.length === 0) late.push(() => received(at, frame));
      else received(at, frame);
    };
    const write = lab.submit(volume, OP_WRITE, 8, 1);
    lab.runUntil(() => lab.ended(write), 100_000);
    return { lab, volume, late };
  }

  test('detach() waits until no copy of a write can arrive any more', () => {
    const { lab, volume } = withLateWrite();
    lab.engine.detach(volume, false, lab.nowUs);
    lab.run(1_900_000);
    expect(lab.detachments).toEqual([]);
    lab.runUntil(() => lab.detachments.length === 1, 200_000);
  });

  test('detach() ends as soon as the last copy of a write has arrived, or with force', () => {
    const answered = withLateWrite();
    answered.lab.engine.detach(answered.volume, false, answered.lab.nowUs);
    answered.late[0]();
    answered.lab.runUntil(() => answered.lab.detachments.length === 1, 10_000);
    const { lab, volume } = withLateWrite();
    for (const force of [false, true]) lab.engine.detach(volume, force, lab.nowUs);
    expect(lab.detachments).toEqual(['e10.3']);
  });

  test('detach() with force ends held requests of a dead target at once', () => {
    const { lab, target, volume } = Laboratory.simple();
    target.crash(false);
    const requests = [lab.submit(volume, OP_WRITE, 0, 64), lab.submit(volume, OP_READ, 64, 64), lab.submit(volume, OP_FLUSH)];
    lab.run(1_000_000);
    lab.engine.detach(volume, true, lab.nowUs);
    expect(requests.map(({ status }) => status)).toEqual([STATUS_SHUTDOWN, STATUS_SHUTDOWN, STATUS_SHUTDOWN]);
    expect(lab.detachments).toEqual(['e10.3']);
    lab.run(3_000_000);
    expect(lab.engine.copies.used).toBe(0);
    expect(lab.engine.fragments.free).toBe(lab.engine.fragments.capacity);
  });

  test('detach() gives up an attach that waits for its target', () => {
    const lab = laboratory();
    const target = lab.addTarget();
    target.up = false;
    lab.attach(target);
    lab.run(1_000_000);
    const volume = lab.engine.find(10, 3)?.volume;
    expect(volume).toBeDefined();
    lab.engine.detach(volume!, false, lab.nowUs);
    expect(lab.detachments).toEqual(['e10.3']);
  });
});

describe('identify', () => {
  const GROWN = 4_096;

  test('Engine asks a target at once how large it is, and at the deadline says that it was silent', () => {
    const lab = laboratory();
    const target = lab.addTarget();
    const volume = lab.attachedVolume(target);
    const answers: boolean[] = [];
    const ask = (): void => {
      lab.engine.identify(volume.target, lab.nowUs + 1_000_000, (answered) => answers.push(answered));
      lab.initiator.awake = true;
    };
    target.disk.identity = { ...target.disk.identity, sectors: GROWN };
    ask();
    lab.runUntil(() => answers.length === 1, 100_000);
    expect([answers[0], volume.target.identity?.sectors, volume.sectors]).toEqual([true, GROWN, 2_048]);
    target.up = false;
    ask();
    lab.runUntil(() => answers.length === 2, 2_000_000);
    expect(answers[1]).toBe(false);
  });

  test('Engine takes no answer that was on its way before it was asked', () => {
    const lab = new Laboratory();
    lab.addSegment({ latencyUs: 30_000 });
    lab.addInterface();
    const target = lab.addTarget();
    const volume = lab.attachedVolume(target);
    lab.run(1_000_000);
    const sizes: (number | undefined)[] = [];
    const ask = (): void => {
      lab.engine.identify(volume.target, lab.nowUs + 1_000_000, () => sizes.push(volume.target.identity?.sectors));
      lab.initiator.awake = true;
    };
    ask();
    lab.run(40_000);
    target.disk.identity = { ...target.disk.identity, sectors: GROWN };
    ask();
    lab.runUntil(() => sizes.length === 2, 500_000);
    expect(sizes).toEqual([2_048, GROWN]);
  });
});
