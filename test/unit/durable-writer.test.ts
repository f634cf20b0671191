import { mkdtempSync, openSync, closeSync, rmSync, truncateSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { DurableWriter } from '../support/durable-writer.ts';
import { eventually } from '../support/faults-process.ts';

const BLOCK_BYTES = 4_096;

let folder = '';
let path = '';
let writer: DurableWriter;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'aoe-csi-durable-'));
  path = join(folder, 'file');
  writer = await DurableWriter.open(path, 7);
  writer.start();
  await eventually('five writes', 10_000, () => writer.report.acknowledged >= 5);
  await writer.stop();
});

afterEach(async () => {
  await writer.close();
  rmSync(folder, { recursive: true });
});

function overwrite(offset: number, bytes: Buffer): void {
  const file = openSync(path, 'r+');
  writeSync(file, bytes, 0, bytes.length, offset);
  closeSync(file);
}

describe('DurableWriter', () => {
  test('damage() finds nothing when all that was acknowledged is there', async () => {
    expect(await writer.damage()).toEqual([]);
    expect(writer.report.error).toBe('');
    expect(writer.report.longestMs).toBeGreaterThan(0);
  });

  test('damage() finds a write that was lost', async () => {
    overwrite(3 * BLOCK_BYTES, Buffer.alloc(BLOCK_BYTES));
    expect(await writer.damage()).toEqual([`write 3 of ${String(writer.report.acknowledged)}: zeros are there`]);
  });

  test('damage() finds a write that lost its last byte', async () => {
    overwrite(4 * BLOCK_BYTES + BLOCK_BYTES - 1, Buffer.from([0]));
    overwrite(5 * BLOCK_BYTES - 2, Buffer.from([0]));
    expect(await writer.damage()).toHaveLength(1);
  });

  test('damage() finds what was cut off', async () => {
    truncateSync(path, 5 * BLOCK_BYTES);
    const [first] = await writer.damage();
    expect(first).toContain('write 5 of');
    expect(first).toContain('only 0 bytes are there');
  });

  test('damage() finds an older write where a newer one was acknowledged', async () => {
    const other = await DurableWriter.open(join(folder, 'other'), 8);
    other.start();
    await eventually('five writes', 10_000, () => other.report.acknowledged >= 5);
    await other.close();
    expect(await writer.damage(join(folder, 'other'))).toContain(
      `write 2 of ${String(writer.report.acknowledged)}: what is there is not this writer's`,
    );
  });

  test('it gives up, and says with what, when a write fails', async () => {
    const full = await DurableWriter.open('/dev/full', 1);
    full.start();
    await eventually('the error', 10_000, () => full.report.error !== '');
    await full.close();
    expect(full.report).toMatchObject({ acknowledged: 0, error: expect.stringContaining('ENOSPC') });
  });
});
