import { describe, expect, test } from '@jest/globals';
import { checkClock } from '../../src/node/preflight/clock.ts';
import { checkKubelet } from '../../src/node/preflight/kubelet.ts';
import {
  checkBackend,
  checkInitiators,
  checkKernel,
  checkPrivileges,
  type MachineFacts,
} from '../../src/node/preflight/machine.ts';
import { checkInterfaces } from '../../src/node/preflight/network.ts';
import { checkTargets } from '../../src/node/preflight/targets.ts';
import type { Finding } from '../../src/node/preflight/finding.ts';
import { parseMountInfo } from '../../src/system/mountinfo.ts';

const GOOD: MachineFacts = {
  release: '6.12.48+deb13-amd64',
  hasNbd: true,
  nbdPartitions: 0,
  hasFuse: true,
  hasKernelAoe: false,
  kernelAoeInterfaces: [],
  mayAdministrate: true,
};

/** `failed: …`; `passed` alone. */
function shown({ level, message }: Finding): string {
  return message === '' ? level : `${level}: ${message}`;
}

describe('checks of the machine', () => {
  test('pass where all is well', () => {
    for (const check of [checkKernel, checkBackend, checkPrivileges]) expect(shown(check(GOOD))).toBe('passed');
    expect(shown(checkInitiators(GOOD, ['eth1']))).toBe('passed');
  });

  test.each([
    ['5.10.0-28-amd64', /^warning: kernel 5\.10\.0-28-amd64 can't keep nbd devices .*5\.14 or newer is needed/],
    ['5.14.0', /^warning: kernel 5\.14\.0 can't always remove nbd devices/],
    ['5.19.0', /^passed$/],
    ['6.1.0', /^passed$/],
    ['', /^warning: .* is no number/],
  ])("checkKernel() of '%s'", (release, expected) => {
    expect(shown(checkKernel({ ...GOOD, release }))).toMatch(expected);
  });

  test.each([
    [{ hasNbd: false, hasFuse: false }, /^failed: no volume can become a device: .*modprobe nbd max_part=0/],
    [{ hasNbd: false }, /^warning: .*nbd module is not loaded.*modprobe nbd max_part=0/],
    [{ nbdPartitions: 16 }, /^warning: .*max_part=16.*rmmod nbd/],
    [{ nbdPartitions: undefined }, /^passed$/],
  ])('checkBackend() of %j', (facts, expected) => {
    expect(shown(checkBackend({ ...GOOD, ...facts }))).toMatch(expected);
  });

  test.each([
    [undefined, /^passed$/],
    [{ backend: '', backendNote: '' }, /^passed$/],
    [{ backend: 'nbd', backendNote: '' }, /^passed$/],
    [{ backend: 'fuse', backendNote: 'attach backend fuse was chosen; …' }, /^passed$/],
    [{ backend: 'nbd-socket', backendNote: '' }, /^failed: no volume can become a device: .*--attach nbd-socket.*modprobe nbd/],
    [
      { backend: 'nbd-socket', backendNote: "attach backend nbd-socket was chosen; fuse can't be used: nbdfuse is missing" },
      /^failed: no volume can become a device: .*nbdfuse is missing; .*modprobe nbd/,
    ],
    [{ backend: '', backendNote: "backend fuse can't be used: nbdfuse is missing" }, /^failed: .*nbdfuse is missing/],
  ])('checkBackend() where the initiator says %j', (attach, expected) => {
    expect(shown(checkBackend(GOOD, attach))).toMatch(expected);
  });

  test('checkInitiators() warns of the kernel’s own where it may use the same interfaces', () => {
    const loaded = { ...GOOD, hasKernelAoe: true };
    expect(shown(checkInitiators(loaded, ['eth1', 'eth2']))).toMatch(/^warning: .*uses eth1, eth2, too: .*rmmod aoe/);
    expect(shown(checkInitiators({ ...loaded, kernelAoeInterfaces: ['eth2'] }, ['eth1', 'eth2']))).toMatch(/uses eth2, too/);
    expect(shown(checkInitiators({ ...loaded, kernelAoeInterfaces: ['eth0'] }, ['eth1']))).toBe('passed');
  });

  test('checkPrivileges() fails without CAP_SYS_ADMIN', () => {
    expect(shown(checkPrivileges({ ...GOOD, mayAdministrate: false }))).toMatch(/^failed: .*CAP_SYS_ADMIN/);
  });
});

describe('checkInterfaces()', () => {
  const eth1 = { name: 'eth1', mtu: 9000, state: 'up', reason: '' };
  const gone = { name: 'eth7', mtu: 0, state: 'missing', reason: 'there is no such interface' };

  test.each([
    [[eth1], /^passed$/],
    [undefined, /^warning: the initiator does not answer/],
    [[], /^failed: no interface may carry AoE: name some/],
    [[gone], /^failed: no interface .* can be used here: eth7 is missing: there is no such interface; see `ip link`/],
    [[eth1, gone], /^warning: eth7 is missing/],
    [[{ ...eth1, state: 'down', reason: 'no carrier' }], /^warning: eth1 is down: no carrier/],
    [[{ ...eth1, mtu: 1400 }], /^warning: eth1 has an MTU of 1400, less than 1500/],
  ])('of %j', (interfaces, expected) => {
    expect(shown(checkInterfaces(interfaces, false))).toMatch(expected);
  });

  test('waits for the initiator where the node’s place depends on it', () => {
    expect(shown(checkInterfaces(undefined, true))).toMatch(/^failed: the initiator does not answer/);
  });
});

describe('checkKubelet()', () => {
  const folder = '/var/lib/kubelet';
  const mounted = (options: string, propagation: string) =>
    parseMountInfo(
      `36 35 98:0 / / rw shared:1 - ext4 /dev/sda rw\n40 36 98:0 /k ${folder} ${options} ${propagation}- ext4 /dev/sda rw`,
    );

  test.each([
    [undefined, /^passed$/],
    [{ folder, isThere: false, mounts: [] }, /^failed: the kubelet's folder \/var\/lib\/kubelet is not there/],
    [{ folder, isThere: true, mounts: [] }, /^passed$/],
    [{ folder, isThere: true, mounts: mounted('rw', 'shared:7 ') }, /^passed$/],
    [{ folder, isThere: true, mounts: mounted('rw', 'master:7 ') }, /^warning: .*mountPropagation: Bidirectional/],
    [{ folder, isThere: true, mounts: mounted('rw', '') }, /^warning: .*mountPropagation: Bidirectional/],
    [{ folder, isThere: true, mounts: mounted('ro', 'shared:7 ') }, /^failed: .*read-only/],
  ])('of case %#', (kubelet, expected) => {
    expect(shown(checkKubelet(kubelet))).toMatch(expected);
  });
});

test('checkKubelet() fails where the kubelet refuses the driver, and says which label is in the way', () => {
  const kubelet = { folder: '/k', isThere: true, mounts: [] };
  const collision =
    'error updating Node object with CSI driver node info: detected topology value collision: driver reported ' +
    '"topology.aoe.csi.dev/segment":"rack-a" but existing label is "topology.aoe.csi.dev/segment":"default"';
  expect(shown(checkKubelet(kubelet, collision))).toMatch(
    /^failed: the kubelet refuses the driver, .*but existing label is .*kubectl label node NODE topology.aoe.csi.dev\/segment-$/,
  );
  expect(shown(checkKubelet(kubelet, 'no such thing'))).toMatch(/^failed: .* here: no such thing; its log says more/);
  expect(shown(checkKubelet(undefined, undefined))).toBe('passed');
});

test('checkClock() warns of a clock that is off by more than half a minute, and says by how much', () => {
  for (const skewMs of [undefined, 0, 29_000, -29_000]) expect(shown(checkClock(skewMs))).toBe('passed');
  expect(shown(checkClock(120_400))).toMatch(
    /^warning: this machine's clock is more than 30 s ahead of the API server's; set it/,
  );
  expect(shown(checkClock(-31_000))).toMatch(/^warning: this machine's clock is more than 30 s behind/);
});

test('checkTargets() warns where more targets are seen than have room in the record', () => {
  expect(shown(checkTargets(true))).toBe('passed');
  expect(shown(checkTargets(false))).toMatch(/^warning: more targets are seen than this node can report .*Let it see fewer/);
});
