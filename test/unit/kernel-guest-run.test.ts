import { appendFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { GuestRun, type GuestLimits, type GuestMachine } from '../kernel/host/guest-run.ts';
import { lanesOf } from '../kernel/host/lanes.ts';
import { Report } from '../kernel/host/report.ts';
import { EVENTS_FILE, type GuestEvent } from '../kernel/protocol.ts';

const PATIENT: GuestLimits = { bootMs: 60_000, pauseMs: 60_000, graceMs: 60_000, powerOffMs: 60_000 };
const HASTY: GuestLimits = { bootMs: 300, pauseMs: 300, graceMs: 300, powerOffMs: 300 };

class FakeMachine implements GuestMachine {
  running = true;
  console = 'booting\nwhat it said last';

  async kill(): Promise<void> {
    this.running = false;
    return Promise.resolve();
  }
}

let folder = '';
let machine: FakeMachine;
let printed: string[];
let report: Report;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'aoe-csi-guest-run-'));
  machine = new FakeMachine();
  printed = [];
  report = new Report((text) => printed.push(text));
});

afterEach(() => rmSync(folder, { recursive: true }));

function write(text: string): void {
  appendFileSync(join(folder, EVENTS_FILE), text);
}

function lines(...events: GuestEvent[]): string {
  return events.map((event) => `${JSON.stringify(event)}\n`).join('');
}

async function follow(limits: GuestLimits): Promise<ReadonlySet<string>> {
  return new GuestRun(machine, folder, (event) => report.take(event), limits).follow();
}

const ready: GuestEvent = { type: 'ready', kernel: '6.1', speedFactor: 12, uptimeMs: 9_000 };
const began: GuestEvent = { type: 'case', file: 'a.js', name: 'it works', limitMs: 1 };
const passed: GuestEvent = { type: 'result', file: 'a.js', name: 'it works', status: 'passed', durationMs: 5, reason: '' };
const fileEnd: GuestEvent = { type: 'file-end', file: 'a.js', durationMs: 9 };
const end: GuestEvent = { type: 'end', stuck: false };

describe('GuestRun', () => {
  test('follow() tells results of a guest that ends well, also when lines come in pieces', async () => {
    const all = lines(ready, { type: 'file', file: 'a.js' }, began, passed, fileEnd, end);
    write(all.slice(0, 100));
    const following = follow(PATIENT);
    write(all.slice(100));
    machine.running = false;
    expect(await following).toEqual(new Set(['a.js']));
    expect(report.summary()).toBe('\n1 passed, 0 failed, 0 skipped');
    expect(printed.join('\n')).toContain('✓ it works (0.0 s)');
  });

  test('follow() fails the case that a guest was at when it ended, with the end of its console', async () => {
    write(lines(ready, { type: 'file', file: 'a.js' }, began));
    machine.running = false;
    expect(await follow(PATIENT)).toEqual(new Set(['a.js']));
    expect(report.failed).toBe(1);
    expect(report.summary()).toContain('✗ a in 6.1: it works\n      the guest ended before its tests');
    expect(report.summary()).toContain('what it said last');
  });

  test('follow() kills a guest that hangs in a case, and fails it', async () => {
    write(lines(ready, { type: 'file', file: 'a.js' }, began));
    expect(await follow({ ...HASTY, pauseMs: 60_000 })).toEqual(new Set(['a.js']));
    expect(machine.running).toBe(false);
    expect(report.summary()).toContain("waited in vain for the end of 'it works'");
  });

  test('follow() fails a guest that never comes to its tests, and names no file as finished', async () => {
    expect(await follow(HASTY)).toEqual(new Set());
    expect(report.summary()).toContain('waited in vain for the guest to start its tests');
    expect(report.failed).toBe(1);
  });

  test('follow() leaves the files for another guest that a stuck one did not come to', async () => {
    write(lines(ready, { type: 'file', file: 'a.js' }, began, { ...passed, status: 'failed' }, fileEnd));
    write(lines({ type: 'end', stuck: true }));
    machine.running = false;
    expect(await follow(PATIENT)).toEqual(new Set(['a.js']));
    expect(report.failed).toBe(1);
  });
});

describe('lanesOf()', () => {
  test('gives every file to one guest, the long ones to different ones', () => {
    const files = ['facts', 'prove-faults', 'nbd-life', 'csi-crash', 'csi-sanity'].map((name) => `x/${name}.js`);
    const lanes = lanesOf(files, 2);
    expect(lanes.flat().toSorted()).toEqual(files.toSorted());
    expect(lanes).toEqual([
      ['x/facts.js', 'x/nbd-life.js', 'x/csi-sanity.js'],
      ['x/prove-faults.js', 'x/csi-crash.js'],
    ]);
    expect(lanesOf(['x/facts.js'], 4)).toEqual([['x/facts.js']]);
  });
});

describe('Report', () => {
  test('names the file again when guests beside each other take turns', () => {
    for (const file of ['a.js', 'b.js', 'b.js', 'a.js']) report.take({ type: 'figure', file, text: 'x' });
    expect(printed.map((text) => text.trim())).toEqual(['a', 'x', 'b', 'x', 'x', 'a', 'x']);
  });

  const skipped: GuestEvent = { ...passed, status: 'skipped', reason: 'no wish to' };

  test('summary() counts a case that was skipped', () => {
    report.take(skipped);
    expect(report.summary()).toBe('\n0 passed, 0 failed, 1 skipped');
  });

  test('summary() counts it as failed where nothing may be skipped, with its reason', () => {
    const strict = new Report((text) => printed.push(text), true);
    strict.take(ready);
    strict.take(skipped);
    expect(strict.summary()).toBe('\n✗ a in 6.1: it works\n      no wish to\n0 passed, 1 failed, 0 skipped');
  });
});
