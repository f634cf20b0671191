import { execFileSync } from 'node:child_process';
import { closeSync, cpSync, mkdtempSync, openSync, readdirSync, readSync, rmSync, statSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect } from '@jest/globals';

import { pathOf } from '../support/repository.ts';
import { command, describeIf, device, root, testIf } from '../support/requires.ts';

/** The program as it is shipped (`npm run bundle`), far from its sources and packages. */

const PROGRAM = 'AOE_CSI_TEST_PROGRAM';
const BLOCK_BYTES = 4096;
/** The Kubernetes client has 17 million bytes, of which 3 are needed: it must not be imported as a whole. */
const FILE_BYTES_MAX = 5_000_000;
const needs = [
  root(),
  command('ip', 'iproute2'),
  command('nbdfuse', 'libnbd-bin'),
  device('/dev/fuse'),
  device('/dev/loop-control'),
];
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'aoe-csi-bundle-'));
  execFileSync(process.execPath, [pathOf('tools/bundle.js')], { stdio: ['ignore', 'ignore', 'pipe'] });
  cpSync(pathOf('dist/app'), join(folder, 'app'), { recursive: true });
  // It is read when the first of the modules that start programs is imported.
  process.env[PROGRAM] = join(folder, 'app/main.js');
});

afterAll(() => {
  delete process.env[PROGRAM];
  rmSync(folder, { recursive: true, force: true });
});

describeIf(needs, 'the bundle', () => {
  testIf([], 'attaches a target and reads and writes, by threads and native calls of its own', async () => {
    const { withInitiators } = await import('../support/initiator-process.ts');
    const { SAN } = await import('../support/faults-laboratory.ts');
    await withInitiators(async ({ lab, initiate }) => {
      lab.wire();
      await lab.aoeCsiTarget(`e10.3=${lab.disk()}`);
      const initiator = await initiate('--interfaces', SAN, '--attach', 'fuse');
      const path = (await initiator.must('attach', 'e10.3')).trim();
      const disk = openSync(path, 'r+');
      const written = Buffer.alloc(BLOCK_BYTES, 'bundle');
      writeSync(disk, written, 0, BLOCK_BYTES, 0);
      const read = Buffer.alloc(BLOCK_BYTES);
      readSync(disk, read, 0, BLOCK_BYTES, 0);
      closeSync(disk);
      expect(read.equals(written)).toBe(true);
      await initiator.must('detach', 'e10.3');
    });
  });

  testIf([], 'has all commands and daemons, each with what it loads', () => {
    const main = join(folder, 'app/main.js');
    const help = execFileSync(process.execPath, [main, '--help'], { encoding: 'utf8' });
    for (const verb of ['initiator', 'node', 'controller', 'target', 'csi']) {
      expect(help).toContain(verb);
      expect(execFileSync(process.execPath, [main, verb, '--help'], { encoding: 'utf8' })).toContain(`aoe-csi ${verb}`);
    }
    expect(execFileSync(process.execPath, [main, '--version'], { encoding: 'utf8' })).toMatch(/^\d+\.\d+\.\d+\n$/);
  });

  testIf([], 'has of each package only what is used', () => {
    const files = readdirSync(join(folder, 'app')).filter((name) => name.endsWith('.js'));
    const large = files.filter((name) => statSync(join(folder, 'app', name)).size > FILE_BYTES_MAX);
    expect(large).toEqual([]);
  });
});
