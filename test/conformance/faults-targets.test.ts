import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from '@jest/globals';
import { fioVerifyFor, runProgram } from '../support/faults-clients.ts';
import { inLaboratory, MIB, SAN, TARGET } from '../support/faults-laboratory.ts';
import { NBD_EIO, NBD_ENOSPC, NBD_EPERM, NbdClient } from '../support/faults-nbd-client.ts';
import { eventually } from '../support/faults-process.ts';
import { patiently } from '../support/patience.ts';
import { command, describeIf, root } from '../support/requires.ts';

/** Of the test that waits for large frames. */
const LONG_MS = 150_000;

/** Targets that can't do what they are asked for: nothing is acknowledged that is not written. */
describeIf([root(), command('ip', 'iproute2'), command('vblade'), command('fio')], 'targets', () => {
  test('writes fail at once and reads work when the target is read-only', async () => {
    await inLaboratory(async (lab) => {
      lab.wire();
      const content = randomBytes(4 * MIB);
      writeFileSync(join(lab.folder, 'vblade'), content);
      writeFileSync(join(lab.folder, 'ours'), content);
      await lab.vblade('e10.3', join(lab.folder, 'vblade'), { words: ['-b', '64', '-r'] });
      await lab.aoeCsiTarget(`e10.4=${join(lab.folder, 'ours')},ro`);
      const initiator = lab.initiate(SAN);
      for (const name of ['e10.3', 'e10.4']) {
        await initiator.attachNow(name);
        const client = await NbdClient.open(initiator.socketPath(name), name);
        const startMs = Date.now();
        for (const length of [512, 4096, 65_536, MIB]) {
          expect([NBD_EIO, NBD_EPERM]).toContain((await client.write(0, randomBytes(length))).error);
        }
        expect(Date.now() - startMs).toBeLessThan(patiently(1_500));
        await initiator.notice('ata-error', new RegExp(`${name} failed a write of .*: .*(ABRT|abort)`));
        expect((await client.read(0, MIB)).data.equals(content.subarray(0, MIB))).toBe(true);
        expect((await initiator.attachment(name)).state).toBe('up');
      }
      expect(readFileSync(join(lab.folder, 'vblade')).equals(content)).toBe(true);
      expect(readFileSync(join(lab.folder, 'ours')).equals(content)).toBe(true);
    });
  });

  test('writes are refused as such, and never sent, when the volume is attached read-only', async () => {
    await inLaboratory(async (lab) => {
      lab.wire();
      const target = await lab.fakeTarget();
      const initiator = lab.initiate(SAN);
      expect((await initiator.attachNow('e10.3', { readOnly: true })).readOnly).toBe(true);
      const client = await NbdClient.open(initiator.socketPath('e10.3'), 'e10.3');
      expect((await client.write(0, randomBytes(4096))).error).toBe(NBD_EPERM);
      expect((await client.read(0, 4096)).error).toBe(0);
      expect((await target.report()).writes).toBe(0);
      const { text } = await runProgram('nbdinfo', initiator.uri('e10.3'));
      expect(text).toContain('is_read_only: true');
    });
  });

  test('a write fails, and what was acknowledged before is there, when the disk behind the target is full', async () => {
    for (const kind of ['vblade', 'ours']) {
      await inLaboratory(async (lab) => {
        lab.wire();
        const path = join(lab.tmpfs(8 * MIB), 'disk');
        await runProgram('truncate', '-s', '32M', path);
        // What belongs to the target besides, its saved state, is elsewhere.
        if (kind === 'vblade') await lab.vblade('e10.3', path);
        else await lab.aoeCsiTarget('--state-dir', lab.folder, `e10.3=${path}`);
        const initiator = lab.initiate(SAN);
        await initiator.attachNow('e10.3');
        const client = await NbdClient.open(initiator.socketPath('e10.3'), 'e10.3');
        const written: Buffer[] = [];
        let error = 0;
        for (let at = 0; at < 16 && error === 0; at++) {
          const content = randomBytes(MIB);
          error = (await client.write(at * MIB, content)).error;
          if (error === 0) written.push(content);
        }
        expect([NBD_EIO, NBD_ENOSPC]).toContain(error);
        expect(written.length).toBeGreaterThan(4);
        await initiator.notice('ata-error', /e10\.3 failed a write of \d+ sectors at LBA \d+/);
        for (const [index, content] of written.entries()) {
          const back = await client.read(index * MIB, MIB);
          expect([back.error, back.data.equals(content)]).toEqual([0, true]);
        }
        expect((await initiator.attachment('e10.3')).state).toBe('up');
      });
    }
  });

  test(
    'I/O goes on in smaller frames when the target’s own interface takes less than before',
    async () => {
      await inLaboratory(async (lab) => {
        lab.wire(9000);
        await lab.aoeCsiTarget(`e10.3=${lab.disk()}`);
        const initiator = lab.initiate(SAN);
        await initiator.attachNow('e10.3');
        await eventually('large frames', 1_000, async () => (await initiator.path('e10.3')).payloadBytes === 8192);
        const io = fioVerifyFor(7, initiator.uri('e10.3'), lab.folder);
        await initiator.busy('e10.3');
        await sleep(500);
        lab.target.ip(`link set ${TARGET} mtu 1500`);
        await eventually('small frames', 2_500, async () => (await initiator.path('e10.3')).payloadBytes === 1024);
        await sleep(300);
        lab.target.ip(`link set ${TARGET} mtu 9000`);
        // A probe that fails for a busy machine is tried again after 4 s, 8 s, 16 s and so on.
        await eventually('large frames again', 35_000, async () => (await initiator.path('e10.3')).payloadBytes === 8192);
        expect(await io).toMatchObject({ error: 0, text: '' });
      });
    },
    LONG_MS,
  );

  test('I/O goes on, and the volume stays up, when the target takes a tenth of a second for each frame', async () => {
    await inLaboratory(async (lab) => {
      lab.wire();
      await lab.aoeCsiTarget('--slow', '100', '--buffers', '4', `e10.3=${lab.disk()}`);
      const initiator = lab.initiate(SAN);
      await initiator.attachNow('e10.3');
      const client = await NbdClient.open(initiator.socketPath('e10.3'), 'e10.3');
      const content = randomBytes(4096);
      expect((await client.write(0, content)).error).toBe(0);
      expect((await client.read(0, 4096)).data.equals(content)).toBe(true);
      // Its announcements, the last one after 1.5 s, make the initiator look who it is.
      await sleep(2_000);
      expect((await initiator.state('e10.3', 'up', 2_000)).reason).toBe('');
    });
  });
});
