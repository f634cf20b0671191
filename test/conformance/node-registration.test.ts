import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { expect } from '@jest/globals';
import { SAN } from '../support/faults-laboratory.ts';
import { aoeCsi, InitiatorProcess } from '../support/initiator-process.ts';
import { PluginWatcher } from '../support/csi-plugin-watcher.ts';
import { CLUSTER_ID, withNode, type NodeLaboratory } from '../support/node-laboratory.ts';
import { NodeProcess } from '../support/node-process.ts';
import { NODE_REQUIREMENTS } from '../support/node-requirements.ts';
import { patiently } from '../support/patience.ts';
import { describeIf, testIf } from '../support/requires.ts';

const REGISTERED_MS = patiently(5_000);

/** One more for the same node: it has socket and state of the first. */
function another(lab: NodeLaboratory, ...words: string[]): NodeProcess {
  return at(lab.initiator, lab, words);
}

/** The same with another initiator. */
function at(initiator: InitiatorProcess, lab: NodeLaboratory, words: readonly string[]): NodeProcess {
  const { storeFolder, stateFolder } = lab;
  const place = { folder: lab.lab.folder, nodeId: 'node-1', initiatorSocket: initiator.socketPath, clusterId: CLUSTER_ID };
  return new NodeProcess({ ...place, storeFolder, stateFolder, words, launcher: [] });
}

describeIf(NODE_REQUIREMENTS, 'aoe-csi node --registration-directory', () => {
  testIf([], 'is taken by the kubelet, anew after a kill, and is gone for it after an orderly end', async () => {
    await withNode({ disks: { 'e10.1': 2 ** 20 } }, async (lab) => {
      const registry = lab.folder('plugins_registry');
      const watcher = new PluginWatcher(registry);
      const taken = createServer().listen(0, '127.0.0.1');
      await once(taken, 'listening');
      try {
        // Another installation has the port: that keeps nobody from having volumes.
        const metrics = ['--metrics', `127.0.0.1:${(taken.address() as AddressInfo).port}`];
        const node = await lab.startNode({ words: ['--registration-directory', registry, '--volumes-max', '7', ...metrics] });
        await node.logged(/cannot serve metrics on .*EADDRINUSE/);
        const first = await watcher.next('registered', 0, REGISTERED_MS);
        expect(first.info).toMatchObject({ type: 'CSIPlugin', name: 'aoe.csi.dev', endpoint: node.socketPath });
        expect(first.node).toMatchObject({ nodeId: 'node-1', maxVolumesPerNode: 7 });
        let seen = watcher.events.length;
        await node.restart();
        await watcher.next('registered', seen, REGISTERED_MS);
        seen = watcher.events.length;
        await node.end('SIGTERM');
        await watcher.next('removed', seen, REGISTERED_MS);
        expect(watcher.events.filter(({ kind }) => kind === 'refused')).toEqual([]);
      } finally {
        taken.close();
        await watcher.stop();
      }
    });
  });

  testIf([], 'is refused beside another one of the same node, or waits for its end with --stand-by', async () => {
    await withNode({ disks: { 'e10.1': 2 ** 20 } }, async (lab) => {
      const registry = lab.folder('plugins_registry');
      const watcher = new PluginWatcher(registry);
      const successor = another(lab, '--registration-directory', registry, '--stand-by');
      try {
        const node = await lab.startNode({ words: ['--registration-directory', registry] });
        await watcher.next('registered', 0, REGISTERED_MS);
        await expect(another(lab).start()).rejects.toThrow(
          /belongs to another node plugin that runs; .* start this one with --stand-by/,
        );
        const starting = successor.start();
        await successor.logged(/stands by until the node plugin that has .* ends/);
        const seen = watcher.events.length;
        expect(await node.outcome('NodeGetInfo', {})).toBe('OK');
        await node.end('SIGTERM');
        await starting;
        await watcher.next('registered', seen, REGISTERED_MS);
        expect(await successor.outcome('NodeGetInfo', {})).toBe('OK');
        // One that only waits ends at once.
        const third = another(lab, '--stand-by');
        const waiting = third.start().catch(() => 'ended');
        await third.logged(/stands by/);
        await third.end('SIGTERM');
        expect(await waiting).toBe('ended');
      } finally {
        await successor.end();
        await watcher.stop();
      }
    });
  });

  testIf([], 'waits while no volume could be used on the node, says why, and what to do', async () => {
    await withNode({ disks: { 'e10.1': 2 ** 20 } }, async (lab) => {
      const use = async (name: string): Promise<unknown> =>
        aoeCsi('interfaces', 'set', name, '--socket', lab.initiator.socketPath);
      const registry = lab.folder('plugins_registry');
      const watcher = new PluginWatcher(registry);
      const networks = ['--network', `san-a=${SAN}`, '--network', 'san-b=absent?'];
      const node = another(lab, '--registration-directory', registry, '--metrics', '127.0.0.1:0', ...networks);
      try {
        await use('absent0');
        await node.start();
        expect(await node.logged(/preflight interfaces/)).toMatch(
          /no interface that may carry AoE can be used here: absent0 is missing.*ip link/,
        );
        const port = /metrics on port (\d+)/.exec(await node.logged(/metrics on port/))?.[1] ?? '';
        const metrics = async (): Promise<string> => (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
        expect(await metrics()).toContain('aoe_csi_node_preflight{check="interfaces"} 0\n');
        expect(await node.outcome('NodeGetInfo', {})).toBe('OK');
        expect(watcher.events).toEqual([]);

        await use(SAN);
        const { node: told } = await watcher.next('registered', 0, patiently(20_000));
        const segments = { 'topology.aoe.csi.dev/san-a': 'true' };
        expect(told?.accessibleTopology).toEqual({ segments });
        expect((await lab.store.nodes.get('node-1'))?.value.segments).toEqual(segments);
        expect(await metrics()).toContain('aoe_csi_node_preflight{check="interfaces"} 1\n');
      } finally {
        await node.end();
        await watcher.stop();
      }
    });
  });

  testIf([], 'waits while the initiator makes no devices, which no pod can use', async () => {
    await withNode({ disks: { 'e10.1': 2 ** 20 } }, async (lab) => {
      const registry = lab.folder('plugins_registry');
      const watcher = new PluginWatcher(registry);
      const words = ['--interfaces', SAN, '--attach', 'nbd-socket'];
      const initiator = new InitiatorProcess(lab.lab, 'sockets', words, [], lab.lab.initiator);
      const node = at(initiator, lab, ['--registration-directory', registry]);
      try {
        await initiator.ready();
        await node.start();
        expect(await node.logged(/preflight backend/)).toMatch(
          /no volume can become a device: the initiator makes sockets of them \(--attach nbd-socket\)/,
        );
        expect(watcher.events).toEqual([]);
      } finally {
        await node.end();
        await initiator.process.end();
        await watcher.stop();
      }
    });
  });
});
