import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from '@jest/globals';
import { command, describeIf, root } from '../support/requires.ts';
import { NetworkNamespace } from '../support/system-namespace.ts';

const SEEDS = 150;

function scenario(...words: string[]): unknown {
  const namespace = new NetworkNamespace('ring');
  const script = fileURLToPath(new URL('../support/receive-ring-scenarios.js', import.meta.url));
  try {
    const inNamespace = ['netns', 'exec', namespace.name, process.execPath, script, ...words];
    return JSON.parse(execFileSync('ip', inNamespace, { encoding: 'utf8', timeout: 15_000 }));
  } finally {
    namespace.remove();
  }
}

const placed = { placed: true, right: true };
const carried = { placed: false, right: true };
const unknown = { unknown: true, whole: true };
const untouched = { untouched: true };

/** The ring on a real packet socket: the kernel writes the data of answers, and where it does is what these tests are about. */
describeIf([root(), command('ip', 'iproute2')], 'ReceiveRing', () => {
  test('data() is the place it belongs to when answers come in the order of the questions', () => {
    expect(scenario('in order')).toEqual([placed, carried, placed, placed, placed, untouched]);
  });

  test('data() is elsewhere, and whole, when answers overtake each other; later ones are placed again', () => {
    const { first, again } = scenario('out of order') as Record<string, unknown>;
    expect(first).toEqual([carried, carried, carried, carried, carried, untouched]);
    expect(again).toEqual([placed, carried, placed, placed, placed, untouched]);
  });

  test('data() is elsewhere after an answer was lost, and the right place again for what is asked later', () => {
    const { first, second, later } = scenario('lost') as Record<string, unknown>;
    expect(first).toEqual([carried, carried, carried, untouched]);
    expect(second).toEqual([carried, carried, untouched]);
    expect(later).toEqual([placed, placed, placed, untouched]);
  });

  test('data() of every frame is whole when frames come that nobody asked for', () => {
    const { first, again } = scenario('unexpected') as Record<string, unknown>;
    expect(first).toEqual([unknown, carried, unknown, unknown, carried, carried, untouched]);
    expect(again).toEqual([placed, placed, placed, untouched]);
  });

  test('withdraw() keeps late answers out of memory that is somebody else’s', () => {
    const late = { whole: true, right: false };
    expect(scenario('withdrawn')).toEqual([late, late, late, { whole: true, right: true }, untouched]);
  });

  test('PortDriver names no memory of a question that was given up before it was sent', () => {
    expect(scenario('given up unsent')).toEqual([false, true]);
  });

  test('length() tells of answers that are too short or too long, and no other place is touched', () => {
    expect(scenario('short')).toEqual({ lengths: [36 + 512, 36, 36 + 1536, 36 + 1024], untouched: true });
  });

  test('every answer is right over many rounds through the ring', () => {
    expect(scenario('full ring')).toEqual({ right: 8 * 500 });
  });

  test(`no answer is wrong and no foreign memory touched in ${String(SEEDS)} random conversations`, () => {
    const result = scenario('random', String(SEEDS)) as { problem: string; frames: number; placed: number };
    expect(result).toMatchObject({ problem: 'none' });
    expect(result.frames).toBeGreaterThan(20_000);
    expect(result.placed).toBeGreaterThan(3_000);
  });
});
