import { randomBytes } from 'node:crypto';
import { closeSync, existsSync, openSync, readFileSync, readSync, truncateSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from '@jest/globals';
import { fioVerifyFor, runProgram } from '../support/faults-clients.ts';
import { ANSWERING, SILENT } from '../support/faults-fake-target-client.ts';
import { inLaboratory, MIB, SAN, SAN_MAC, TARGET, TARGET_MAC, type Laboratory } from '../support/faults-laboratory.ts';
import { NbdClient } from '../support/faults-nbd-client.ts';
import { eventually, within } from '../support/faults-process.ts';
import { command, describeIf, root, testIf, type Requirement } from '../support/requires.ts';
import type { NetworkNamespace } from '../support/system-namespace.ts';

const OTHER_MAC = '02:00:00:00:0c:01';

/** A second target host, at one switch with the first one and the initiator. */
function secondTarget(lab: Laboratory): NetworkNamespace {
  const other = lab.host('other');
  lab.switch(
    1500,
    { host: lab.initiator, name: SAN, mac: SAN_MAC },
    { host: lab.target, name: TARGET, mac: TARGET_MAC },
    { host: other, name: TARGET, mac: OTHER_MAC },
  );
  return other;
}

/** Not installed by anybody's tests: the package loads the kernel's driver at the next boot. */
function aoetools(): Requirement {
  const missing = existsSync('/usr/sbin/aoe-sancheck') ? undefined : 'needs aoe-sancheck and aoeping of the package aoetools';
  return { missing, certainInCi: false };
}

/** Two initiators on one interface, each with a volume under fio, while something else happens. */
async function twoInitiators(lab: Laboratory, disturb: () => Promise<void>): Promise<void> {
  lab.wire();
  // Debian's tools discard answers of fewer than 60 bytes, which is what vblade sends over a veth.
  await lab.aoeCsiTarget(`e10.3=${lab.disk('one')}`, `e10.4=${lab.disk('two')}`);
  const volumes = ['e10.3', 'e10.4'].map((name) => ({ name, initiator: lab.initiate(SAN) }));
  for (const { name, initiator } of volumes) await initiator.attachNow(name);
  const jobs = volumes.map(async ({ name, initiator }) => fioVerifyFor(4, initiator.uri(name), lab.folder));
  await disturb();
  for (const result of await Promise.all(jobs)) expect(result).toMatchObject({ error: 0, text: '' });
  for (const { initiator } of volumes) {
    const statistics = await initiator.statistics();
    expect(statistics).toMatchObject({ 'aoe.wrongSource': 0, 'aoe.malformed': 0 });
    expect(statistics['aoe.answers']).toBeGreaterThan(100);
    // Second answers to what was sent twice; not one of the thousands that were for the other.
    expect(statistics['aoe.unexpected']).toBeLessThanOrEqual(statistics['aoe.framesResent'] + 10);
  }
}

function isZero(path: string): boolean {
  return readFileSync(path).every((byte) => byte === 0);
}

/** First bytes of a file. */
function head(path: string, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  const fd = openSync(path, 'r');
  readSync(fd, bytes, 0, length, 0);
  closeSync(fd);
  return bytes;
}

/** Who else is on the wire: other initiators, other targets, and other disks where ours ought to be. */
describeIf([root(), command('ip', 'iproute2'), command('vblade'), command('fio')], 'strangers', () => {
  test('two initiators use one interface, and neither takes the other’s answers', async () => {
    await inLaboratory(async (lab) => twoInitiators(lab, async () => sleep(2_000)));
  });

  testIf([aoetools()], 'two initiators go on beside Debian’s aoeping and aoe-sancheck', async () => {
    await inLaboratory(async (lab) =>
      twoInitiators(lab, async () => {
        const inHost = ['netns', 'exec', lab.initiator.name];
        const check = runProgram('ip', ...inHost, 'aoe-sancheck', SAN);
        let pings = 0;
        // A ping sees everybody's frames and misses its own answer at times; what counts is that it asks.
        for (const endMs = Date.now() + 4_000; Date.now() < endMs;) {
          if ((await runProgram('ip', ...inHost, 'aoeping', '-i', '-s', '1', '10', '3', SAN)).code === 0) pings++;
        }
        expect(pings).toBeGreaterThan(3);
        // Sancheck does take others' answers for its own, and says so at length.
        expect((await check).text).toContain('Probing');
      }),
    );
  });

  test('attaching is refused and the MAC named when two targets answer at one address from one MAC', async () => {
    await inLaboratory(async (lab) => {
      lab.wire();
      const [one, two] = [lab.disk('one'), lab.disk('two')];
      await lab.vblade('e10.3', one);
      await lab.vblade('e10.3', two);
      const initiator = lab.initiate(SAN);
      await expect(initiator.attachNow('e10.3')).rejects.toThrow(
        `e10.3 can't be attached: two targets answer as e10.3 from one MAC, ${TARGET_MAC} on ${SAN}; stop one of them`,
      );
    });
  });

  test('attaching is refused and both disks named when they answer at one address from two MACs', async () => {
    await inLaboratory(async (lab) => {
      const other = secondTarget(lab);
      const first = await lab.fakeTarget({ serial: 'one', sectors: 1000 });
      const second = await lab.fakeTarget({ serial: 'two', sectors: 2000 }, other);
      const initiator = lab.initiate(SAN);
      const refusal = await initiator.attachNow('e10.3').catch((error: Error) => error.message);
      expect(refusal).toMatch(
        /e10\.3 can't be attached: two different disks answer as e10\.3: .* give one of them another address/,
      );
      expect(refusal).toContain('serial "one", model "fake target", 1000 sectors');
      expect(refusal).toContain('serial "two", model "fake target", 2000 sectors');
      expect([(await first.report()).writes, (await second.report()).writes]).toEqual([0, 0]);
    });
  });

  test('I/O goes to one of them only, and a warning says so, when two MACs claim to be the same disk', async () => {
    await inLaboratory(async (lab) => {
      const other = secondTarget(lab);
      const [one, two] = [lab.disk('one'), lab.disk('two')];
      await lab.vblade('e10.3', one);
      const initiator = lab.initiate(SAN);
      await initiator.attachNow('e10.3');
      const io = fioVerifyFor(3, initiator.uri('e10.3'), lab.folder);
      await initiator.busy('e10.3');
      await sleep(500);
      await lab.vblade('e10.3', two, { host: other });
      await initiator.notice('conflict', new RegExp(`second MAC answers as e10\\.3: ${OTHER_MAC} on ${SAN}.*give one of them`));
      expect(await io).toMatchObject({ error: 0, text: '' });
      expect([isZero(one), isZero(two)]).toEqual([false, true]);
    });
  });

  test('I/O is held and nothing written when another disk appears in the volume’s place, until the right one is back', async () => {
    await inLaboratory(async (lab) => {
      lab.wire();
      const right = await lab.fakeTarget({ serial: 'ours' });
      const stranger = await lab.fakeTarget({ serial: 'not ours', ...SILENT });
      const initiator = lab.initiate(SAN);
      await initiator.attachNow('e10.3');
      const io = fioVerifyFor(9, initiator.uri('e10.3'), lab.folder);
      await initiator.busy('e10.3');
      await sleep(1_000);
      // No silence in between that would make the initiator ask: the announcement must be enough.
      right.process.signal('SIGSTOP');
      await stranger.appear(ANSWERING);
      const mismatch = await initiator.state('e10.3', 'mismatch', 2_000);
      expect(mismatch.reason).toMatch(/expected serial "ours".*found serial "not ours"/);
      // The next one is held, where the last had just been answered.
      await eventually('a held request', 2_000, async () => (await initiator.attachment('e10.3')).requestsInFlight > 0);
      await initiator.notice('identity-mismatch', /e10\.3 on san0 .* is not the disk that was attached: .* I\/O is held/);
      // What was on its way before anybody could know is past.
      await sleep(100);
      const before = await stranger.report();
      await sleep(2_000);
      expect(await stranger.report()).toMatchObject({ reads: before.reads, writes: before.writes });
      await stranger.process.end('SIGKILL');
      right.process.signal('SIGCONT');
      await initiator.state('e10.3', 'up', 3_000);
      expect(await io).toMatchObject({ error: 0, text: '' });
    });
  });

  test('not one write reaches a smaller disk that appears after a silence in the volume’s place', async () => {
    await inLaboratory(async (lab) => {
      lab.wire();
      const [right, wrong] = [lab.disk('right'), lab.disk('wrong', 8 * MIB)];
      const secret = randomBytes(8 * MIB);
      writeFileSync(wrong, secret);
      const vblade = await lab.vblade('e10.3', right);
      const initiator = lab.initiate(SAN);
      await initiator.attachNow('e10.3');
      const client = await NbdClient.open(initiator.socketPath('e10.3'), 'e10.3');
      const content = randomBytes(MIB);
      expect((await client.write(0, content)).error).toBe(0);
      await vblade.end('SIGKILL');
      const held = client.write(MIB, content);
      await initiator.state('e10.3', 'down', 2_000);
      const stranger = await lab.vblade('e10.3', wrong);
      const { reason } = await initiator.state('e10.3', 'mismatch', 3_000);
      expect(reason).toBe(`the disk shrank from ${String(64 * 2048)} to ${String(8 * 2048)} sectors`);
      await sleep(1_500);
      expect(readFileSync(wrong).equals(secret)).toBe(true);
      await stranger.end('SIGKILL');
      await lab.vblade('e10.3', right);
      expect((await within('the held write', 5_000, held)).error).toBe(0);
      expect(await initiator.attachment('e10.3')).toMatchObject({ state: 'up', reason: '' });
      expect(head(right, 2 * MIB).equals(Buffer.concat([content, content]))).toBe(true);
      expect(readFileSync(wrong).equals(secret)).toBe(true);
    });
  });

  test('a volume keeps its size, and the growth is said, when its target has grown', async () => {
    await inLaboratory(async (lab) => {
      lab.wire();
      const disk = lab.disk('disk', 32 * MIB);
      let vblade = await lab.vblade('e10.3', disk);
      const initiator = lab.initiate(SAN);
      await initiator.attachNow('e10.3');
      const io = fioVerifyFor(3, initiator.uri('e10.3'), lab.folder, '--size=24m');
      await initiator.busy('e10.3');
      await sleep(700);
      await vblade.end('SIGKILL');
      truncateSync(disk, 48 * MIB);
      vblade = await lab.vblade('e10.3', disk);
      await initiator.notice(
        'size-changed',
        /e10\.3 has grown to 98304 sectors; the volume keeps 65536 until it is expanded/,
        4_000,
      );
      expect(await io).toMatchObject({ error: 0, text: '' });
      expect((await initiator.attachment('e10.3')).sectors).toBe(65_536);
    });
  });
});
