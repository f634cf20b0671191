import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { Quarantine } from '../../src/initiator/quarantine.ts';

const HOUR_MS = 3_600_000;
const SHORT_MS = 100;

let folder: string;
let mark: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'aoe-csi-quarantine-'));
  mark = join(folder, 'used');
});

afterEach(() => rmSync(folder, { recursive: true }));

function begun(lengthMs: number): Quarantine {
  const quarantine = new Quarantine(mark, lengthMs);
  quarantine.begin();
  return quarantine;
}

const forever = new AbortController().signal;

describe('Quarantine', () => {
  test('end() resolves at once when nobody has used a volume before, again and again', async () => {
    const first = begun(HOUR_MS);
    expect(existsSync(mark)).toBe(false);
    await first.end(forever);
    await first.end(forever);
    expect(existsSync(mark)).toBe(true);
  });

  test('end() takes its time when somebody has, counted from begin()', async () => {
    await begun(HOUR_MS).end(forever);
    const beforeMs = performance.now();
    const second = new Quarantine(mark, SHORT_MS);
    const end = second.end(forever);
    second.begin();
    await end;
    // Timers count whole milliseconds.
    expect(performance.now() - beforeMs).toBeGreaterThan(SHORT_MS - 2);
  });

  test('end() is given up with the reason of the signal', async () => {
    await begun(HOUR_MS).end(forever);
    const controller = new AbortController();
    const end = begun(HOUR_MS).end(controller.signal);
    controller.abort(new Error('enough'));
    await expect(end).rejects.toThrow('enough');
  });
});
