import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { KubernetesStore } from '../../src/kubernetes/kubernetes-store.ts';
import type { ControllerCrashPoint } from '../../src/controller/crash-points.ts';
import { ControlPlane } from '../support/cluster-control-plane.ts';
import { PROGRAMS_BUILD_MS } from '../support/cluster-programs.ts';
import { CONTROL_PLANE } from '../support/cluster-requirements.ts';
import { installRights, kubeConfigOf, NAMESPACE } from '../support/cluster-rights.ts';
import { CLUSTER_ID, ScriptedNode } from '../support/controller-node.ts';
import { ControllerProcess } from '../support/controller-process.ts';
import { WRITER } from '../support/controller-service.ts';
import { eventually } from '../support/faults-process.ts';
import { describeIf } from '../support/requires.ts';

/** Two controllers on one API server, with the rights that they have in a cluster; nodes are scripted, and the network is a map. */

const TEST_MS = 180_000;
const FREE_MS = 30_000;
/** Its duration, and two looks. */
const HAND_OVER_MS = 19_000;
const ADDRESSES = ['e1.0', 'e1.1', 'e1.2', 'e1.3', 'e1.4', 'e1.5'];
const NAMES = ['a', 'b', 'c', 'd'];
const LEADS = 'looks after the targets from now on';

/** Where the first of them dies, while the other one is asked for the same. */
const CRASH_POINTS: readonly ControllerCrashPoint[] = [
  'create-started',
  'create-taken',
  'create-decided',
  'create-confirmed',
  'publish-recorded',
  'unpublish-leaving',
  'unpublish-removed',
  'delete-released',
];

describeIf(CONTROL_PLANE, 'two controllers on one API server', () => {
  let plane: ControlPlane;
  let store: KubernetesStore;
  let ofController: string;
  let folder: string;
  let nodes: ScriptedNode[];
  let controllers: ControllerProcess[];
  const strings = new Map<string, string>();

  beforeAll(async () => {
    plane = await ControlPlane.start();
    await installRights(plane, CLUSTER_ID);
    ofController = await kubeConfigOf(plane, 'aoe-csi-controller');
    store = await KubernetesStore.open({ kubeConfig: plane.adminIn(NAMESPACE), clusterId: CLUSTER_ID });
  }, PROGRAMS_BUILD_MS);
  afterAll(async () => {
    await store.close();
    await plane.end();
  });

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'aoe-csi-replicas-'));
    nodes = ['node-1', 'node-2'].map((nodeId) => new ScriptedNode(store, { nodeId, addresses: ADDRESSES }, strings));
    for (const node of nodes) await node.start();
    const place = { place: `kubernetes:${NAMESPACE}`, environment: { KUBECONFIG: ofController }, clusterId: CLUSTER_ID };
    controllers = ['one', 'other'].map((name) => {
      mkdirSync(join(folder, name));
      return new ControllerProcess(join(folder, name), place);
    });
  });
  afterEach(async () => {
    for (const each of [...controllers, ...nodes]) await ('end' in each ? each.end() : each.stop());
    rmSync(folder, { recursive: true });
  });

  test.each(CRASH_POINTS)(
    'are both asked for the same volumes, and one dies at %s: each volume is there once, and nothing is left of it in the end',
    async (point) => {
      const [one, other] = controllers;
      await Promise.all([one.start(point), other.start()]);
      await allFree();
      await Promise.all(NAMES.map(async (name) => live(name)));
      expect(one.deaths).toBe(1);
      await allFree();
      // Nor on the targets themselves.
      expect([...strings]).toEqual([]);
    },
    TEST_MS,
  );

  test(
    'elect one for what nobody calls for; both answer calls; another takes over from one that is killed, and at once from one that ends',
    async () => {
      const [one, other] = controllers;
      await one.start();
      await leading(one, FREE_MS);
      await other.start();
      await allFree();
      const { volume } = await other.insist('CreateVolume', { name: 'v', volumeCapabilities: [WRITER] });
      expect(leads(other)).toBe(false);
      await one.process.end('SIGKILL');
      await leading(other, HAND_OVER_MS);
      await other.insist('DeleteVolume', { volumeId: volume!.volumeId });
      await allFree();
      await one.start();
      await other.process.end();
      // Not a lease's duration later, but with the next look.
      await leading(one, HAND_OVER_MS / 3);
    },
    TEST_MS,
  );

  /** A volume's life, each call to both at the same time. */
  async function live(name: string): Promise<void> {
    const both = async <T>(call: (controller: ControllerProcess) => Promise<T>): Promise<T> => {
      const answers = await Promise.all(controllers.map(call));
      expect(answers[0]).toEqual(answers[1]);
      return answers[0];
    };
    for (let round = 0; round < 2; round++) {
      const create = { name, volumeCapabilities: [WRITER] };
      const { volume } = await both(async (controller) => controller.insist('CreateVolume', create));
      const volumeId = volume!.volumeId;
      const publish = { volumeId, nodeId: 'node-1', volumeCapability: WRITER };
      await both(async (controller) => controller.insist('ControllerPublishVolume', publish));
      await both(async (controller) => controller.insist('ControllerUnpublishVolume', { volumeId, nodeId: 'node-1' }));
      await both(async (controller) => controller.insist('DeleteVolume', { volumeId }));
    }
  }

  async function allFree(): Promise<void> {
    await eventually('all targets to be free', FREE_MS, async () => {
      const targets = await store.targets.list();
      const free = targets.filter(({ value }) => value.state === 'Available' && value.claim === undefined);
      return free.length === ADDRESSES.length && free.every(({ value }) => value.task === undefined);
    });
  }
});

function leads({ process: { errors } }: ControllerProcess): boolean {
  return errors.some((line) => line.includes(LEADS));
}

async function leading(controller: ControllerProcess, timeoutMs: number): Promise<void> {
  await eventually('a controller to be elected', timeoutMs, () => leads(controller));
}
