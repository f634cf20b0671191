import { describe, expect, test } from '@jest/globals';
import { ATA_IDENTIFY, ATA_READ_EXT, ATA_WRITE_EXT } from '../../src/aoe/constants.ts';
import { OP_FLUSH, OP_READ, OP_TRIM, OP_WRITE } from '../../src/block/request.ts';
import { STATUS_OK, STATUS_SHUTDOWN } from '../../src/block/status.ts';
import { Laboratory, type SentFrame } from '../simulation/laboratory.ts';

/** LBA of an ATA frame, which is small here. */
function lbaOf({ bytes }: SentFrame): number {
  return bytes[28] + bytes[29] * 256;
}

const isIo = ({ command, opcode }: SentFrame): boolean => command === 0 && opcode !== ATA_IDENTIFY;

describe('lost frames', () => {
  test('Engine sends a frame again within 25 ms when its answer does not come on a fast path', () => {
    const { lab, volume } = Laboratory.simple();
    let lost = 0;
    lab.loses = (frame) => isIo(frame) && lost++ === 0;
    const startUs = lab.nowUs;
    const request = lab.submit(volume, OP_READ, 0, 1);
    lab.runUntil(() => lab.ended(request), 1_000_000);
    expect(request.status).toBe(STATUS_OK);
    expect(lab.sent.filter(isIo)).toHaveLength(2);
    expect(lab.nowUs - startUs).toBeLessThan(25_000);
  });

  test('Engine gives each copy a tag of its own, and takes any answer', () => {
    const { lab, target, volume } = Laboratory.simple();
    const answers: (() => void)[] = [];
    const [nic] = target.nics;
    const { received } = nic;
    nic.received = (at, frame) => answers.push(() => received(at, frame));
    const request = lab.submit(volume, OP_READ, 0, 1);
    lab.runUntil(() => answers.length === 2, 100_000);
    const tags = lab.sent.filter(isIo).map(({ bytes }) => new DataView(bytes.buffer).getUint32(20));
    expect(new Set(tags).size).toBe(2);
    answers[0]();
    lab.runUntil(() => lab.ended(request), 1_000);
    expect(request.status).toBe(STATUS_OK);
  });

  test('Engine sends a frame again at once when three later ones have been answered', () => {
    const { lab, volume } = Laboratory.simple();
    lab.loses = (frame) => isIo(frame) && lab.sent.filter(isIo).length === 1;
    const startUs = lab.nowUs;
    const request = lab.submit(volume, OP_READ, 0, 8);
    lab.runUntil(() => lab.ended(request), 1_000_000);
    const reads = lab.sent.filter(isIo).map(lbaOf);
    expect(reads).toEqual([0, 2, 4, 6, 0]);
    expect(lab.nowUs - startUs).toBeLessThan(2_000);
  });

  test('Engine probes a silent target with doubling pauses up to a second, and sends it no I/O', () => {
    const { lab, target, volume } = Laboratory.simple();
    target.crash(false);
    const startUs = lab.nowUs;
    lab.submit(volume, OP_WRITE, 0, 1);
    lab.run(5_000_000);
    const frames = lab.sent.filter(({ command }) => command === 0);
    expect(frames.filter(isIo).map(({ timeUs }) => Math.round((timeUs - startUs) / 10_000))).toEqual([0, 2, 6]);
    const pauses = frames
      .filter((frame) => !isIo(frame))
      .map(({ timeUs }, index, all) => (index === 0 ? 0 : timeUs - all[index - 1].timeUs));
    expect(pauses.slice(0, 9).map((pauseUs) => Math.round(pauseUs / 100_000))).toEqual([0, 1, 2, 4, 1, 2, 4, 8, 10]);
  });

  test('Engine goes on within 1.1 s when a target comes back, announced or not', () => {
    for (const announces of [true, false]) {
      const { lab, target, volume } = Laboratory.simple();
      target.crash(false);
      const request = lab.submit(volume, OP_WRITE, 0, 8);
      lab.run(5_000_000);
      expect(lab.ended(request)).toBe(false);
      target.start(announces);
      lab.runUntil(() => lab.ended(request), announces ? 5_000 : 1_100_000);
      expect(request.status).toBe(STATUS_OK);
    }
  });
});

