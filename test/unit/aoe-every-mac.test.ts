import { describe, expect, test } from '@jest/globals';
import { RESERVE_READ } from '../../src/aoe/constants.ts';
import type { MacAnswers } from '../../src/aoe/every-mac.ts';
import { Laboratory } from '../simulation/laboratory.ts';
import { modelMac } from '../simulation/model-target.ts';

const DISK = { serial: 'one disk' };
const US = 1_000_000;
const OURS = [modelMac(3, 1)];
const OTHERS = [modelMac(3, 2)];

/** One address at which two machines answer, each with a disk of its own making; nobody uses it. */
function twins(second: { readonly serial: string }) {
  const lab = new Laboratory();
  lab.addSegment();
  lab.addInterface();
  const targets = [lab.addTarget({}, DISK), lab.addTarget({}, second)];
  for (const target of targets) target.troubles = { ...target.troubles };
  lab.run(5 * US);
  return { lab, targets };
}

function reservations(lab: Laboratory): MacAnswers | undefined {
  const target = lab.engine.find(10, 3);
  if (target === undefined) throw new Error('nothing has been found');
  const question = { kind: 'reserve', command: RESERVE_READ, macs: [] } as const;
  const asked = { isOver: false, answers: undefined as MacAnswers | undefined };
  const { nowUs } = lab;
  lab.initiator.awake = true;
  const refusal = lab.engine.command(target, question, nowUs + 10 * US, nowUs, (answers) => {
    asked.answers = answers;
    asked.isOver = true;
  });
  expect(refusal).toBeUndefined();
  lab.runUntil(() => asked.isOver, 11 * US);
  return asked.answers;
}

function lists(answers: MacAnswers | undefined): readonly (readonly number[])[] | undefined {
  return answers?.answers.map(({ macs }) => macs).toSorted((a, b) => (a[0] ?? 0) - (b[0] ?? 0));
}

describe('questions about ownership', () => {
  test('go to all MACs that serve a disk, and each says what it knows', () => {
    const { lab, targets } = twins(DISK);
    targets[0].troubles.reservedFor = OURS;
    targets[1].troubles.reservedFor = OTHERS;
    const answers = reservations(lab);
    expect([lists(answers), answers?.silent]).toEqual([[OURS, OTHERS], 0]);
  });

  test('leave a MAC alone that has another disk, until it is the only one', () => {
    const { lab, targets } = twins({ serial: 'another disk' });
    targets[0].troubles.reservedFor = OURS;
    targets[1].troubles.reservedFor = OTHERS;
    const first = lab.engine.find(10, 3)?.identity?.serial;
    const isFirst = first === DISK.serial;
    expect(lists(reservations(lab))).toEqual([isFirst ? OURS : OTHERS]);
    targets[isFirst ? 0 : 1].crash(false);
    lab.run(300 * US);
    expect(lists(reservations(lab))).toEqual([isFirst ? OTHERS : OURS]);
    expect(lab.engine.find(10, 3)?.identity?.serial).not.toBe(first);
  });

  test('go to a second MAC no more when another disk announces itself there while the volume is in use', () => {
    const { lab, targets } = twins(DISK);
    lab.attachedVolume(targets[0]);
    lab.run(5 * US);
    const owner = lab.engine.find(10, 3)?.owner;
    const second = targets.find(({ nics }) => nics[0].mac !== owner) ?? targets[1];
    expect(reservations(lab)?.answers).toHaveLength(2);
    second.crash(false);
    second.disk.identity = { ...second.disk.identity, serial: 'another disk' };
    second.start(true);
    lab.run(5 * US);
    expect(reservations(lab)).toMatchObject({ answers: [{ macs: [] }], silent: 0 });
  });

  test('go to all MACs again when the disk behind them was replaced, though only one of them has announced it', () => {
    const { lab, targets } = twins(DISK);
    for (const target of targets) {
      target.crash(false);
      target.disk.identity = { ...target.disk.identity, serial: 'another disk' };
    }
    targets[0].start(true);
    targets[1].start(false);
    lab.run(100 * US);
    expect(lab.engine.find(10, 3)?.identity?.serial).toBe('another disk');
    expect(reservations(lab)?.answers).toHaveLength(2);
  });

  test('count a MAC that does not answer, as long as it was there a moment ago', () => {
    const { lab, targets } = twins(DISK);
    targets[1].crash(false);
    expect(reservations(lab)).toMatchObject({ answers: [{ macs: [] }], silent: 1 });
    lab.run(300 * US);
    expect(reservations(lab)).toMatchObject({ answers: [{ macs: [] }], silent: 0 });
    targets[0].crash(false);
    expect(reservations(lab)).toBeUndefined();
  });

  test('count a MAC that can only be reached through an interface that is down', () => {
    const lab = new Laboratory();
    for (const segment of [lab.addSegment(), lab.addSegment()]) {
      lab.addInterface(segment);
      lab.addTarget({}, DISK, [segment]);
    }
    lab.run(5 * US);
    expect(reservations(lab)).toMatchObject({ answers: [{}, {}], silent: 0 });
    const [, second] = lab.initiator.interfaces;
    second.up = false;
    lab.initiator.refresh(second);
    expect(reservations(lab)).toMatchObject({ answers: [{}], silent: 1 });
  });
});
