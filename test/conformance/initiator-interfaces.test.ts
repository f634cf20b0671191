import { execFileSync } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from '@jest/globals';
import { fioVerifyFor } from '../support/faults-clients.ts';
import { SAN, TARGET, type Laboratory } from '../support/faults-laboratory.ts';
import { eventually } from '../support/faults-process.ts';
import { withInitiators, type InitiatorProcess } from '../support/initiator-process.ts';
import { command, describeIf, root } from '../support/requires.ts';

/** Which interfaces carry AoE: nothing but what is allowed, changed at run time, taken away and given back. */

const needs = [root(), command('ip', 'iproute2'), command('vblade'), command('fio')];
const SECOND = 'san1';
const SECOND_TARGET = 'tgt1';

/** Frames that the kernel has sent on an interface of the initiator's host, whoever they are of. */
function framesSent(lab: Laboratory, name: string): number {
  const printed = execFileSync('ip', ['-n', lab.initiator.name, '-s', '-j', 'link', 'show', name], { encoding: 'utf8' });
  return (JSON.parse(printed) as { stats64: { tx: { packets: number } } }[])[0].stats64.tx.packets;
}

function secondWire(lab: Laboratory): void {
  lab.wire(1500, { host: lab.initiator, name: SECOND }, { host: lab.target, name: SECOND_TARGET });
}

async function attachedUri(initiator: InitiatorProcess): Promise<string> {
  return `nbd+unix:///e10.3?socket=${await initiator.must('attach', 'e10.3')}`;
}