describe('payload sizes', () => {
  test('Engine sends full-size frames, in whole 4 KiB blocks, once a probe has passed', () => {
    const { lab, volume } = Laboratory.simple(9_000);
    const request = lab.submit(volume, OP_WRITE, 0, 64);
    lab.runUntil(() => lab.ended(request), 1_000_000);
    expect(lab.sent.filter(({ opcode }) => opcode === ATA_WRITE_EXT).map(({ sectors }) => sectors)).toEqual([16, 16, 16, 16]);
  });

  test('Engine ends its first frame at a 4 KiB boundary when a request begins off one', () => {
    const { lab, volume } = Laboratory.simple(9_000);
    const request = lab.submit(volume, OP_READ, 3, 40);
    lab.runUntil(() => lab.ended(request), 1_000_000);
    expect(lab.sent.filter(({ opcode }) => opcode === ATA_READ_EXT).map((frame) => [lbaOf(frame), frame.sectors])).toEqual([
      [3, 13],
      [16, 16],
      [32, 11],
    ]);
  });

  test('Engine uses small frames when a switch drops large ones from the start, and says so', () => {
    const lab = new Laboratory();
    lab.addSegment({ dropAboveBytes: 1_514 });
    lab.addInterface(lab.segments[0], 9_000);
    const volume = lab.attachedVolume(lab.addTarget());
    const request = lab.submit(volume, OP_WRITE, 0, 32);
    lab.runUntil(() => lab.ended(request), 50_000);
    expect(request.status).toBe(STATUS_OK);
    lab.run(2_000_000);
    expect(lab.notices.some(({ kind, text }) => kind === 'payload' && text.includes('switch'))).toBe(true);
  });

  test('Engine steps down within 150 ms when a switch begins to drop large frames', () => {
    const { lab, volume } = Laboratory.simple(9_000);
    lab.segments[0].conditions.dropAboveBytes = 1_514;
    const request = lab.submit(volume, OP_READ, 0, 64);
    lab.runUntil(() => lab.ended(request), 150_000);
    expect(request.status).toBe(STATUS_OK);
  });

  test('Engine steps down when large frames vanish while small ones keep overtaking them', () => {
    const { lab, volume } = Laboratory.simple(9_000);
    lab.segments[0].conditions.dropAboveBytes = 1_514;
    const large = lab.submit(volume, OP_READ, 1_024, 64);
    let small = lab.submit(volume, OP_READ, 0, 1);
    lab.runUntil(() => {
      if (lab.ended(small)) small = lab.submit(volume, OP_READ, 0, 1);
      return lab.ended(large);
    }, 150_000);
    expect(large.status).toBe(STATUS_OK);
  });

  test('Engine tries one size at a time, when a target refuses a size shortly before the best is to be tried again', () => {
    const lab = new Laboratory();
    lab.addSegment({ dropAboveBytes: 5_000 });
    lab.addInterface(lab.segments[0], 9_000);
    const target = lab.addTarget();
    const volume = lab.attachedVolume(target);
    const [path] = volume.target.paths;
    lab.runUntil(() => path.sectorsMax === 8, 3_000_000);
    lab.run(path.payloadRetryUs - lab.nowUs - 50_000);
    target.troubles.writeSectorsMax = 2;
    lab.loses = ({ opcode, sectors }) => opcode === ATA_READ_EXT && sectors === 4;
    const request = lab.submit(volume, OP_WRITE, 0, 8);
    lab.runUntil(() => lab.ended(request), 40_000);
    expect([path.probing, path.payloadRetryUs]).toEqual([4, Infinity]);
    lab.run(40_000);
    expect(path.probing).toBe(4);
  });

  test('Engine grows its frames again after a switch has been repaired', () => {
    const { lab, volume } = Laboratory.simple(9_000);
    lab.segments[0].conditions.dropAboveBytes = 1_514;
    lab.submit(volume, OP_READ, 0, 64);
    lab.run(1_000_000);
    lab.segments[0].conditions.dropAboveBytes = Infinity;
    lab.run(10_000_000);
    lab.sent.length = 0;
    const request = lab.submit(volume, OP_READ, 0, 64);
    lab.runUntil(() => lab.ended(request), 10_000);
    expect(lab.sent.filter(({ opcode }) => opcode === ATA_READ_EXT).map(({ sectors }) => sectors)).toEqual([16, 16, 16, 16]);
  });
});

describe('answers from who knows whom', () => {
  test('Engine takes no answer to what it had sent before an announcement, and asks again when it knows who is there', () => {
    const { lab, target, volume } = Laboratory.simple();
    const waiting: (() => void)[] = [];
    const [nic] = target.nics;
    const { received } = nic;
    nic.received = (at, frame) => waiting.push(() => received(at, frame));
    const requests = [lab.submit(volume, OP_READ, 0, 1), lab.submit(volume, OP_WRITE, 8, 1)];
    lab.runUntil(() => waiting.length === 2, 10_000);
    nic.received = received;
    const right = target.disk.identity;
    target.disk.identity = { ...right, serial: 'stranger' };
    // As a target does that starts: its socket was open before it said so, and had taken what was sent then.
    target.announce();
    for (const take of waiting) take();
    lab.run(100_000);
    expect(requests.map((request) => lab.ended(request))).toEqual([false, false]);
    expect(lab.engine.counters.distrusted).toBe(2);
    target.disk.identity = right;
    target.announce();
    lab.runUntil(() => requests.every((request) => lab.ended(request)), 1_000_000);
    expect(requests.map(({ status }) => status)).toEqual([STATUS_OK, STATUS_OK]);
  });
});

