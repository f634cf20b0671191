import { expect, test } from '@jest/globals';
import { command, describeIf, root } from '../support/requires.ts';
import { runScenario } from '../support/system-namespace.ts';

describeIf([root(), command('ip', 'iproute2')], 'network interfaces', () => {
  test('listInterfaces() tells kind, state and master of each interface', () => {
    const ethernet = { ethernet: true, loopback: false, macText: 6, indexed: true, masterIsBridge: false, masterKind: '' };
    const up = { up: true, running: true };
    const down = { up: false, running: false };
    expect(runScenario('interfaces')).toEqual([
      { ...ethernet, ...down, name: 'lo', loopback: true, mtu: 65_536, kind: '' },
      { ...ethernet, ...up, name: 'left', mtu: 1500, kind: 'veth', masterIsBridge: true, masterKind: 'bridge' },
      { ...ethernet, ...up, name: 'right', mtu: 9000, kind: 'veth' },
      { ...ethernet, ...down, name: 'bridge0', mtu: 1500, kind: 'bridge' },
    ]);
  });

  test('InterfaceMonitor tells of new, changed and deleted interfaces, and of a port that leaves its bridge no deletion', () => {
    expect(runScenario('monitor')).toEqual({
      quiet: [],
      made: true,
      mtu: 9000,
      running: false,
      master: 'bridge',
      left: { deletions: [], masterKind: '' },
      deletions: ['left', 'right'],
    });
  });

  test('InterfaceMonitor asks for a fresh list when events were lost, and goes on', () => {
    expect(runScenario('monitor overrun')).toEqual({ types: ['changed', 'resync'], after: 1300 });
  });
});
