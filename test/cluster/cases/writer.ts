import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from '@jest/globals';
import { MOUNT, type Workloads } from '../../support/cluster-workloads.ts';

/** Writes the time over and over, durably, and says so: a gap in what it says is a write that had to wait. */
const WRITER = `while :; do date +%s > ${MOUNT}/clock && sync ${MOUNT}/clock && date +%s; sleep 1; done`;
const GAP_MAX_SECONDS = 20;
const LOOK_MS = 3_000;

/** A pod `writer` with a claim `data`. @returns the node that it runs on */
export async function startWriter(work: Workloads): Promise<string> {
  await work.claim('data', { size: '100Mi' });
  await work.pod('writer', { claim: 'data', script: WRITER });
  return work.running('writer');
}

/** That no write had to wait, also not until now. */
export async function requireNoGap(work: Workloads): Promise<void> {
  await sleep(LOOK_MS);
  const times = (await work.logs('writer')).split('\n').filter(Boolean).map(Number);
  const gaps = times.slice(1).map((time, index) => time - times[index]);
  expect(times.length).toBeGreaterThan(3);
  expect(Math.max(...gaps)).toBeLessThan(GAP_MAX_SECONDS);
  expect(Date.now() / 1000 - (times.at(-1) ?? 0)).toBeLessThan(GAP_MAX_SECONDS);
}