describeIf(needs, 'interfaces', () => {
  test('not one frame is sent, and attach says why, when no interface is allowed', async () =>
    withInitiators(async ({ lab, initiate }) => {
      lab.wire();
      await lab.vblade('e10.3', lab.disk());
      const before = framesSent(lab, SAN);
      const initiator = await initiate('--attach', 'nbd-socket');
      await initiator.logged(/no interface is allowed: no AoE frame is sent or accepted/);
      const discovered = await initiator.run('discover', '--wait', '1');
      expect(discovered.err).toContain('no interface may carry AoE; allow some: aoe-csi interfaces set <names>');
      const { code, err } = await initiator.run('attach', 'e10.3');
      expect([code, err]).toEqual([1, expect.stringContaining('because no interface may carry AoE; allow the interfaces of')]);
      expect(framesSent(lab, SAN) - before).toBe(0);
      await initiator.must('interfaces', 'set', SAN);
      await initiator.must('attach', 'e10.3');
      expect(framesSent(lab, SAN) - before).toBeGreaterThan(0);
    }));

  test('an interface that does not exist is named, and taken up when it appears', async () =>
    withInitiators(async ({ lab, initiate }) => {
      const initiator = await initiate('--interfaces', SAN, '--attach', 'nbd-socket');
      expect(await initiator.interface(SAN)).toMatchObject({ state: 'missing', index: 0 });
      const { code, err } = await initiator.run('attach', 'e10.3', '--timeout', '1');
      expect(code).toBe(4);
      expect(err).toContain(`interface ${SAN} is missing: there is no interface of this name; it is taken up when it appears`);
      lab.wire();
      await lab.vblade('e10.3', lab.disk());
      expect(await initiator.must('attach', 'e10.3')).toMatch(/e10\.3\.sock$/);
      expect(await initiator.interface(SAN)).toMatchObject({ state: 'up', mtu: 1500 });
    }));

  test('what can be no interface is refused, and the list stays as it was', async () =>
    withInitiators(async ({ lab, initiate }) => {
      lab.wire();
      const initiator = await initiate();
      const refused = await initiator.run('interfaces', 'set', 'a/b');
      expect(refused.code).toBe(1);
      expect(refused.err).toContain("'a/b' is not an interface name or pattern");
      expect((await initiator.run('interfaces', 'set')).code).toBe(2);
      expect((await initiator.json<{ patterns: string[] }>('interfaces')).patterns).toEqual([SAN]);
    }));

  test('I/O goes on without an error when interfaces are added and taken off the list', async () =>
    withInitiators(async ({ lab, initiate }) => {
      lab.wire();
      secondWire(lab);
      const disk = lab.disk();
      await lab.vblade('e10.3', disk);
      const initiator = await initiate();
      const io = fioVerifyFor(4, await attachedUri(initiator), lab.folder);
      await initiator.must('interfaces', 'set', SAN, SECOND);
      await sleep(700);
      expect((await initiator.interface(SECOND))?.state).toBe('up');
      await initiator.must('interfaces', 'set', SAN);
      await sleep(700);
      const frames = framesSent(lab, SECOND);
      // All interfaces gone: I/O is held, not failed.
      await initiator.must('interfaces', 'set', '--none');
      await sleep(700);
      await initiator.must('interfaces', 'set', 'sa?0');
      const result = await io;
      expect(result).toMatchObject({ error: 0, text: '' });
      expect(result.writes).toBeGreaterThan(100);
      expect(framesSent(lab, SECOND)).toBe(frames);
    }));

  test('I/O goes on when the interface is deleted and made again under the same name', async () =>
    withInitiators(async ({ lab, initiate }) => {
      lab.wire();
      const disk = lab.disk();
      const vblade = await lab.vblade('e10.3', disk);
      const initiator = await initiate();
      const io = fioVerifyFor(5, await attachedUri(initiator), lab.folder);
      await sleep(700);
      lab.initiator.ip(`link delete ${SAN}`);
      await eventually('the interface to be missed', 3_000, async () => (await initiator.interface(SAN))?.state === 'missing');
      await initiator.logged(new RegExp(`interface ${SAN} is gone; it is taken up again when it comes back`));
      await vblade.end('SIGKILL');
      lab.wire();
      await lab.vblade('e10.3', disk);
      const result = await io;
      expect(result).toMatchObject({ error: 0, text: '' });
      expect(result.writes).toBeGreaterThan(100);
      const { targets } = await initiator.stat();
      expect(targets.map(({ name, state }) => `${name} ${state}`)).toEqual(['e10.3 up']);
    }));

  test('a file of interfaces is followed, and nonsense in it changes nothing', async () =>
    withInitiators(async ({ lab, initiate }) => {
      lab.wire();
      const path = join(lab.folder, 'interfaces');
      writeFileSync(path, '# none yet\n');
      const initiator = await initiate('--interfaces-file', path, '--attach', 'nbd-socket');
      expect(await initiator.interface(SAN)).toBeUndefined();
      writeFileSync(path, `san? # the storage network\nother\n`);
      await initiator.logged(/interfaces from .*: san\? other/);
      expect(await initiator.interface(SAN)).toMatchObject({ state: 'up' });
      writeFileSync(path, 'a/b\n');
      await initiator.logged(/the interfaces in .* can't be used, the old ones stay: 'a\/b' is not an interface name/);
      rmSync(path);
      await initiator.logged(/can't be used, the old ones stay: ENOENT/);
      expect(await initiator.interface(SAN)).toMatchObject({ state: 'up' });
    }));

  test('two interfaces are two paths of one volume', async () =>
    withInitiators(async ({ lab, initiate }) => {
      lab.wire();
      secondWire(lab);
      const disk = lab.disk();
      // One MAC at both ends of the target makes it one target with two ways to it.
      lab.target.ip(`link set ${SECOND_TARGET} address 02:00:00:00:0b:01`);
      await lab.vblade('e10.3', disk);
      await lab.vblade('e10.3', disk, { interface: SECOND_TARGET });
      const initiator = await initiate('--interfaces', `${SAN},${SECOND}`, '--attach', 'nbd-socket');
      const uri = await attachedUri(initiator);
      await eventually('both paths', 5_000, async () => {
        const { targets } = await initiator.stat();
        return targets[0]?.paths.filter(({ standing }) => standing === 'proven').length === 2;
      });
      // Two paths reorder what is under way together; fio would take that for a fault where its own writes overlap.
      expect(await fioVerifyFor(2, uri, lab.folder, '--serialize_overlap=1')).toMatchObject({ error: 0, text: '' });
      const { targets } = await initiator.stat();
      for (const path of targets[0].paths) expect([path.interface, path.framesSent > 100]).toEqual([path.interface, true]);
      const table = await initiator.must('stat', '--paths');
      expect(table.split('\n')).toHaveLength(3);
      expect(await initiator.must('stat')).toMatch(/ san[01],san[01] /);
    }));

  test('events are followed as they happen', async () =>
    withInitiators(async ({ lab, initiate }) => {
      lab.wire();
      const vblade = await lab.vblade('e10.3', lab.disk());
      const initiator = await initiate();
      await initiator.must('attach', 'e10.3');
      const follower = initiator.command('err', '--json');
      await eventually('earlier events', 5_000, () => follower.lines.some((line) => line.includes('e10.3 is up')));
      await vblade.end('SIGKILL');
      lab.target.ip(`link set ${TARGET} down`);
      const event = await eventually('the outage', 8_000, () =>
        follower.lines.find((line) => line.includes('no carrier') || line.includes('e10.3 is down')),
      );
      expect(JSON.parse(event)).toEqual({
        time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
        kind: expect.any(String),
        target: expect.any(String),
        text: expect.any(String),
      });
      follower.signal('SIGINT');
      await eventually('the follower to end', 3_000, () => !follower.running);
      expect(follower.child.exitCode).toBe(0);
      const once = await initiator.run('err', '--no-follow');
      expect([once.code, once.out.includes('target-state: e10.3 is up')]).toEqual([0, true]);
    }));
});
