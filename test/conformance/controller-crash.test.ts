import { describe, expect, test } from '@jest/globals';
import { CONTROLLER_CRASH_POINTS } from '../../src/controller/crash-points.ts';
import { claimOf } from '../../src/volumes/claim.ts';
import { readParameters } from '../../src/volumes/parameters.ts';
import { claimRecord } from '../support/volumes-records.ts';
import { CLUSTER_ID, type ScriptedNode } from '../support/controller-node.ts';
import { ControllerProcess } from '../support/controller-process.ts';
import { ControllerLaboratory, WRITER } from '../support/controller-service.ts';
import { eventually } from '../support/faults-process.ts';

const MIB = 2 ** 20;
const TEST_MS = 60_000;
const ADDRESSES = ['e1.0', 'e1.1', 'e1.2'];
const FREE_MS = 20_000;

/**
 * A volume's whole life, with two nodes of which the first falls silent with the volume staged. Each call is made until it succeeds,
 * as an orchestrator does; afterwards everything is as if nobody had died.
 */
async function live(
  controller: ControllerProcess,
  lab: ControllerLaboratory,
  [node, other]: readonly ScriptedNode[],
): Promise<void> {
  const create = { name: 'a', volumeCapabilities: [WRITER], capacityRange: { requiredBytes: 100 * MIB } };
  const { volume } = await controller.insist('CreateVolume', create);
  const volumeId = volume!.volumeId;
  expect((await controller.insist('CreateVolume', create)).volume?.volumeId).toBe(volumeId);
  const publish = { volumeId, nodeId: 'node-1', volumeCapability: WRITER };
  const { publishContext } = await controller.insist('ControllerPublishVolume', publish);
  expect(await controller.insist('ControllerPublishVolume', publish)).toEqual({ publishContext });
  await controller.insist('ControllerModifyVolume', { volumeId, mutableParameters: { deadSeconds: '7', maxOutstanding: '9' } });
  const expand = { volumeId, capacityRange: { requiredBytes: 200 * MIB } };
  expect((await controller.insist('ControllerExpandVolume', expand)).capacityBytes).toBe(200 * MIB);
  const held = (await lab.store.targets.list()).filter(({ value }) => value.state === 'Claimed').map(({ value }) => value);
  expect(held).toMatchObject([
    {
      claim: { capacityBytes: 200 * MIB, mutableParameters: { deadSeconds: '7', maxOutstanding: '9' } },
      publications: [{ nodeId: 'node-1' }],
    },
  ]);

  await node.stage(volumeId);
  await node.fallSilent();
  await controller.insist('ControllerUnpublishVolume', { volumeId, nodeId: 'node-1' });
  expect(other.done.filter((task) => task.startsWith('fence'))).toHaveLength(1);
  await controller.insist('ControllerPublishVolume', { ...publish, nodeId: 'node-2' });
  await controller.insist('ControllerUnpublishVolume', { volumeId, nodeId: '' });
  await controller.insist('DeleteVolume', { volumeId });
  expect((await controller.insist('ListVolumes', {})).entries).toEqual([]);
  await freeTargets(lab);
}

async function freeTargets(lab: ControllerLaboratory): Promise<void> {
  await eventually('all targets to be free', FREE_MS, async () => {
    const targets = await lab.store.targets.list();
    const free = targets.filter(
      ({ value }) => value.state === 'Available' && value.claim === undefined && value.task === undefined,
    );
    return free.length === ADDRESSES.length;
  });
}

/** As a controller leaves it that was killed when it had taken a target: two of them did so for the same name. */
async function plantRivals(lab: ControllerLaboratory): Promise<void> {
  const claim = claimRecord({ volumeName: 'a', claim: claimOf(CLUSTER_ID, 'a'), capacityBytes: 100 * MIB, confirmed: false });
  const { parameters } = readParameters('StorageClass', {});
  for (const address of ADDRESSES.slice(0, 2)) {
    const { version, value } = (await lab.store.targets.get(address))!;
    await lab.store.targets.update(address, version, { ...value, state: 'Claimed', claim: { ...claim, parameters } });
  }
}

describe('a controller that is killed', () => {
  test.each(CONTROLLER_CRASH_POINTS)(
    'at %s leaves nothing that the same calls, made again, do not bring to their end',
    async (point) => {
      const lab = await ControllerLaboratory.open();
      const controller = new ControllerProcess(lab.embedded.directory);
      try {
        const nodes = [
          await lab.node({ nodeId: 'node-1', addresses: ADDRESSES }),
          await lab.node({ nodeId: 'node-2', addresses: ADDRESSES }),
        ];
        await controller.start(point);
        await freeTargets(lab);
        if (point === 'create-yielded') await plantRivals(lab);
        if (point === 'create-given-up') for (const node of nodes) node.failures.set('claim e1.0', 'no target answers there');
        await live(controller, lab, nodes);
        expect(controller.deaths).toBe(1);
      } finally {
        await controller.end();
        await lab.close();
      }
    },
    TEST_MS,
  );
});
