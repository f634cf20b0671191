import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from '@jest/globals';
import { fioVerify, runProgram } from '../support/faults-clients.ts';
import { inLaboratory, MIB, SAN, TARGET_MAC } from '../support/faults-laboratory.ts';
import { ALL_LIES } from '../support/faults-lies.ts';
import { NBD_EINVAL, NBD_EIO, NbdClient } from '../support/faults-nbd-client.ts';
import { eventually } from '../support/faults-process.ts';
import { patiently } from '../support/patience.ts';
import { command, describeIf, root } from '../support/requires.ts';

/** What a target, or somebody in its place, may answer; the target is a test's own, which lies as it is told to. */
describeIf([root(), command('ip', 'iproute2'), command('fio'), command('nbdinfo', 'libnbd-bin')], 'answers', () => {
  test('the initiator verifies every byte while each true answer comes among fifteen lies', async () => {
    await inLaboratory(async (lab) => {
      lab.wire();
      const target = await lab.fakeTarget();
      const initiator = lab.initiate(SAN);
      await initiator.attachNow('e10.3');
      await target.set({ lies: ALL_LIES });
      const before = await initiator.statistics();
      const result = await fioVerify(initiator.uri('e10.3'), lab.folder, '--io_size=6m');
      const after = await initiator.statistics();
      expect(result).toMatchObject({ error: 0, text: '' });
      expect(result.writes).toBeGreaterThan(50);
      const grown = (name: string): number => after[name] - before[name];
      const answers = grown('aoe.answers');
      // Truncated, of another version and another command's: refused by their looks. What has no response bit, is for another
      // host or in another VLAN does not pass the socket's filter.
      expect(grown('aoe.malformed')).toBeGreaterThanOrEqual(2 * answers);
      expect(grown('aoe.wrongSource')).toBeGreaterThanOrEqual(3 * answers);
      expect(grown('aoe.unexpected')).toBeGreaterThanOrEqual(4 * answers);
      expect(grown('aoe.ataErrors')).toBe(0);
      expect((await target.report()).liesTold).toBeGreaterThan(15 * answers);
      expect((await initiator.attachment('e10.3')).state).toBe('up');
    });
  });

  test('the initiator goes on when thousands of random frames and announcements come in between', async () => {
    await inLaboratory(async (lab) => {
      lab.wire();
      const target = await lab.fakeTarget();
      const initiator = lab.initiate(SAN);
      await initiator.attachNow('e10.3');
      const io = fioVerify(initiator.uri('e10.3'), lab.folder, '--io_size=6m');
      for (let round = 0; round < 4; round++) {
        await target.storm({ kind: 'noise', frames: 5_000 });
        await target.storm({ kind: 'announcements', frames: 2_000 });
      }
      expect(await io).toMatchObject({ error: 0, text: '' });
      expect((await initiator.state('e10.3', 'up', 2_000)).reason).toBe('');
      const { 'aoe.malformed': malformed } = await initiator.statistics();
      expect(malformed).toBeGreaterThan(1_000);
      // Announcements are believed a few times a second, not each: they stop I/O for a moment.
      expect(initiator.notices.filter(({ kind }) => kind === 'target-announced').length).toBeLessThan(80);
      expect(initiator.notices.length).toBeLessThan(1_000);
    });
  });

  test('a read fails within a second, and names target and place, when every answer to it is too short', async () => {
    for (const reads of ['short', 'no data'] as const) {
      await inLaboratory(async (lab) => {
        lab.wire();
        const target = await lab.fakeTarget();
        const initiator = lab.initiate(SAN);
        await initiator.attachNow('e10.3');
        const client = await NbdClient.open(initiator.socketPath('e10.3'), 'e10.3');
        const content = randomBytes(4096);
        expect((await client.write(8192, content)).error).toBe(0);
        await target.set({ reads });
        const startMs = Date.now();
        expect((await client.read(8192, 4096)).error).toBe(NBD_EIO);
        expect(Date.now() - startMs).toBeLessThan(patiently(1_000));
        await initiator.notice('ata-error', /e10\.3 answered a read of 2 sectors at LBA 1\d 4 times with too little data/);
        await target.set({ reads: 'good' });
        expect((await client.read(8192, 4096)).data.equals(content)).toBe(true);
      });
    }
  });

  test('errors of the disk end a request at once, and only that request', async () => {
    await inLaboratory(async (lab) => {
      lab.wire();
      const target = await lab.fakeTarget({ badFromLba: 1_000 });
      const initiator = lab.initiate(SAN);
      await initiator.attachNow('e10.3');
      const client = await NbdClient.open(initiator.socketPath('e10.3'), 'e10.3');
      for (const [ataStatus, ataError, words] of [
        [0x41, 0x40, /uncorrectable|UNC/],
        [0x41, 0x10, /IDNF|not found/],
        [0x41, 0x04, /ABRT|abort/],
        [0x60, 0, /DF|fault/],
        [0x80, 0, /BSY|busy/],
      ] as const) {
        await target.set({ ataStatus, ataError });
        initiator.notices.length = 0;
        const startMs = Date.now();
        expect((await client.read(999 * 512, 4096)).error).toBe(NBD_EIO);
        expect((await client.write(2_000 * 512, randomBytes(65_536))).error).toBe(NBD_EIO);
        expect(Date.now() - startMs).toBeLessThan(patiently(1_000));
        await initiator.notice('ata-error', words);
        expect((await client.read(0, 4096)).error).toBe(0);
      }
    });
  });

  test('each AoE error has its own consequence', async () => {
    await inLaboratory(async (lab) => {
      lab.wire();
      const target = await lab.fakeTarget();
      const initiator = lab.initiate(SAN);
      await initiator.attachNow('e10.3');
      const client = await NbdClient.open(initiator.socketPath('e10.3'), 'e10.3');
      for (const [aoeError, error] of [
        [1, NBD_EIO],
        [2, NBD_EINVAL],
        [5, NBD_EIO],
        [77, NBD_EIO],
      ]) {
        await target.set({ badFromLba: 1_000, aoeError });
        expect((await client.read(1_000 * 512, 1024)).error).toBe(error);
        expect((await client.read(0, 4096)).error).toBe(0);
      }
      // 3, device unavailable: asked again until it is available.
      await target.set({ aoeError: 3 });
      const patient = client.read(1_000 * 512, 4096);
      const startMs = Date.now();
      await sleep(600);
      await target.set({ badFromLba: Number.MAX_SAFE_INTEGER });
      expect((await patient).error).toBe(0);
      expect(Date.now() - startMs).toBeGreaterThan(500);
      expect(Date.now() - startMs).toBeLessThan(patiently(2_000));
      // 6, reserved: fenced, for good.
      await target.set({ badFromLba: 1_000, aoeError: 6 });
      expect((await client.read(1_000 * 512, 4096)).error).toBe(NBD_EIO);
      await target.set({ badFromLba: Number.MAX_SAFE_INTEGER });
      expect((await client.read(0, 4096)).error).toBe(NBD_EIO);
      const { state, reason } = await initiator.attachment('e10.3');
      expect([state, reason]).toEqual(['fenced', 'reserved by another initiator']);
      await initiator.notice('reserved', /e10\.3 is reserved by another initiator.*Detach the volume/);
    });
  });

  test('attaching is refused or waits, with the reason, when IDENTIFY is useless', async () => {
    await inLaboratory(async (lab) => {
      lab.wire();
      const target = await lab.fakeTarget({ sectors: 0 });
      const initiator = lab.initiate(SAN);
      await expect(initiator.attachNow('e10.3')).rejects.toThrow("e10.3 can't be attached: it reports a size of 0");
      for (const [options, reason] of [
        [{ identify: 'silent' }, 'it answers discovery, but not IDENTIFY'],
        [{ identify: 'short' }, 'it answers IDENTIFY with an error or too little data'],
        [{ identify: 'error' }, 'it answers IDENTIFY with an error or too little data'],
      ] as const) {
        await target.set({ sectors: 1000, ...options });
        const attaching = initiator.attach('e10.3');
        const failed = expect(attaching).rejects.toThrow(`e10.3 could not be attached: ${reason}`);
        await initiator.state('e10.3', 'attaching', 1_000);
        await sleep(400);
        expect((await initiator.attachment('e10.3')).reason).toBe(reason);
        await initiator.detach('e10.3');
        await failed;
      }
    });
  });

  test('sizes that are odd, or use all 48 bits and more, are served to their last sector and not beyond', async () => {
    for (const [sectors, sizeField] of [
      [1, undefined],
      [12_345, undefined],
      [2 ** 48 - 1, undefined],
      // Bits beyond 48 mean nothing.
      [12_345, '3930000000000100'],
      [2 ** 48 - 1, 'ffffffffffffffff'],
    ] as const) {
      await inLaboratory(async (lab) => {
        lab.wire();
        await lab.fakeTarget(sizeField === undefined ? { sectors } : { sectors, sizeField });
        const initiator = lab.initiate(SAN);
        expect((await initiator.attachNow('e10.3')).sectors).toBe(sectors);
        const client = await NbdClient.open(initiator.socketPath('e10.3'), 'e10.3');
        const content = randomBytes(512);
        const last = (sectors - 1) * 512;
        expect((await client.write(last, content)).error).toBe(0);
        const back = await client.read(last, 512);
        expect([back.error, back.data.equals(content)]).toEqual([0, true]);
        expect((await client.read(last, 1024)).error).toBe(NBD_EINVAL);
        expect((await client.read(last + 512, 512)).error).toBe(NBD_EINVAL);
        expect((await client.write(last + 512, content)).error).not.toBe(0);
        const { text } = await runProgram('nbdinfo', '--size', initiator.uri('e10.3'));
        expect(text.trim()).toBe(String(BigInt(sectors) * 512n));
      });
    }
  });

  test('buffer counts of 0 and 1 mean one request at a time, a sector count of 0 means two sectors', async () => {
    for (const bufferCount of [0, 1, 3]) {
      await inLaboratory(async (lab) => {
        lab.wire(9000);
        const target = await lab.fakeTarget({ bufferCount, sectorCount: 0 });
        const initiator = lab.initiate(SAN);
        await initiator.attachNow('e10.3');
        await target.set({ delayMs: 1 });
        const result = await fioVerify(initiator.uri('e10.3'), lab.folder, '--bs=16k', '--io_size=1m');
        expect(result.error).toBe(0);
        const { waitingMax } = await target.report();
        expect(waitingMax).toBeGreaterThanOrEqual(Math.max(bufferCount, 1));
        // A few more where the machine was too busy to answer in time, and requests were sent again.
        expect(waitingMax).toBeLessThan(Math.max(bufferCount, 1) + 6);
        expect((await initiator.path('e10.3')).payloadBytes).toBe(1024);
        expect((await initiator.path('e10.3')).mac).toBe(TARGET_MAC);
      });
    }
  });

  test('an attachment says so and comes back by itself when the target answers discovery but no reads', async () => {
    await inLaboratory(async (lab) => {
      lab.wire();
      const target = await lab.fakeTarget({ reads: 'silent', writes: 'silent' });
      const initiator = lab.initiate(SAN);
      const attaching = initiator.attach('e10.3');
      const why = 'it answers discovery and IDENTIFY, but not a read of 2 sectors at LBA 0';
      await eventually('the reason', 5_000, async () => (await initiator.attachment('e10.3')).reason === why);
      expect((await initiator.attachment('e10.3')).state).toBe('attaching');
      await target.set({ reads: 'good', writes: 'good' });
      await attaching;
      const client = await NbdClient.open(initiator.socketPath('e10.3'), 'e10.3');
      expect((await client.write(0, randomBytes(MIB))).error).toBe(0);

      await target.set({ reads: 'silent', writes: 'silent' });
      const held = client.read(0, 4096);
      await initiator.state('e10.3', 'down', 3_000);
      await sleep(1_500);
      expect(await initiator.attachment('e10.3')).toMatchObject({ state: 'down', reason: why, requestsInFlight: 1 });
      await target.set({ reads: 'good', writes: 'good' });
      expect((await held).error).toBe(0);
      expect(await initiator.state('e10.3', 'up', 1_000)).toMatchObject({ reason: '', requestsInFlight: 0 });
    });
  });
});
