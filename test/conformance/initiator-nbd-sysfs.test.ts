import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from '@jest/globals';
import { describeIf, root } from '../support/requires.ts';

const SCRIPT = fileURLToPath(new URL('../support/nbd-sysfs-scenarios.js', import.meta.url));
const MOUNTED = 'mount --bind "$0" /sys/block && exec "$@"';

function scenario(name: string): unknown {
  const folder = mkdtempSync(join(tmpdir(), 'aoe-csi-sysfs-'));
  const inNamespace = ['--mount', 'sh', '-c', MOUNTED, folder, process.execPath, SCRIPT, name];
  try {
    return JSON.parse(execFileSync('unshare', inNamespace, { encoding: 'utf8', timeout: 60_000 }));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** What the kernel tells of its devices, and what the initiator makes of it. With the driver itself: npm run test:kernel. */
describeIf([root()], 'sysfs of NBD devices', () => {
  test('a device of which nothing can be read is neither forgotten nor given up, and is gone when its identifier is', () => {
    const trouble = (text: string): unknown =>
      expect.stringContaining(`waits to be connected to this initiator again (a test): ${text}`);
    expect(scenario('unreadable')).toEqual({
      ...{ removal: 'unavailable', records: 1 },
      whileUnreadable: [false, trouble("/sys/block/nbd0/backend can't be read: EISDIR")],
      readable: [false, trouble('offers a socket')],
      gone: true,
    });
  });

  test('DISCONNECT is not called of a device that is another one by now', () => {
    expect(scenario('replaced')).toBe('done');
  });

  test('grow() of a device that has grown already completes its record, and what was left in the middle', () => {
    expect(scenario('grown')).toEqual({ again: 'EINVAL', before: 2_048, after: 4_096 });
  });
});
