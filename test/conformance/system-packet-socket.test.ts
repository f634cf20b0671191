import { expect, test } from '@jest/globals';
import { command, describeIf, root, testIf } from '../support/requires.ts';
import { interfaceKind } from '../support/interface-kind.ts';
import { runScenario } from '../support/system-namespace.ts';

describeIf([root(), command('ip', 'iproute2')], 'packet sockets', () => {
  test('initiatorFilter() passes responses to us and to all, and of ATA responses only our tags', () => {
    expect(runScenario('initiator filter')).toEqual([
      ...['response to us', 'response to all', 'response of 24 bytes', 'error response'],
      ...['config response with another prefix', 'reserve response with another prefix', 'announcement'],
    ]);
  });

  test('initiatorFilter() passes every tag when the prefix has no bits', () => {
    expect(runScenario('filter without prefix')).toEqual([
      ...['response to us', 'response to all', 'response of 24 bytes', 'error response', 'response with another prefix'],
      ...['config response with another prefix', 'reserve response with another prefix', 'announcement'],
    ]);
  });

  test('initiatorFilter() passes the same on the loopback interface, whose broadcasts are multicasts', () => {
    expect(runScenario('loopback filter')).toEqual([
      ...['response to us', 'response to all', 'response of 24 bytes', 'error response'],
      ...['config response with another prefix', 'reserve response with another prefix', 'announcement'],
    ]);
  });

  test('targetFilter() passes requests to us and to all', () => {
    expect(runScenario('target filter')).toEqual(['request', 'config request to all']);
  });

  test('initiatorFilter() refuses a VLAN’s frames and passes one with only a priority when there is no VLAN device', () => {
    expect(runScenario('tags without a device')).toEqual({ 'to a VLAN': [], 'with a priority tag': ['right'] });
  });

  testIf([interfaceKind('vlan')], 'initiatorFilter() passes to each its own when a VLAN device stands on the interface', () => {
    expect(runScenario('VLAN device')).toEqual({
      ...{ 'to the parent': ['right'], 'to the VLAN device': ['right.7'], 'to another VLAN': [] },
    });
  });

  testIf([interfaceKind('macvlan')], 'initiatorFilter() passes to each its own when a macvlan stands on the interface', () => {
    expect(runScenario('macvlan device')).toEqual({
      ...{ 'to the parent': ['right'], 'to the child': ['child'], 'to all': ['right', 'child'] },
    });
  });

  test('PacketSocket sends and receives batches, and says when a frame was longer than its slot', () => {
    const MSG_TRUNC = 0x20;
    expect(runScenario('batches')).toEqual({
      sentCount: 5,
      first: 3,
      second: 2,
      frames: [0, 1, 2, 3, 4].map((slot) => ({ length: 100 + slot, flags: 0, tag: slot })),
      empty: 'EAGAIN',
      truncated: [1, 136, MSG_TRUNC],
    });
  });

  test('PacketSocket outlives its interface going down and up, and reports its deletion', () => {
    expect(runScenario('link trouble')).toEqual({
      tooLong: 'EMSGSIZE',
      down: ['ENETDOWN', 'EAGAIN', 'ENETDOWN'],
      upAgain: [1, 1],
      deleted: ['ENETDOWN', 'EAGAIN', 'ENXIO'],
      closed: 'EBADF',
    });
  });

  test('PacketSocket.open() takes an interface that is down, and hears it when it comes up', () => {
    expect(runScenario('open while down')).toEqual({ down: ['ENETDOWN', 'EAGAIN'], up: 1 });
  });

  test('PacketSocket.statistics() counts the frames that were lost for want of buffer', () => {
    expect(runScenario('drops')).toEqual({ sentCount: 64, seen: 64, lost: true, again: { received: 0, dropped: 0 } });
  });

  test('hot calls leave nothing on the heap when they are called often', () => {
    expect(runScenario('allocations per call')).toEqual({
      'PacketSocket.receive': 0,
      'PacketSocket.send': 0,
      'MessageBatch.setVector': 0,
      'StreamIo.send and receive': 0,
      'Epoll.wait, token and events': 0,
      'EventFd.signal and drain': 0,
    });
  });

  test('PacketSocket.open() says what to do when there is no such interface', () => {
    expect(runScenario('open on no interface')).toEqual({
      code: 'ENODEV',
      message:
        'cannot open an AoE packet socket on interface 4711: bind: ENODEV (no such device); ' +
        'the interface has gone: look its index up again by name',
    });
  });
});

const capabilities = [root(), command('ip', 'iproute2'), command('setpriv', 'util-linux')];
const WITHOUT = ['setpriv', '--bounding-set=-all', '--inh-caps=-all'];
describeIf(capabilities, 'sockets of a process without capabilities', () => {
  test('setSendBuffer() and setReceiveBuffer() report what is left when the limit may not be passed', () => {
    expect(runScenario('buffers without rights', WITHOUT)).toEqual([true, true]);
  });

  test('PacketSocket.open() says what to do when CAP_NET_RAW is missing', () => {
    expect(runScenario('open without rights', WITHOUT)).toEqual({
      code: 'EPERM',
      message:
        'cannot open an AoE packet socket on interface 1: socket: EPERM (operation not permitted); ' +
        'run as root, or give the process CAP_NET_RAW in this network namespace',
    });
  });
});
