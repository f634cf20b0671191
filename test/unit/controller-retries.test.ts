import { describe, expect, test } from '@jest/globals';
import { Retries } from '../../src/controller/retries.ts';
import type { TaskRecord } from '../../src/volumes/records.ts';
import { targetRecord } from '../support/volumes-records.ts';

const SECOND_MS = 1_000;

function task(state: TaskRecord['state'], nodeId = 'n'): TaskRecord {
  return { kind: 'wipe', id: 'wipe:a', nodeId, state, message: '', doneBytes: 0, totalBytes: 0 };
}

describe('Retries', () => {
  test('lets a task be tried again after half a minute, and each time after twice as long, whichever node fails', () => {
    let nowMs = 0;
    const retries = new Retries(() => nowMs);
    const seen = (of: TaskRecord | undefined): void => retries.note([targetRecord('e1.0', { task: of })]);
    for (const seconds of [30, 60, 120, 240, 480, 600, 600]) {
      const failed = task('failed', `n${seconds}`);
      seen(failed);
      nowMs += (seconds - 1) * SECOND_MS;
      seen(failed);
      expect([seconds, retries.isDue('e1.0', failed)]).toEqual([seconds, false]);
      nowMs += SECOND_MS;
      expect([seconds, retries.isDue('e1.0', failed)]).toEqual([seconds, true]);
      seen(task('waiting'));
      seen(task('running'));
    }
    // Another task for the same thing, later.
    seen(undefined);
    seen(task('failed'));
    nowMs += 30 * SECOND_MS;
    expect(retries.isDue('e1.0', task('failed'))).toBe(true);
  });

  test('counts a failure that came so soon that the task was never seen under way', () => {
    let nowMs = 0;
    const retries = new Retries(() => nowMs);
    const look = (): void => retries.note([targetRecord('e1.0', { task: task('failed') })]);
    look();
    nowMs += 30 * SECOND_MS;
    expect(retries.isDue('e1.0', task('failed'))).toBe(true);
    retries.handedOut('e1.0', task('waiting'));
    look();
    nowMs += 59 * SECOND_MS;
    expect(retries.isDue('e1.0', task('failed'))).toBe(false);
    nowMs += SECOND_MS;
    expect(retries.isDue('e1.0', task('failed'))).toBe(true);
  });

  test('knows of no task that it has not seen', () => {
    expect(new Retries(() => 1e9).isDue('e1.0', task('failed'))).toBe(false);
  });
});
