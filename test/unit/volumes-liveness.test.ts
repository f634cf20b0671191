import { beforeEach, describe, expect, test } from '@jest/globals';
import { Liveness, NODE_HEARTBEAT_MS, NODE_SILENT_MS } from '../../src/volumes/liveness.ts';
import { nodeRecord } from '../support/volumes-records.ts';

const HOUR_MS = 3_600_000;

/** The controller's two clocks. */
let wallMs: number;
let steadyMs: number;
let liveness: Liveness;

beforeEach(() => {
  wallMs = 1e12;
  steadyMs = 5_000;
  liveness = new Liveness({ wallMs: () => wallMs, steadyMs: () => steadyMs });
});

function pass(ms: number): void {
  wallMs += ms;
  steadyMs += ms;
}

/** @param aliveAtMs by the node's clock */
function isAlive(aliveAtMs: number): boolean {
  return liveness.isAlive(nodeRecord('n', [], { aliveAtMs }));
}

describe('Liveness', () => {
  test('counts on a node that was heard of lately, and forgives a missed beat', () => {
    const beatMs = wallMs;
    expect(isAlive(beatMs)).toBe(true);
    pass(2 * NODE_HEARTBEAT_MS);
    expect(isAlive(beatMs)).toBe(true);
    pass(NODE_SILENT_MS - 2 * NODE_HEARTBEAT_MS);
    expect(isAlive(beatMs)).toBe(false);
  });

  test('does not count on a node that was silent for long when it is first seen, until it beats', () => {
    expect(isAlive(wallMs - NODE_SILENT_MS)).toBe(false);
    pass(1_000);
    expect(isAlive(wallMs)).toBe(true);
  });

  test.each([
    ['an hour behind', -HOUR_MS],
    ['an hour ahead', HOUR_MS],
  ])('goes by the beats of a node whose clock is %s, not by what they say', (_what, skewMs) => {
    let beatMs = wallMs + skewMs;
    isAlive(beatMs);
    for (let beats = 0; beats < 10; beats++) {
      pass(NODE_HEARTBEAT_MS);
      beatMs += NODE_HEARTBEAT_MS;
      expect(isAlive(beatMs)).toBe(true);
    }
    pass(NODE_SILENT_MS - 1);
    expect(isAlive(beatMs)).toBe(true);
    // Also of the one ahead: its last words are not good for an hour.
    pass(1);
    expect(isAlive(beatMs)).toBe(false);
  });

  test.each([
    ['forward', HOUR_MS],
    ['back', -HOUR_MS],
  ])('declares nobody dead or alive when its own clock is set %s by an hour', (_what, jumpMs) => {
    const beatMs = wallMs;
    expect(isAlive(beatMs)).toBe(true);
    wallMs += jumpMs;
    expect(isAlive(beatMs)).toBe(true);
    pass(NODE_SILENT_MS);
    expect(isAlive(beatMs)).toBe(false);
    wallMs -= 2 * jumpMs;
    expect(isAlive(beatMs)).toBe(false);
  });

  test('counts on a node again at its next beat after its clock was set back', () => {
    expect(isAlive(wallMs)).toBe(true);
    pass(1_000);
    expect(isAlive(wallMs - HOUR_MS)).toBe(false);
    pass(NODE_HEARTBEAT_MS);
    expect(isAlive(wallMs - HOUR_MS)).toBe(true);
  });
});
