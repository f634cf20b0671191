import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from '@jest/globals';
import { EAGAIN } from '../../src/system/errno.ts';
import { acceptUnix, closeFd, connectUnix, listenUnix, socketPair } from '../../src/system/unix-socket.ts';
import { setReceiveBuffer, setSendBuffer } from '../../src/system/socket-options.ts';

const directory = mkdtempSync(join(tmpdir(), 'aoe-csi-system-'));
afterAll(() => rmSync(directory, { recursive: true }));

const options = { backlog: 4, mode: 0o600 };

test('listenUnix() takes connections at a path that only its owner may write to', () => {
  const path = join(directory, 'first.sock');
  const listener = listenUnix(path, options);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(acceptUnix(listener)).toBe(-EAGAIN);
  const client = connectUnix(path);
  const served = acceptUnix(listener);
  expect(served).toBeGreaterThan(0);
  for (const fd of [client, served, listener]) closeFd(fd);
});

test('listenUnix() refuses when a live server answers on the path', () => {
  const path = join(directory, 'taken.sock');
  const listener = listenUnix(path, options);
  expect(() => listenUnix(path, options)).toThrow(
    expect.objectContaining({ code: 'EADDRINUSE', message: expect.stringContaining(`another process serves this socket`) }),
  );
  expect(existsSync(path)).toBe(true);
  closeFd(listener);
});

test('listenUnix() replaces the socket file that a dead server left', () => {
  const path = join(directory, 'stale.sock');
  closeFd(listenUnix(path, options));
  expect(() => connectUnix(path)).toThrow(expect.objectContaining({ code: 'ECONNREFUSED' }));
  const listener = listenUnix(path, options);
  closeFd(connectUnix(path));
  closeFd(listener);
});

test('listenUnix() lets one in when several processes find the same stale socket at once', async () => {
  const paths = Array.from({ length: 50 }, (_, index) => join(directory, `contended.${index}`));
  for (const path of paths) closeFd(listenUnix(path, options));
  const script = fileURLToPath(new URL('../support/system-listener.js', import.meta.url));
  const words = [script, String(Date.now() + 800), ...paths];
  const processes = Array.from({ length: 3 }, () => spawn(process.execPath, words, { stdio: ['pipe', 'pipe', 'inherit'] }));
  try {
    const lines = await Promise.all(processes.map(async (child) => String((await once(child.stdout, 'data'))[0])));
    const outcomes = lines.map((line) => JSON.parse(line) as string[]);
    for (const index of paths.keys()) {
      const ofPath = outcomes.map((outcome) => outcome[index]).toSorted();
      expect(ofPath).toEqual(['EADDRINUSE', 'EADDRINUSE', 'listening']);
    }
    for (const path of paths) closeFd(connectUnix(path));
  } finally {
    const exits = processes.map((child) => once(child, 'exit'));
    for (const child of processes) child.stdin.end();
    await Promise.all(exits);
  }
});

test('listenUnix() touches nothing that is not a socket', () => {
  const path = join(directory, 'file');
  writeFileSync(path, 'precious');
  expect(() => listenUnix(path, options)).toThrow(expect.objectContaining({ code: 'EEXIST' }));
  mkdirSync(join(directory, 'folder'));
  expect(() => listenUnix(join(directory, 'folder'), options)).toThrow(expect.objectContaining({ code: 'EEXIST' }));
  expect(statSync(path).size).toBe(8);
});

test('listenUnix() and connectUnix() say what to do when the path is too long or missing', () => {
  expect(() => listenUnix(join(directory, 'x'.repeat(108)), options)).toThrow(/ENAMETOOLONG .*at most 107 bytes/);
  expect(() => connectUnix(join(directory, 'nobody.sock'))).toThrow(/ENOENT .*start the server/);
  expect(() => listenUnix(join(directory, 'no', 'such', 'folder.sock'), options)).toThrow(
    expect.objectContaining({ code: 'ENOENT' }),
  );
});

test('setSendBuffer() and setReceiveBuffer() report what the kernel granted', () => {
  const [ours, theirs] = socketPair();
  expect(setSendBuffer(ours, 100_000)).toBe(200_000);
  expect(setReceiveBuffer(ours, 100_000)).toBe(200_000);
  for (const fd of [ours, theirs]) closeFd(fd);
  expect(() => setSendBuffer(ours, 100_000)).toThrow(expect.objectContaining({ code: 'EBADF' }));
});
