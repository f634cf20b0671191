import { execFileSync } from 'node:child_process';
import { closeSync, constants, mkdtempSync, openSync, readSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { LineOutput } from '../../src/system/line-output.ts';
import { eventually } from '../support/faults-process.ts';

const LINE = `${'x'.repeat(9_999)}\n`;
/** More than a pipe and LineOutput hold together. */
const TOO_MANY = 300;

describe('LineOutput', () => {
  let folder: string;
  let reader: number;
  let writer: number;
  let lost: number[];
  let output: LineOutput;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'aoe-csi-'));
    const pipe = join(folder, 'pipe');
    execFileSync('mkfifo', [pipe]);
    reader = openSync(pipe, constants.O_RDONLY | constants.O_NONBLOCK);
    writer = openSync(pipe, constants.O_WRONLY);
    lost = [];
    output = new LineOutput(writer, (lines) => lost.push(lines));
  });

  afterEach(() => {
    closeSync(reader);
    closeSync(writer);
    rmSync(folder, { recursive: true });
  });

  /** All that can be read now. */
  function readAll(): string {
    const buffer = Buffer.alloc(1 << 16);
    let text = '';
    for (;;) {
      try {
        text += buffer.toString('utf8', 0, readSync(reader, buffer));
      } catch {
        return text;
      }
    }
  }

  test('write() has written the line when it returns and there is room', () => {
    output.write('first\n');
    output.write('second\n');
    expect(readAll()).toBe('first\nsecond\n');
  });

  test('write() keeps what does not fit into the pipe, in order, and writes it when there is room again', async () => {
    const lines = Array.from({ length: 50 }, (_, index) => `${String(index).padStart(9_999)}\n`);
    for (const line of lines) output.write(line);
    let text = '';
    await eventually('the rest to be written', 5_000, () => {
      text += readAll();
      return text.length === lines.join('').length;
    });
    expect(text).toBe(lines.join(''));
    expect(lost).toEqual([]);
  });

  test('write() leaves out and counts what is too much, and tells of it when all that waited has been written', async () => {
    for (let line = 0; line < TOO_MANY; line++) output.write(LINE);
    expect(lost).toEqual([]);
    let text = '';
    await eventually('the loss to be told', 5_000, () => {
      text += readAll();
      return lost.length > 0;
    });
    text += readAll();
    // Whole lines only, about a megabyte and what the pipe holds.
    expect(text.replaceAll(LINE, '')).toBe('');
    expect(text.length / LINE.length).toBeGreaterThan(100);
    expect(lost).toEqual([TOO_MANY - text.length / LINE.length]);
  });

  test('write() drops what nobody can read any more', () => {
    closeSync(reader);
    for (let line = 0; line < TOO_MANY; line++) output.write(LINE);
    expect(lost).toEqual([]);
    reader = openSync(join(folder, 'pipe'), constants.O_RDONLY | constants.O_NONBLOCK);
    output.write('heard again\n');
    expect(readAll()).toBe('heard again\n');
  });
});
