import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from '@jest/globals';
import { COMMAND_WRITE as WRITE } from '../../src/nbd/constants.ts';
import { fioVerifyFor } from '../support/faults-clients.ts';
import { inLaboratory, MIB, SAN } from '../support/faults-laboratory.ts';
import { NBD_EIO, NbdClient } from '../support/faults-nbd-client.ts';
import { encodeCommand } from '../support/nbd-client.ts';
import { within } from '../support/faults-process.ts';
import { patiently } from '../support/patience.ts';
import { command, describeIf, root } from '../support/requires.ts';

/** Writes of 1 MiB: more than one volume has memory for. */
const WRITES = 20;

/** Debian's target, silent for a while or for good. */
describeIf([root(), command('ip', 'iproute2'), command('vblade'), command('fio')], 'outages', () => {
  test('I/O goes on within 0.3 s of the target when that was gone for 0.1 s', async () => {
    await inLaboratory(async (lab) => {
      lab.wire();
      const vblade = await lab.vblade('e10.3', lab.disk());
      const initiator = lab.initiate(SAN);
      await initiator.attachNow('e10.3');
      const io = fioVerifyFor(3, initiator.uri('e10.3'), lab.folder);
      for (let gap = 0; gap < 4; gap++) {
        await sleep(500);
        vblade.signal('SIGSTOP');
        await sleep(100);
        vblade.signal('SIGCONT');
      }
      const result = await io;
      expect(result).toMatchObject({ error: 0, text: '' });
      expect(result.writes).toBeGreaterThan(10);
      expect(result.slowestMs).toBeLessThan(patiently(400));
    });
  });

  test('I/O is held, said so, and goes on by itself when the target was gone for 5 s', async () => {
    await inLaboratory(async (lab) => {
      lab.wire();
      const vblade = await lab.vblade('e10.3', lab.disk());
      const initiator = lab.initiate(SAN);
      await initiator.attachNow('e10.3');
      const io = fioVerifyFor(8, initiator.uri('e10.3'), lab.folder);
      await initiator.busy('e10.3');
      await sleep(1_000);
      vblade.signal('SIGSTOP');
      const down = await initiator.state('e10.3', 'down', 2_000);
      expect(down.reason).toBe('it does not answer');
      expect(down.requestsInFlight).toBeGreaterThan(0);
      await initiator.notice('target-state', /e10\.3 is down: it does not answer/);
      await sleep(4_000);
      vblade.signal('SIGCONT');
      await initiator.state('e10.3', 'up', 1_500);
      const result = await io;
      expect(result).toMatchObject({ error: 0, text: '' });
      expect(result.slowestMs).toBeLessThan(patiently(7_000));
    });
  });

  test('a volume goes on while five others, full of writes, are silent', async () => {
    await inLaboratory(async (lab) => {
      lab.wire();
      const silent = ['e10.4', 'e10.5', 'e10.6', 'e10.7', 'e10.8'];
      const server = await lab.aoeCsiTarget(...silent.map((name) => `${name}=${lab.disk(name)}`));
      await lab.vblade('e10.3', lab.disk());
      const initiator = lab.initiate(SAN);
      for (const name of ['e10.3', ...silent]) await initiator.attachNow(name);
      const client = await NbdClient.open(initiator.socketPath('e10.3'), 'e10.3');
      const writers: NbdClient[] = [];
      server.signal('SIGSTOP');
      for (const name of silent) {
        const writer = await NbdClient.open(initiator.socketPath(name), name);
        writers.push(writer);
        // As the kernel's writeback does it.
        for (let at = 0; at < WRITES; at++) {
          const offset = BigInt(at * MIB);
          writer.socket.write(
            encodeCommand({ type: WRITE, cookie: BigInt(at), offset, length: MIB, data: Buffer.alloc(MIB, at) }),
          );
        }
      }
      for (const name of silent) await initiator.state(name, 'down', 5_000);
      const content = randomBytes(MIB);
      expect((await client.write(0, content)).error).toBe(0);
      expect((await client.read(0, MIB)).data.equals(content)).toBe(true);
      server.signal('SIGCONT');
      const replies = writers.map(async (writer) => writer.answered(WRITES));
      expect(await Promise.all(replies)).toEqual(silent.map(() => Array.from({ length: WRITES }, () => 0)));
    });
  });

  test('held I/O fails after deadSeconds, new I/O at once, and all is well when the target is back', async () => {
    await inLaboratory(async (lab) => {
      lab.wire();
      const vblade = await lab.vblade('e10.3', lab.disk());
      const initiator = lab.initiate(SAN);
      await initiator.attachNow('e10.3', { deadSeconds: 1 });
      const client = await NbdClient.open(initiator.socketPath('e10.3'), 'e10.3');
      const content = randomBytes(65_536);
      expect((await client.write(0, content)).error).toBe(0);
      vblade.signal('SIGSTOP');
      const startMs = Date.now();
      expect((await client.write(0, randomBytes(65_536))).error).toBe(NBD_EIO);
      expect(Date.now() - startMs).toBeGreaterThan(1_000);
      expect(Date.now() - startMs).toBeLessThan(patiently(4_000));
      await initiator.notice('dead', /e10\.3 has not answered for deadSeconds: 1 held requests fail with an I\/O error/);
      const againMs = Date.now();
      expect((await client.read(0, 4096)).error).toBe(NBD_EIO);
      expect(Date.now() - againMs).toBeLessThan(patiently(200));
      vblade.signal('SIGCONT');
      await initiator.state('e10.3', 'up', 2_000);
      expect((await client.write(0, content)).error).toBe(0);
      expect((await client.read(0, 65_536)).data.equals(content)).toBe(true);
    });
  });

  test('answers of others are not written to the memory of reads that were given up', async () => {
    await inLaboratory(async (lab) => {
      lab.wire();
      await lab.fakeTarget({ slot: 3, silentFromLba: 4096 });
      await lab.fakeTarget({ slot: 4 });
      const initiator = lab.initiate(SAN);
      await initiator.attachNow('e10.3', { deadSeconds: 0.2 });
      await initiator.attachNow('e10.4');
      const [dying, other] = await Promise.all(
        ['e10.3', 'e10.4'].map(async (name) => NbdClient.open(initiator.socketPath(name), name)),
      );
      // After the last broadcast question of the interface's start, so that nothing is on the wire but what is sent here.
      await sleep(1_200);
      // The first half is answered; the second one is expected, in memory that the next request gets.
      expect((await dying.read(0, 4 * MIB)).error).toBe(NBD_EIO);
      const content = randomBytes(4 * MIB);
      expect((await other.write(0, content)).error).toBe(0);
      expect((await other.read(0, 4 * MIB)).data.equals(content)).toBe(true);
    });
  });

  test('a volume whose target never comes back says so, and can be detached by force', async () => {
    await inLaboratory(async (lab) => {
      lab.wire();
      const vblade = await lab.vblade('e10.3', lab.disk());
      const initiator = lab.initiate(SAN);
      await initiator.attachNow('e10.3');
      const client = await NbdClient.open(initiator.socketPath('e10.3'), 'e10.3');
      expect((await client.write(0, randomBytes(4096))).error).toBe(0);
      await vblade.end('SIGKILL');
      const held = client.write(0, randomBytes(4096));
      await initiator.state('e10.3', 'down', 3_000);
      await sleep(3_000);
      expect(await initiator.attachment('e10.3')).toMatchObject({
        state: 'down',
        reason: 'it does not answer',
        requestsInFlight: 1,
        connections: 1,
      });
      // A patient detach waits, and says what it does.
      let patientEnded = false;
      const patient = initiator.execute({ op: 'detach', name: 'e10.3', force: false }).then(() => (patientEnded = true));
      await sleep(500);
      expect([patientEnded, (await initiator.attachment('e10.3')).state]).toEqual([false, 'detaching']);
      await initiator.detach('e10.3', true);
      await within('the patient detach', 1_000, patient);
      expect((await held).error).not.toBe(0);
      await expect(initiator.attachment('e10.3')).rejects.toThrow('not among the attachments');
    });
  });

  test('an attach to nobody waits, says so, and succeeds when the target appears', async () => {
    await inLaboratory(async (lab) => {
      lab.wire();
      const initiator = lab.initiate(SAN);
      const attaching = initiator.attach('e10.3');
      await initiator.state('e10.3', 'attaching', 2_000);
      await sleep(500);
      const { reason } = await initiator.attachment('e10.3');
      expect(reason).toBe('no target answers at this address on the allowed interfaces');
      await lab.vblade('e10.3', lab.disk());
      const startMs = Date.now();
      expect((await within('the attach', 3_000, attaching)).state).toBe('up');
      expect(Date.now() - startMs).toBeLessThan(patiently(1_000));
    });
  });

  test('no byte is lost and no error is seen when the target is killed and started again under I/O', async () => {
    await inLaboratory(async (lab) => {
      lab.wire();
      const disk = lab.disk();
      let vblade = await lab.vblade('e10.3', disk);
      const initiator = lab.initiate(SAN);
      await initiator.attachNow('e10.3');
      const io = fioVerifyFor(6, initiator.uri('e10.3'), lab.folder);
      for (let restart = 0; restart < 4; restart++) {
        await sleep(800);
        await vblade.end('SIGKILL');
        await sleep(restart * 150);
        vblade = await lab.vblade('e10.3', disk);
      }
      await initiator.state('e10.3', 'up', 2_000);
      const result = await io;
      expect(result).toMatchObject({ error: 0, text: '' });
      expect(result.writes).toBeGreaterThan(100);
      await initiator.notice('target-announced', /e10\.3 announced itself: checking its identity before I\/O goes on/);
    });
  });
});