describe('two paths', () => {
  test('Engine loses no request and less than 250 ms when one of two interfaces goes silent', () => {
    const lab = new Laboratory();
    const segment = lab.addSegment();
    const first = lab.addInterface(segment);
    lab.addInterface(segment);
    const volume = lab.attachedVolume(lab.addTarget());
    lab.run(20_000);
    first.cut = true;
    const startUs = lab.nowUs;
    const requests = Array.from({ length: 8 }, (_, index) => lab.submit(volume, OP_WRITE, index * 8, 8));
    lab.runUntil(() => requests.every((request) => lab.ended(request)), 250_000);
    expect(requests.map(({ status }) => status)).toEqual(requests.map(() => STATUS_OK));
    expect(lab.nowUs - startUs).toBeLessThan(250_000);
    expect(lab.notices.some(({ text }) => text.includes(' down'))).toBe(false);
  });

  test('Engine goes over to a target’s second MAC within 250 ms when the network of the first is silent', () => {
    const lab = new Laboratory();
    lab.addSegment();
    lab.addSegment();
    const first = lab.addInterface(lab.segments[0]);
    lab.addInterface(lab.segments[1]);
    const target = lab.addTarget({}, {}, lab.segments);
    const volume = lab.attachedVolume(target);
    lab.run(20_000);
    const busy = volume.target.owner === target.nics[0].mac ? first : lab.initiator.interfaces[1];
    busy.cut = true;
    const request = lab.submit(volume, OP_WRITE, 0, 8);
    lab.runUntil(() => lab.ended(request), 250_000);
    expect(request.status).toBe(STATUS_OK);
  });
});

describe('requests of owners that are gone', () => {
  test('abandon() ends them, whatever they wait for, and nothing of them is sent any more', () => {
    const { lab, target, volume } = Laboratory.simple();
    const gone = { completed: lab.completed.bind(lab) };
    target.crash(false);
    const old = [lab.submit(volume, OP_WRITE, 8, 3, gone), lab.submit(volume, OP_READ, 16, 1, gone)];
    const others = lab.submit(volume, OP_WRITE, 32, 1);
    lab.run(500_000);
    old.push(lab.submit(volume, OP_FLUSH, 0, 0, gone));
    volume.abandon(gone);
    lab.initiator.awake = true;
    lab.run(1_000);
    expect(old.map(({ status }) => status)).toEqual([STATUS_SHUTDOWN, STATUS_SHUTDOWN, STATUS_SHUTDOWN]);
    expect(lab.ended(others)).toBe(false);
    lab.sent.length = 0;
    target.start(true);
    lab.runUntil(() => lab.ended(others), 10_000);
    lab.run(5_000_000);
    // The path was proven by a read of LBA 0, and larger frames were tried there.
    expect(
      lab.sent
        .filter(isIo)
        .map(lbaOf)
        .filter((lba) => lba > 0),
    ).toEqual([32]);
  });

  test('abandon() makes newer writes to the same sectors wait for what may still be on its way', () => {
    const { lab, volume } = Laboratory.simple();
    const gone = { completed: lab.completed.bind(lab) };
    let lost = 0;
    lab.loses = ({ opcode }) => opcode === ATA_WRITE_EXT && lost++ === 0;
    lab.submit(volume, OP_WRITE, 8, 1, gone);
    lab.run(1_000);
    volume.abandon(gone);
    const newer = lab.submit(volume, OP_WRITE, 8, 1);
    lab.run(1_900_000);
    expect(lab.ended(newer)).toBe(false);
    lab.runUntil(() => lab.ended(newer), 200_000);
  });
});

describe('late copies of writes', () => {
  test('Engine holds a write back while a copy of an older one to the same sectors may still arrive', () => {
    const { lab, target, volume } = Laboratory.simple();
    const stuck: (() => void)[] = [];
    const [nic] = target.nics;
    const { received } = nic;
    nic.received = (at, frame) => {
      if (stuck.length === 0) stuck.push(() => received(at, frame));
      else received(at, frame);
    };
    const first = lab.submit(volume, OP_WRITE, 8, 1);
    lab.runUntil(() => lab.ended(first), 100_000);
    const beside = lab.submit(volume, OP_WRITE, 9, 1);
    const trim = lab.submit(volume, OP_TRIM, 0, 64);
    lab.runUntil(() => lab.ended(beside), 10_000);
    lab.run(500_000);
    expect(lab.ended(trim)).toBe(false);
    stuck[0]();
    lab.runUntil(() => lab.ended(trim), 10_000);
    expect(lab.engine.counters.lateWritesAnswered).toBe(1);
  });

  test('Engine lets the write go when the copy can’t exist any more', () => {
    const { lab, volume } = Laboratory.simple();
    let lost = 0;
    lab.loses = ({ opcode }) => opcode === ATA_WRITE_EXT && lost++ === 0;
    const first = lab.submit(volume, OP_WRITE, 8, 1);
    lab.runUntil(() => lab.ended(first), 100_000);
    const read = lab.submit(volume, OP_READ, 8, 1);
    const second = lab.submit(volume, OP_WRITE, 8, 1);
    lab.runUntil(() => lab.ended(read), 10_000);
    lab.run(1_900_000);
    expect(lab.ended(second)).toBe(false);
    lab.runUntil(() => lab.ended(second), 200_000);
    const flush = lab.submit(volume, OP_FLUSH);
    lab.runUntil(() => lab.ended(flush), 10_000);
  });
});
