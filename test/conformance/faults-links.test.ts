import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from '@jest/globals';
import { fioVerify, fioVerifyFor } from '../support/faults-clients.ts';
import { inLaboratory, SAN, SAN_MAC, TARGET, TARGET_MAC, type Laboratory } from '../support/faults-laboratory.ts';
import { eventually } from '../support/faults-process.ts';
import { patiently } from '../support/patience.ts';
import { command, describeIf, root } from '../support/requires.ts';
import { interfaceKind } from '../support/interface-kind.ts';
import type { NetworkNamespace } from '../support/system-namespace.ts';

/**
 * Two hosts, each at a switch; between the switches a trunk with an MTU of its own. What is too long for the trunk vanishes there,
 * and neither host's interface knows of it.
 */
function wireThroughSwitches(lab: Laboratory, hostsMtu: number, trunkMtu: number): NetworkNamespace {
  const middle = lab.host('switch');
  lab.wire(hostsMtu, { host: lab.initiator, name: SAN, mac: SAN_MAC }, { host: middle, name: 'port1' });
  lab.wire(hostsMtu, { host: lab.target, name: TARGET, mac: TARGET_MAC }, { host: middle, name: 'port2' });
  lab.wire(trunkMtu, { host: middle, name: 'trunk1' }, { host: middle, name: 'trunk2' });
  for (const side of ['1', '2']) {
    middle.ip(`link add switch${side} type bridge`);
    middle.ip(`link set switch${side} addrgenmode none`);
    for (const port of [`port${side}`, `trunk${side}`]) middle.ip(`link set ${port} master switch${side}`);
    middle.ip(`link set switch${side} up`);
  }
  return middle;
}

function setTrunkMtu(middle: NetworkNamespace, mtu: number): void {
  for (const end of ['trunk1', 'trunk2']) middle.ip(`link set ${end} mtu ${String(mtu)}`);
}

