import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { eventually } from './faults-process.ts';
import { FioLoad } from './fio-load.ts';
import { KernelNbd } from './kernel-nbd.ts';

/** Runs a test with a mounted device under a writer that checks what it has written; nothing of it may be wrong in the end. */
export async function withWriter(run: (host: KernelNbd, device: string) => Promise<void>): Promise<void> {
  await KernelNbd.use(async (host) => {
    await host.lab.vblade('e10.3', host.lab.disk());
    await host.start();
    const device = await host.attach('e10.3');
    const mountPoint = host.mountNew(device);
    const writer = new FioLoad(host.lab.folder, '--size=24m', '--rate_iops=50,50', `--filename=${join(mountPoint, 'file')}`);
    try {
      await run(host, device);
      const { error, text } = await writer.end();
      assert.equal(error, 0, text);
    } finally {
      writer.kill();
    }
    execFileSync('umount', [mountPoint]);
    execFileSync('e2fsck', ['-fn', device], { stdio: 'ignore' });
    await host.detach('e10.3');
  });
}

/** Waits until the initiator that runs has done some I/O for e10.3. */
export async function progress(host: KernelNbd): Promise<void> {
  const done = async (): Promise<number> => (await host.attachment('e10.3'))?.requestsDone ?? 0;
  const before = await done();
  await eventually('I/O to go on', 30_000, async () => (await done()) > before + 20);
}
