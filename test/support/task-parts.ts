import { join } from 'node:path';
import type { InitiatorClient } from '../../src/node/initiator-client.ts';
import { NodeRecorder } from '../../src/node/node-recorder.ts';
import { StateDirectory } from '../../src/node/staging/state-directory.ts';
import type { TaskParts } from '../../src/node/tasks/target-task.ts';
import { formatConfigString } from '../../src/volumes/claim.ts';
import type { Store } from '../../src/volumes/store.ts';
import { targetRecord } from './volumes-records.ts';

const CLUSTER = 'c';
const BOOT = 'boot';

/** What an initiator of a task's node is asked for; what is not there must not be asked. */
export type InitiatorStand = Partial<Record<keyof InitiatorClient, unknown>>;

/** A node that carries out tasks, with a store in memory. */
export function taskParts(nodeId: string, store: Store, folder: string, initiator: InitiatorStand): TaskParts {
  const facts = { nodeId, segments: {}, volumesMax: 4, bootId: BOOT };
  return {
    nodeId,
    clusterId: CLUSTER,
    bootId: BOOT,
    store,
    initiator: initiator as unknown as InitiatorClient,
    recorder: new NodeRecorder(store.nodes, facts, []),
    state: new StateDirectory(join(folder, 'state'), BOOT),
    reporter: { refresh: async () => Promise.resolve() },
  };
}

/** An initiator before e1.0, which carries this claim of the node's cluster and can't be attached. @param mac of its interface */
export function beforeClaimed(claim: string, mac: string): InitiatorStand {
  const { serial, model, sizeBytes } = targetRecord('e1.0').identity;
  return {
    target: async () => Promise.resolve({ name: 'e1.0', serial, model, sectors: sizeBytes / 512 }),
    interfaces: async () => Promise.resolve([{ name: 'eth1', state: 'up', mac }]),
    configString: async () => Promise.resolve({ error: 0, texts: [formatConfigString(CLUSTER, claim)], silent: 0 }),
    attach: async () => Promise.reject(new Error('this far and no further')),
    detach: async () => Promise.resolve(),
  };
}
