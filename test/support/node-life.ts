import { readdirSync } from 'node:fs';
import { expect } from '@jest/globals';
import { fenceTask } from '../../src/controller/tasks.ts';
import { loopDevicesOf } from '../../src/initiator/attach/loop-device.ts';
import type { NodeLaboratory, Use } from './node-laboratory.ts';
import type { NodeProcess } from './node-process.ts';
import { NodeVolume } from './node-volume.ts';

/** Size of the disk e10.1 that a life needs. */
export const LIFE_BYTES = 64 * 2 ** 20;

/**
 * All that a node does for a volume, from the claim to the wipe. Each call is made until it succeeds, as an orchestrator does;
 * afterwards everything is as if nobody had died.
 */
export async function live(lab: NodeLaboratory, node: NodeProcess, use: Use): Promise<void> {
  const volume = new NodeVolume(lab, node, await lab.volume('e10.1'), use);
  const { volumeId, targetPath: volumePath } = volume;
  await node.insist('NodeStageVolume', volume.stageRequest);
  await node.insist('NodePublishVolume', volume.publishRequest);
  volume.write('what must not be lost');
  await node.insist('NodeExpandVolume', { volumeId, volumePath, capacityRange: { requiredBytes: LIFE_BYTES } });
  await node.insist('NodePublishVolume', volume.publishRequest);
  expect(volume.read()).toBe('what must not be lost');
  await node.insist('NodeUnpublishVolume', volume.unpublishRequest);
  await node.insist('NodeUnstageVolume', volume.unstageRequest);
  await node.insist('NodeStageVolume', volume.stageRequest);
  await node.insist('NodePublishVolume', volume.publishRequest);
  expect(volume.read()).toBe('what must not be lost');
  await node.insist('NodeUnpublishVolume', volume.unpublishRequest);
  await node.insist('NodeUnstageVolume', volume.unstageRequest);
  expect(volume.isGone).toBe(true);

  const { id } = fenceTask('node-9', 1, 'node-1');
  expect((await lab.task('e10.1', 'fence', id)).task?.state).toBe('done');
  const { state, claim, task } = await lab.release('e10.1');
  expect({ state, claim, task }).toEqual({ state: 'Available' });

  expect(readdirSync(lab.stateFolder)).toEqual([]);
  expect((await lab.store.nodes.get('node-1'))?.value.staged).toEqual({});
  const { attachments, targets } = await lab.initiator.stat();
  expect(attachments).toEqual([]);
  expect(targets).toHaveLength(1);
  expect(loopDevicesOf(lab.lab.folder)).toEqual([]);
}
