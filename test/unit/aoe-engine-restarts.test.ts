import { describe, expect, test } from '@jest/globals';
import { ATA_FLUSH_EXT, ATA_IDENTIFY, ATA_READ_EXT, ATA_WRITE_EXT } from '../../src/aoe/constants.ts';
import { OP_FLUSH, OP_READ, OP_WRITE } from '../../src/block/request.ts';
import { STATUS_OK } from '../../src/block/status.ts';
import { Laboratory, type SentFrame } from '../simulation/laboratory.ts';
import { modelMac } from '../simulation/model-target.ts';

const SERIAL = 'laboratory';

const isWrite = ({ command, opcode }: SentFrame): boolean => command === 0 && opcode === ATA_WRITE_EXT;
const isIo = ({ command, opcode }: SentFrame): boolean => command === 0 && opcode !== ATA_IDENTIFY;

describe('a target that starts anew', () => {
  test('has writes again whose first part it had acknowledged before', () => {
    const { lab, target, volume } = Laboratory.simple();
    let last = 0;
    lab.loses = (frame) => isWrite(frame) && ++last === 4;
    const write = lab.submit(volume, OP_WRITE, 0, 8);
    lab.run(5_000);
    expect(lab.ended(write)).toBe(false);
    target.crash(true);
    target.start(true);
    lab.loses = () => false;
    lab.sent.length = 0;
    lab.runUntil(() => lab.ended(write), 100_000);
    expect(write.status).toBe(STATUS_OK);
    expect(new Set(lab.sent.filter(isWrite).map(({ bytes }) => bytes[28]))).toEqual(new Set([0, 2, 4, 6]));
    expect(lab.engine.counters.writesRepeated).toBe(1);
  });

  test('has a write again that must be durable, when it comes between the write and its flush', () => {
    const { lab, target, volume } = Laboratory.simple();
    lab.loses = ({ opcode }) => opcode === ATA_FLUSH_EXT;
    const write = lab.submit(volume, OP_WRITE, 0, 1, lab, true);
    lab.run(5_000);
    target.crash(true);
    target.start(true);
    lab.loses = () => false;
    lab.sent.length = 0;
    lab.runUntil(() => lab.ended(write), 100_000);
    const opcodes = lab.sent.map(({ opcode }) => opcode).filter((opcode) => opcode === ATA_WRITE_EXT || opcode === ATA_FLUSH_EXT);
    expect(opcodes.slice(-2)).toEqual([ATA_WRITE_EXT, ATA_FLUSH_EXT]);
  });

  test('is told of with the number of acknowledged writes that no flush had covered', () => {
    const { lab, target, volume } = Laboratory.simple();
    const flushed = [lab.submit(volume, OP_WRITE, 0, 1), lab.submit(volume, OP_WRITE, 8, 1, lab, true)];
    lab.runUntil(() => flushed.every((request) => lab.ended(request)), 10_000);
    const flush = lab.submit(volume, OP_FLUSH);
    lab.runUntil(() => lab.ended(flush), 10_000);
    target.announce();
    lab.run(10_000);
    expect([volume.unflushedRestarts, volume.unflushedWrites]).toEqual([0, 0]);
    const others = [lab.submit(volume, OP_WRITE, 0, 1), lab.submit(volume, OP_WRITE, 16, 8)];
    lab.runUntil(() => others.every((request) => lab.ended(request)), 10_000);
    target.announce();
    lab.run(10_000);
    target.announce();
    lab.run(10_000);
    expect([volume.unflushedRestarts, volume.unflushedWrites]).toEqual([1, 2]);
    expect(lab.notices.filter(({ kind }) => kind === 'durability')).toHaveLength(1);
  });

  test('must say who it is after each announcement, however soon they come', () => {
    const { lab, target, volume } = Laboratory.simple();
    const { identity } = target.disk;
    target.announce();
    lab.run(10_000);
    target.disk.identity = { ...identity, serial: 'other' };
    target.announce();
    const read = lab.submit(volume, OP_READ, 0, 1);
    lab.run(50_000);
    expect(volume.target.state).toBe('mismatch');
    expect(lab.ended(read)).toBe(false);
    target.disk.identity = identity;
    target.announce();
    lab.runUntil(() => lab.ended(read), 50_000);
  });
});

describe('another disk behind the same MAC', () => {
  test('gets no I/O on any interface once it has shown itself on one', () => {
    const lab = new Laboratory();
    lab.addSegment();
    lab.addInterface();
    lab.addInterface();
    const target = lab.addTarget();
    const volume = lab.attachedVolume(target);
    lab.run(20_000);
    target.disk.identity = { ...target.disk.identity, serial: 'other' };
    const [first] = volume.target.paths;
    // Any reason will do for asking one of the two.
    first.reverifyUs = lab.nowUs;
    lab.engine.discover(lab.nowUs);
    lab.initiator.awake = true;
    lab.run(5_000);
    lab.sent.length = 0;
    lab.submit(volume, OP_WRITE, 0, 1);
    lab.run(500_000);
    expect(volume.target.state).toBe('mismatch');
    expect(lab.sent.filter(isIo)).toEqual([]);
  });
});

describe('a MAC that has been given up for another', () => {
  test('can neither answer what it was asked nor change what is known of the target', () => {
    const lab = new Laboratory();
    lab.addSegment();
    lab.addInterface();
    const target = lab.addTarget({}, { serial: SERIAL });
    const volume = lab.attachedVolume(target);
    lab.run(20_000);
    const answers: (() => void)[] = [];
    const [nic] = target.nics;
    const send = nic.send.bind(nic);
    nic.send = (frame, to) => void answers.push(() => send(frame, to));
    const write = lab.submit(volume, OP_WRITE, 0, 1);
    lab.run(1_000);
    const heir = lab.addTarget({ bufferCount: 7 }, { serial: SERIAL }, [lab.segments[0]], modelMac(2, 99));
    // The heir takes over, but for its first answer to the write.
    heir.slowness = (opcode) => (opcode === ATA_WRITE_EXT ? 1_000_000 : 0);
    heir.announce();
    lab.runUntil(() => volume.target.owner === modelMac(2, 99), 2_000_000);
    lab.run(100_000);
    lab.sent.length = 0;
    nic.send = send;
    for (const answer of answers) answer();
    target.announce();
    lab.run(10_000);
    expect(lab.ended(write)).toBe(false);
    expect(volume.target.bufferCount).toBe(7);
    expect(lab.engine.counters.distrusted).toBeGreaterThan(0);
    lab.runUntil(() => lab.ended(write), 3_000_000);
    expect(lab.sent.filter(({ opcode }) => opcode === ATA_READ_EXT)).toEqual([]);
  });
});