/** Interfaces and switches that change under I/O. */
describeIf([root(), command('ip', 'iproute2'), command('vblade'), command('fio'), interfaceKind('bridge')], 'links', () => {
  test('I/O works in small frames, and grows when the switch is put right, when that drops frames over 1500 bytes', async () => {
    await inLaboratory(async (lab) => {
      const middle = wireThroughSwitches(lab, 9000, 1500);
      await lab.vblade('e10.3', lab.disk());
      const initiator = lab.initiate(SAN);
      await initiator.attachNow('e10.3');
      const result = await fioVerifyFor(2, initiator.uri('e10.3'), lab.folder);
      expect(result).toMatchObject({ error: 0, text: '' });
      expect(result.writes).toBeGreaterThan(100);
      expect((await initiator.path('e10.3')).payloadBytes).toBe(1024);
      await initiator.notice('payload', /e10\.3: frames with 16 sectors get no answer on san0 .* switch .* smaller MTU/);
      expect((await initiator.attachment('e10.3')).state).toBe('up');

      const io = fioVerifyFor(7, initiator.uri('e10.3'), lab.folder);
      setTrunkMtu(middle, 9000);
      await eventually('large frames', 9_000, async () => (await initiator.path('e10.3')).payloadBytes === 8192);
      expect(await io).toMatchObject({ error: 0, text: '' });
    });
  });

  test('I/O goes on in small frames when the switch begins to drop large ones', async () => {
    await inLaboratory(async (lab) => {
      const middle = wireThroughSwitches(lab, 9000, 9000);
      await lab.vblade('e10.3', lab.disk());
      const initiator = lab.initiate(SAN);
      await initiator.attachNow('e10.3');
      await eventually('large frames', 1_000, async () => (await initiator.path('e10.3')).payloadBytes === 8192);
      const io = fioVerifyFor(4, initiator.uri('e10.3'), lab.folder);
      await initiator.busy('e10.3');
      await sleep(1_000);
      setTrunkMtu(middle, 4200);
      const result = await io;
      expect(result).toMatchObject({ error: 0, text: '' });
      // A write may have to wait for the quarantine of an older one's lost copy, at the same place.
      expect(result.slowestMs).toBeLessThan(patiently(2_800));
      // On a busy machine a probe may have been lost: then it is tried again.
      await eventually('the largest frames that pass', 15_000, async () => (await initiator.path('e10.3')).payloadBytes === 4096);
    });
  });

  test('I/O goes on in small frames when the interface itself refuses large ones in spite of its MTU', async () => {
    await inLaboratory(async (lab) => {
      const middle = wireThroughSwitches(lab, 9000, 9000);
      await lab.vblade('e10.3', lab.disk());
      const initiator = lab.initiate(SAN);
      await initiator.attachNow('e10.3');
      await eventually('large frames', 1_000, async () => (await initiator.path('e10.3')).payloadBytes === 8192);
      const io = fioVerifyFor(4, initiator.uri('e10.3'), lab.folder);
      await initiator.busy('e10.3');
      await sleep(1_000);
      // A veth says ENOBUFS, each time, when its other end does not take a frame.
      middle.ip('link set port1 mtu 4200');
      const result = await io;
      expect(result).toMatchObject({ error: 0, text: '' });
      // On a busy machine a probe may have been lost: then it is tried again.
      await eventually('the largest frames that pass', 15_000, async () => (await initiator.path('e10.3')).payloadBytes === 4096);
    });
  });

  test('I/O waits while the interface is down, and goes on within a second when it is up again', async () => {
    await inLaboratory(async (lab) => {
      const middle = wireThroughSwitches(lab, 1500, 1500);
      await lab.vblade('e10.3', lab.disk());
      const initiator = lab.initiate(SAN);
      await initiator.attachNow('e10.3');
      const io = fioVerifyFor(6, initiator.uri('e10.3'), lab.folder);
      await initiator.busy('e10.3');
      await sleep(700);
      // Switched off here.
      lab.initiator.ip(`link set ${SAN} down`);
      const down = await initiator.state('e10.3', 'down', 1_000);
      expect(down.reason).toBe('no interface it was seen on is up');
      expect(await initiator.interfaces()).toMatchObject([{ name: SAN, state: 'down', reason: 'switched off' }]);
      await sleep(500);
      lab.initiator.ip(`link set ${SAN} up`);
      await initiator.state('e10.3', 'up', 1_000);
      await sleep(500);
      // The cable pulled out at the switch.
      middle.ip('link set port1 down');
      await initiator.state('e10.3', 'down', 1_000);
      // The kernel reports a lost carrier when it likes to, within a second.
      await eventually('the interface to be down', 2_000, async () => {
        const [{ state, reason }] = await initiator.interfaces();
        return state === 'down' && reason === 'no carrier';
      });
      await sleep(500);
      middle.ip('link set port1 up');
      await initiator.state('e10.3', 'up', 2_000);
      const result = await io;
      expect(result).toMatchObject({ error: 0, text: '' });
      expect(result.slowestMs).toBeLessThan(patiently(4_000));
    });
  });

  test('I/O waits while the interface does not exist, and goes on over another one of its name', async () => {
    await inLaboratory(async (lab) => {
      const middle = wireThroughSwitches(lab, 1500, 1500);
      await lab.vblade('e10.3', lab.disk());
      const initiator = lab.initiate(SAN);
      await initiator.attachNow('e10.3');
      const io = fioVerifyFor(4, initiator.uri('e10.3'), lab.folder);
      await initiator.busy('e10.3');
      await sleep(700);
      lab.initiator.ip(`link delete ${SAN}`);
      const down = await initiator.state('e10.3', 'down', 1_000);
      expect(down.reason).not.toBe('');
      expect(await initiator.interfaces()).toMatchObject([{ name: SAN, state: 'missing' }]);
      await initiator.notice('interface', /san0 is gone; it is taken up again when it comes back/);
      await sleep(500);
      // Another MAC, another index, another MTU: only the name is the same.
      lab.wire(1500, { host: lab.initiator, name: SAN }, { host: middle, name: 'port1' });
      middle.ip('link set port1 master switch1');
      await initiator.state('e10.3', 'up', 1_500);
      expect(await io).toMatchObject({ error: 0, text: '' });
    });
  });

  test('I/O goes on while the MTU becomes smaller and larger', async () => {
    await inLaboratory(async (lab) => {
      lab.wire(9000);
      // Not vblade: it ends when its answer does not fit into what the other end of a veth takes.
      await lab.aoeCsiTarget(`e10.3=${lab.disk()}`);
      const initiator = lab.initiate(SAN);
      await initiator.attachNow('e10.3');
      const io = fioVerifyFor(8, initiator.uri('e10.3'), lab.folder);
      const payload = async (bytes: number): Promise<boolean> =>
        eventually(
          `frames with ${String(bytes)} bytes`,
          6_000,
          async () => (await initiator.path('e10.3')).payloadBytes === bytes,
        );
      await payload(8192);
      await sleep(500);
      lab.initiator.ip(`link set ${SAN} mtu 1500`);
      await payload(1024);
      await sleep(300);
      lab.initiator.ip(`link set ${SAN} mtu 900`);
      await payload(512);
      await sleep(300);
      lab.initiator.ip(`link set ${SAN} mtu 9000`);
      await payload(8192);
      const result = await io;
      expect(result).toMatchObject({ error: 0, text: '' });
      // A write may have to wait for the quarantine of an older one's lost copy, at the same place.
      expect(result.slowestMs).toBeLessThan(patiently(2_800));
    });
  });

  test('the volume’s frames use the new MAC when the interface’s MAC is changed under I/O', async () => {
    await inLaboratory(async (lab) => {
      lab.wire();
      await lab.vblade('e10.3', lab.disk());
      const initiator = lab.initiate(SAN);
      await initiator.attachNow('e10.3');
      const io = fioVerifyFor(3, initiator.uri('e10.3'), lab.folder);
      await initiator.busy('e10.3');
      await sleep(700);
      lab.initiator.ip(`link set ${SAN} address 02:00:00:00:0a:77`);
      const result = await io;
      expect(result).toMatchObject({ error: 0, text: '' });
      // A write may have to wait for the quarantine of an older one's lost copy, at the same place.
      expect(result.slowestMs).toBeLessThan(patiently(2_800));
      expect(await initiator.interfaces()).toMatchObject([{ mac: '02:00:00:00:0a:77' }]);
    });
  });

  test('I/O waits while its interface is not allowed, and goes on when it is again', async () => {
    await inLaboratory(async (lab) => {
      lab.wire();
      await lab.vblade('e10.3', lab.disk());
      const initiator = lab.initiate('san*', 'eth7');
      await initiator.attachNow('e10.3');
      expect((await initiator.interfaces()).map(({ name, state }) => [name, state])).toEqual([
        [SAN, 'up'],
        ['eth7', 'missing'],
      ]);
      const io = fioVerifyFor(4, initiator.uri('e10.3'), lab.folder);
      await initiator.busy('e10.3');
      await sleep(700);
      await initiator.setInterfaces('eth7');
      const { requestsDone } = await initiator.state('e10.3', 'down', 500);
      await sleep(1_000);
      const held = await initiator.attachment('e10.3');
      expect(held).toMatchObject({ state: 'down', requestsDone });
      expect(held.requestsInFlight).toBeGreaterThan(0);
      await initiator.setInterfaces(SAN);
      await initiator.state('e10.3', 'up', 1_000);
      const result = await io;
      expect(result).toMatchObject({ error: 0, text: '' });
    });
  });

  test('not a frame is sent, and none is accepted, when no interface is allowed', async () => {
    await inLaboratory(async (lab) => {
      lab.wire();
      const target = await lab.fakeTarget();
      const initiator = lab.initiate();
      const attaching = expect(initiator.attach('e10.3')).rejects.toThrow('no target answers');
      await initiator.notice('interface', /no interface is allowed: no AoE frame is sent or accepted/);
      await target.storm({ kind: 'announcements', frames: 10 });
      await sleep(1_000);
      expect(await initiator.targets()).toMatchObject([{ name: 'e10.3', paths: [] }]);
      expect(await target.report()).toMatchObject({ configs: 0, identifies: 0, reads: 0 });
      await initiator.detach('e10.3');
      await attaching;
      await initiator.setInterfaces(SAN);
      await initiator.attachNow('e10.3');
      // And the same when a list becomes empty.
      await initiator.setInterfaces();
      const { configs } = await target.report();
      await target.storm({ kind: 'announcements', frames: 10 });
      await sleep(1_000);
      expect((await target.report()).configs).toBe(configs);
      expect((await initiator.attachment('e10.3')).state).toBe('down');
    });
  });

  test('frames that the kernel dropped are counted when the initiator was too slow to take them', async () => {
    await inLaboratory(async (lab) => {
      lab.wire();
      const target = await lab.fakeTarget();
      const initiator = lab.initiate(SAN);
      await initiator.attachNow('e10.3');
      expect(await initiator.interfaces()).toMatchObject([{ framesDropped: 0 }]);
      initiator.process.signal('SIGSTOP');
      for (let storm = 0; storm < 4; storm++) await target.storm({ kind: 'announcements', frames: 10_000 });
      initiator.process.signal('SIGCONT');
      const [{ framesDropped }] = await initiator.interfaces();
      expect(framesDropped).toBeGreaterThan(100);
      const statistics = await initiator.statistics();
      expect(statistics[`interface.${SAN}.framesDropped`]).toBeGreaterThanOrEqual(framesDropped);
      const result = await fioVerify(initiator.uri('e10.3'), lab.folder, '--io_size=4m');
      expect(result).toMatchObject({ error: 0, text: '' });
    });
  });
});
