import assert from 'node:assert/strict';
import { readdirSync, truncateSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fenceTask } from '../../src/controller/tasks.ts';
import { loopDevicesOf } from '../../src/initiator/attach/loop-device.ts';
import type { CrashPoint } from '../../src/node/crash-points.ts';
import type { NodeLaboratory, Use } from './node-laboratory.ts';
import type { NodeMethod, NodeProcess, NodeRequest } from './node-process.ts';
import { NodeVolume } from './node-volume.ts';

/** Size of the disk e10.1 that a life needs. */
export const LIFE_BYTES = 64 * 2 ** 20;

/** Crash points that the life of a volume as a raw device does not come to. */
export const FILE_SYSTEM_POINTS: readonly CrashPoint[] = [
  'format-recorded',
  'format-made',
  'format-confirmed',
  'stage-mounted',
  'expand-grown',
];

/** Crash points that come only where a file system has to grow before it is mounted (test/conformance/node-grow.test.ts). */
export const GROW_POINTS: readonly CrashPoint[] = ['grow-recorded', 'grow-made', 'grow-confirmed'];

const ADDRESS = 'e10.1';

/** What a test wants otherwise. */
export interface LifeOptions {
  /** The disk becomes so large while the volume is in use. */
  readonly grownBytes?: number;
  /** Makes a call, and has something else happen at the same time. */
  readonly during?: (method: NodeMethod, call: () => Promise<unknown>) => Promise<void>;
}

/**
 * All that a node does for a volume, from the claim to the wipe. Each call is made until it succeeds, as an orchestrator does;
 * afterwards everything is as if nobody had died.
 */
export async function live(lab: NodeLaboratory, node: NodeProcess, use: Use, options: LifeOptions = {}): Promise<void> {
  const { grownBytes = LIFE_BYTES, during = async (_method, call) => void (await call()) } = options;
  const insist = async <Name extends NodeMethod>(method: Name, request: NodeRequest<Name>): Promise<void> =>
    during(method, async () => node.insist(method, request));
  const volume = new NodeVolume(lab, node, await lab.volume(ADDRESS), use);
  const { volumeId, targetPath: volumePath } = volume;
  await insist('NodeStageVolume', volume.stageRequest);
  await insist('NodePublishVolume', volume.publishRequest);
  volume.write('what must not be lost');
  if (grownBytes > LIFE_BYTES) truncateSync(lab.diskFile(ADDRESS), grownBytes);
  await insist('NodeExpandVolume', { volumeId, volumePath, capacityRange: { requiredBytes: grownBytes } });
  await insist('NodePublishVolume', volume.publishRequest);
  assert.equal(volume.read(), 'what must not be lost');
  await insist('NodeUnpublishVolume', volume.unpublishRequest);
  await insist('NodeUnstageVolume', volume.unstageRequest);
  await insist('NodeStageVolume', volume.stageRequest);
  await insist('NodePublishVolume', volume.publishRequest);
  assert.equal(volume.read(), 'what must not be lost');
  await insist('NodeUnpublishVolume', volume.unpublishRequest);
  await insist('NodeUnstageVolume', volume.unstageRequest);
  assert.ok(volume.isGone, 'something of the volume is left');

  const { id } = fenceTask('node-9', 1, 'node-1');
  assert.equal((await lab.task(ADDRESS, 'fence', id)).task?.state, 'done');
  const { state, claim, task } = await lab.release(ADDRESS);
  assert.deepEqual({ state, claim, task }, { state: 'Available', claim: undefined, task: undefined });
  await requireNothingLeft(lab, volumeId);
}

async function requireNothingLeft(lab: NodeLaboratory, volumeId: string): Promise<void> {
  const remembered = readdirSync(lab.stateFolder).filter((name) => name.includes(ADDRESS));
  const staged = Object.keys((await lab.store.nodes.get('node-1'))?.value.staged ?? {}).filter((id) => id === volumeId);
  const { attachments, targets } = await lab.initiator.stat();
  const attached = attachments.map(({ name }) => name).filter((name) => name === ADDRESS);
  const seen = targets.map(({ name }) => name).filter((name) => name === ADDRESS);
  const loops = [...loopDevicesOf(join(dirname(lab.initiator.socketPath), 'fuse', ADDRESS))];
  assert.equal(JSON.stringify([remembered, staged, attached, seen, loops]), JSON.stringify([[], [], [], [ADDRESS], []]));
}
