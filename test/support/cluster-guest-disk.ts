import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { importing } from './cluster-containerd.ts';
import { eventually, TestProcess } from './faults-process.ts';

const START_MS = 20_000;
const SIZE = '8G';
const OUTPUT_MAX = 16 * 1024 * 1024;

/**
 * A disk for guests that are nodes, with what their containerd has of these images: unpacking them in software emulation would take
 * minutes for each. Nothing is mounted for it.
 * @returns its path; guests have layers over it
 */
export async function makeGuestDisk(folder: string, images: readonly string[]): Promise<string> {
  const disk = join(folder, 'disk.img');
  const scratch = join(folder, 'disk');
  mkdirSync(scratch, { recursive: true });
  await unpack(images, join(scratch, 'lib/containerd'), join(folder, 'unpacking'));
  await run(['mke2fs', '-q', '-t', 'ext4', '-E', 'lazy_itable_init=1,lazy_journal_init=1', '-d', scratch, disk, SIZE]);
  rmSync(scratch, { recursive: true, force: true });
  return disk;
}

/** What one guest writes is its own. */
export async function makeLayer(disk: string, path: string): Promise<void> {
  await run(['qemu-img', 'create', '-q', '-f', 'qcow2', '-b', disk, '-F', 'raw', path]);
}

/** As a containerd that has started and ended leaves it. */
async function unpack(images: readonly string[], root: string, state: string): Promise<void> {
  mkdirSync(state, { recursive: true });
  const [socket, configuration] = [join(state, 'socket'), join(state, 'containerd.toml')];
  writeFileSync(
    configuration,
    `version = 2\nroot = "${root}"\nstate = "${state}"\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n[grpc]\n  address = "${socket}"\n`,
  );
  const containerd = new TestProcess('containerd', ['unshare', '--mount', 'containerd', '--config', configuration], state);
  try {
    await eventually('containerd to start', START_MS, () => {
      if (!containerd.running) throw new Error(containerd.report);
      return existsSync(socket);
    });
    for (const image of images) await run(importing(image, socket));
  } finally {
    await containerd.end();
    rmSync(state, { recursive: true, force: true });
  }
}

async function run([program, ...words]: readonly string[]): Promise<void> {
  await promisify(execFile)(program, words, { maxBuffer: OUTPUT_MAX });
}
