import { beforeEach, describe, expect, test } from '@jest/globals';
import { Notices } from '../../src/controller/notices.ts';
import { Logger } from '../../src/logging/logger.ts';
import type { TargetRecord, TaskRecord } from '../../src/volumes/records.ts';
import { claimRecord, targetRecord } from '../support/volumes-records.ts';

let lines: string[];
let notices: Notices;

beforeEach(() => {
  lines = [];
  notices = new Notices(Logger.create('info', { write: (line) => void lines.push(line) }));
});

/** What is said of a target now: `warn e1.1: …`. */
function said(...targets: readonly TargetRecord[]): string[] {
  notices.note(targets);
  return lines.splice(0).map((line) => {
    const { level, target, msg } = JSON.parse(line) as { level: string; target: string; msg: string };
    return `${level} ${target}: ${msg}`;
  });
}

function volume(reason: string, differences: Partial<TargetRecord> = {}): TargetRecord {
  return targetRecord('e1.1', { state: 'Claimed', claim: claimRecord(), reason, ...differences });
}

function task(differences: Partial<TaskRecord>): TaskRecord {
  return { kind: 'wipe', id: 'w1', nodeId: 'n1', state: 'waiting', message: '', doneBytes: 0, totalBytes: 0, ...differences };
}

describe('Notices, of a target', () => {
  test('warns when what is wrong with the target of a volume is new, and says when it is past', () => {
    expect(said(volume(''))).toEqual([]);
    expect(said(volume('no live node sees it'))).toEqual([
      'warn e1.1: something is wrong with target e1.1 of volume pvc-1: no live node sees it',
    ]);
    expect(said(volume('no live node sees it'))).toEqual([]);
    expect(said(volume('another disk is at this address'))).toEqual([
      'warn e1.1: something is wrong with target e1.1 of volume pvc-1: another disk is at this address',
    ]);
    expect(said(volume(''))).toEqual([
      'info e1.1: no longer so: something is wrong with target e1.1 of volume pvc-1: another disk is at this address',
    ]);
    expect(said(volume(''))).toEqual([]);
  });

  test('warns of a static volume, and of what is not used, anew when the reason changes', () => {
    expect(said(targetRecord('e1.2', { state: 'Static', reason: 'claimed by cluster b' }))).toEqual([
      'warn e1.2: something is wrong with target e1.2 of volume e1.2: claimed by cluster b',
    ]);
    const foreign = (reason: string) => targetRecord('e1.3', { state: 'Foreign', reason });
    expect(said(foreign('claimed by cluster b'))).toEqual(['warn e1.3: target e1.3 is not used: claimed by cluster b']);
    expect(said(foreign('claimed by cluster b'))).toEqual([]);
    expect(said(foreign('two disks share the address'))).toEqual([
      'warn e1.3: target e1.3 is not used: two disks share the address',
    ]);
  });

  test('does not warn of what passes by itself, nor of what nobody uses', () => {
    expect(said(volume('the target has forgotten its claim'))).toEqual([expect.stringMatching(/^info e1\.1: .*forgotten/)]);
    expect(said(volume(''))).toEqual([]);
    expect(said(targetRecord('e1.2', { state: 'Missing', reason: 'no live node sees it' }))).toEqual([]);
    expect(said(volume('', { claim: claimRecord({ confirmed: false }) }))).toEqual([
      'info e1.1: volume pvc-1 is being made at e1.1, or was given up half-way: then delete it',
    ]);
  });

  test('tells all of a target again that was away from the records', () => {
    expect(said(volume('no live node sees it'))).toHaveLength(1);
    expect(said()).toEqual([]);
    expect(said(volume('no live node sees it'))).toHaveLength(1);
  });
});

describe('Notices, of a task', () => {
  const released = (differences: Partial<TaskRecord>): TargetRecord =>
    targetRecord('e1.1', { state: 'Released', claim: claimRecord(), task: task(differences) });
  const failed = released({ state: 'failed', message: 'it does not answer' });
  const warned = 'task wipe of target e1.1 has failed: it does not answer; it is tried again, later each time';

  test('warns when it has failed, and not again when it is tried again and fails so, also on another node', () => {
    expect(said(released({}))).toEqual([]);
    expect(said(failed)).toEqual([`warn e1.1: ${warned}`]);
    expect(said(failed)).toEqual([]);
    expect(said(released({ nodeId: 'n2' }))).toEqual([]);
    expect(said(released({ nodeId: 'n2', state: 'running' }))).toEqual([]);
    expect(said(released({ nodeId: 'n2', state: 'failed', message: 'it does not answer' }))).toEqual([]);
    expect(said(released({ nodeId: 'n2', state: 'failed', message: 'after the wipe there is ext4' }))).toHaveLength(1);
  });

  test('says that it is past when it is done, or another task is there', () => {
    expect(said(failed)).toHaveLength(1);
    expect(said(targetRecord('e1.1'))).toEqual([`info e1.1: no longer so: ${warned}`]);
    expect(said(failed)).toHaveLength(1);
    expect(said(released({ kind: 'fence', id: 'f1' }))).toEqual([`info e1.1: no longer so: ${warned}`]);
  });
});
