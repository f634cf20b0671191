import { expect } from '@jest/globals';
import { PluginWatcher } from '../support/csi-plugin-watcher.ts';
import { withNode } from '../support/node-laboratory.ts';
import { NODE_REQUIREMENTS } from '../support/node-requirements.ts';
import { patiently } from '../support/patience.ts';
import { describeIf, testIf } from '../support/requires.ts';

const REGISTERED_MS = patiently(5_000);

describeIf(NODE_REQUIREMENTS, 'aoe-csi node --registration-directory', () => {
  testIf([], 'is taken by the kubelet, anew after a kill, and is gone for it after an orderly end', async () => {
    await withNode({ disks: { 'e10.1': 2 ** 20 } }, async (lab) => {
      const registry = lab.folder('plugins_registry');
      const watcher = new PluginWatcher(registry);
      try {
        const node = await lab.startNode({ words: ['--registration-directory', registry, '--volumes-max', '7'] });
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
        await watcher.stop();
      }
    });
  });
});
