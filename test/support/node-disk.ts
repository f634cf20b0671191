import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { closeSync, existsSync, mkdtempSync, openSync, rmSync, truncateSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bindLoopDevice } from '../../src/initiator/attach/loop-device.ts';
import { blockDevice, type BlockDevice } from '../../src/node/kernel/block-device.ts';
import { eventually } from './faults-process.ts';

const START_MS = 5_000;

/** A disk of a test's own: a loop device on a sparse file. */
export async function withDisk(sizeBytes: number, run: (device: BlockDevice) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'aoe-csi-disk-'));
  const file = join(folder, 'disk');
  writeFileSync(file, '');
  truncateSync(file, sizeBytes);
  await withLoop(file, run).finally(() => rmSync(folder, { recursive: true }));
}

/** A disk that can be made to fail all reads, or to vanish: no call about its file succeeds from then on. */
export async function withFailingDisk(
  sizeBytes: number,
  run: (device: BlockDevice, fail: () => void, vanish: () => void) => Promise<void>,
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'aoe-csi-disk-'));
  const [socket, file, trigger] = ['nbd.sock', 'disk', 'fail'].map((name) => join(folder, name));
  const error = ['error-pread=EIO', 'error-pread-rate=100%', `error-file=${trigger}`];
  const processes: ChildProcess[] = [];
  const start = (...words: readonly string[]): void => {
    processes.push(spawn('setpriv', ['--pdeathsig', 'KILL', ...words], { stdio: 'ignore' }));
  };
  try {
    start('nbdkit', '--foreground', '--unix', socket, '--filter=error', 'memory', `size=${sizeBytes}`, ...error);
    await eventually('nbdkit to start', START_MS, () => existsSync(socket));
    writeFileSync(file, '');
    start('nbdfuse', file, '--unix', socket);
    await eventually('nbdfuse to start', START_MS, () => isMounted(file));
    const vanish = (): void => {
      for (const each of processes) each.kill('SIGKILL');
    };
    await withLoop(file, async (device) => run(device, () => writeFileSync(trigger, ''), vanish));
  } finally {
    if (isMounted(file)) execFileSync('umount', ['--lazy', file]);
    for (const each of processes) each.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Puts bytes on a device, and through to it. */
export function put(path: string, atBytes: number, bytes: Uint8Array | string): void {
  const file = openSync(path, 'r+');
  const data = typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes;
  writeSync(file, data, 0, data.length, atBytes);
  closeSync(file);
  execFileSync('blockdev', ['--flushbufs', path]);
}

async function withLoop(file: string, run: (device: BlockDevice) => Promise<void>): Promise<void> {
  const path = await bindLoopDevice(file, false);
  try {
    await run(await blockDevice(path));
  } finally {
    execFileSync('losetup', ['--detach', path]);
  }
}

function isMounted(path: string): boolean {
  return execFileSync('cat', ['/proc/self/mountinfo'], { encoding: 'utf8' }).includes(` ${path} `);
}
