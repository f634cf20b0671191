import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { pathOf } from '../../support/repository.ts';
import type { Kernel } from './kernels.ts';

/** What it takes to see the host's files; everything else is loaded from there. */
const MODULES = ['virtio_pci', '9p', '9pnet_virtio', 'overlay'];
const INIT = 'test/kernel/guest/init.sh';
/** Of this machine. */
const BUSYBOX = '/bin/busybox';

/** The first files of a guest: busybox, a few modules and init.sh. Kept beside its kernel until one of them changes. */
export function provideInitramfs(kernel: Kernel): string {
  const content = createHash('sha256')
    .update(readFileSync(pathOf(INIT)))
    .update(readFileSync(kernel.platform.busybox))
    .update(MODULES.join());
  const path = join(kernel.folder, `initramfs-${content.digest('hex').slice(0, 16)}.cpio`);
  if (!existsSync(path)) build(kernel, path);
  return path;
}

function build(kernel: Kernel, path: string): void {
  const scratch = mkdtempSync(join(kernel.folder, 'initramfs-'));
  try {
    const tree = join(scratch, 'tree');
    for (const folder of ['bin', 'modules']) mkdirSync(join(tree, folder), { recursive: true });
    copyFileSync(kernel.platform.busybox, join(tree, 'bin/busybox'));
    copyFileSync(pathOf(INIT), join(tree, 'init'));
    execFileSync('chmod', ['755', join(tree, 'init'), join(tree, 'bin/busybox')]);
    const order = modulePaths(kernel).map((module) => addModule(tree, module));
    writeFileSync(join(tree, 'modules/order'), order.map((name) => `${name}\n`).join(''));
    execFileSync('sh', ['-c', 'find . | cpio --quiet --create --format=newc > ../initramfs.cpio'], { cwd: tree });
    renameSync(join(scratch, 'initramfs.cpio'), path);
  } finally {
    rmSync(scratch, { recursive: true });
  }
}

/** Paths of MODULES and of what they need, each after what it needs itself. */
function modulePaths(kernel: Kernel): string[] {
  const paths = MODULES.flatMap((module) => {
    const words = ['--dirname', kernel.folder, '--set-version', kernel.release, '--show-depends', module];
    return execFileSync('modprobe', words, { encoding: 'utf8' })
      .split('\n')
      .filter((line) => line.startsWith('insmod '))
      .map((line) => line.split(' ')[1]);
  });
  return [...new Set(paths)];
}

/** Kernels before 6.2 cannot load packed modules; returns the name in the initramfs. */
function addModule(tree: string, path: string): string {
  const packed = path.endsWith('.xz');
  const name = basename(path, packed ? '.xz' : '');
  const bytes = packed ? execFileSync(BUSYBOX, ['unxz', '-c', path], { maxBuffer: 1 << 26 }) : readFileSync(path);
  writeFileSync(join(tree, 'modules', name), bytes);
  return name;
}
