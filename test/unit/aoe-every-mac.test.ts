import { describe, expect, test } from '@jest/globals';
import { COMMAND_RESERVE, RESERVE_ENTRIES_MAX, RESERVE_FORCE_SET, RESERVE_READ } from '../../src/aoe/constants.ts';
import type { CommandRefusal, MacAnswers } from '../../src/aoe/every-mac.ts';
import { readReserve } from '../../src/aoe/reserve.ts';
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

describe('long reserve lists', () => {
  /** As many as a frame of an MTU of 1500 holds, and as a list does. */
  const SHORT = 248;
  const LONG = RESERVE_ENTRIES_MAX;

  function list(length: number): number[] {
    return Array.from({ length }, (_, index) => modelMac(3, index + 1));
  }

  /** A target with two MACs, seen through interfaces with these MTUs. */
  function seen(...mtus: number[]): Laboratory {
    const lab = new Laboratory();
    lab.addSegment();
    for (const mtu of mtus) lab.addInterface(lab.segments[0], mtu);
    for (let count = 0; count < 2; count++) lab.addTarget({}, DISK);
    lab.run(5 * US);
    lab.sent.length = 0;
    return lab;
  }

  function set(lab: Laboratory, macs: number[]): CommandRefusal | undefined {
    const target = lab.engine.find(10, 3);
    if (target === undefined) throw new Error('nothing has been found');
    const { nowUs } = lab;
    lab.initiator.awake = true;
    const question = { kind: 'reserve', command: RESERVE_FORCE_SET, macs } as const;
    const refusal = lab.engine.command(target, question, nowUs + US, nowUs, () => undefined);
    lab.run(2 * US);
    return refusal;
  }

  /** The lists that have been sent. */
  function sent(lab: Laboratory): (readonly number[] | undefined)[] {
    return lab.sent
      .filter(({ command }) => command === COMMAND_RESERVE)
      .map(({ bytes }) => readReserve(new DataView(bytes.buffer), 0, bytes.length)?.macs);
  }

  test('arrive as they are, also side by side', () => {
    const lab = seen(9_000);
    expect(set(lab, list(LONG))).toBeUndefined();
    expect(sent(lab)).toEqual([list(LONG), list(LONG)]);
  });

  test('go through the interfaces whose frames hold them', () => {
    const lab = seen(1_500, 9_000);
    lab.loses = ({ command }) => command === COMMAND_RESERVE;
    expect(set(lab, list(LONG))).toBeUndefined();
    expect(sent(lab).length).toBeGreaterThan(4);
  });

  test('are refused when no frame holds them', () => {
    const lab = seen(1_500);
    expect(set(lab, list(SHORT))).toBeUndefined();
    expect(sent(lab)).toEqual([list(SHORT), list(SHORT)]);
    expect(set(lab, list(SHORT + 1))).toEqual({
      isLasting: true,
      text: expect.stringMatching(/249 MACs .* e10\.3: .* MTU of 1506, .* 1500/),
    });
    expect(sent(lab)).toHaveLength(2);
  });
});
