import { expect, test } from '@jest/globals';
import { TARGET_MISMATCH, TARGET_UP } from '../../src/aoe/target.ts';
import type { Volume } from '../../src/aoe/volume.ts';
import { OP_READ, OP_WRITE } from '../../src/block/request.ts';
import { STATUS_OK } from '../../src/block/status.ts';
import { Laboratory } from '../simulation/laboratory.ts';
import type { ModelTarget } from '../simulation/model-target.ts';

/** A volume of 2048 sectors whose target is larger now and then. */

function resize({ disk }: ModelTarget, sectors: number): void {
  disk.identity = { ...disk.identity, sectors };
}

/** What the target says to the question how large it is: undefined when it is not the volume's any more. */
function measured(lab: Laboratory, volume: Volume): number | undefined {
  const answers: boolean[] = [];
  lab.engine.identify(volume.target, lab.nowUs + 1_000_000, (answered) => answers.push(answered));
  lab.initiator.awake = true;
  lab.runUntil(() => answers.length === 1, 1_100_000);
  return answers[0] ? volume.target.identity?.sectors : undefined;
}

function requireReads(lab: Laboratory, volume: Volume): void {
  const request = lab.submit(volume, OP_READ, 0, 8);
  lab.runUntil(() => lab.ended(request), 2_500_000);
  expect([request.status, volume.target.state]).toEqual([STATUS_OK, TARGET_UP]);
}

test('Volume goes on at a target that has grown and shrunk again, and at no smaller one than the volume', () => {
  const { lab, target, volume } = Laboratory.simple();
  for (const sectors of [4_096, 3_000, 2_048, 5_000]) {
    resize(target, sectors);
    expect(measured(lab, volume)).toBe(sectors);
  }
  target.crash(false);
  resize(target, 2_048);
  target.start(true);
  requireReads(lab, volume);
  expect(volume.target.identity?.sectors).toBe(2_048);

  const held = lab.submit(volume, OP_WRITE, 0, 8);
  resize(target, 2_047);
  target.announce();
  lab.run(5_000_000);
  expect([volume.target.state, volume.target.reason]).toEqual([
    TARGET_MISMATCH,
    expect.stringMatching(/shrank from 2048 to 2047 sectors/),
  ]);
  resize(target, 2_048);
  lab.runUntil(() => lab.ended(held), 2_500_000);
  requireReads(lab, volume);
});

test('Volume that was grown takes no smaller target any more', () => {
  const { lab, target, volume } = Laboratory.simple();
  resize(target, 4_096);
  // As the command grow does.
  volume.sectors = measured(lab, volume) ?? 0;
  resize(target, 3_000);
  expect(measured(lab, volume)).toBeUndefined();
  expect(volume.target.state).toBe(TARGET_MISMATCH);
});

test('Volume moves to another MAC of its disk, though the first one has said that it was larger', () => {
  const lab = new Laboratory();
  const [here, there] = [lab.addSegment(), lab.addSegment()];
  for (const segment of [here, there]) lab.addInterface(segment);
  const first = lab.addTarget({}, {}, [here]);
  const volume = lab.attachedVolume(first);
  const second = lab.addTarget({}, {}, [there]);
  resize(first, 4_096);
  expect(measured(lab, volume)).toBe(4_096);
  second.announce();
  first.crash(false);
  const held = lab.submit(volume, OP_READ, 0, 8);
  lab.runUntil(() => lab.ended(held), 2_500_000);
  requireReads(lab, volume);
  expect(volume.target.identity?.sectors).toBe(2_048);
});
