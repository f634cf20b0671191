import { beforeEach, describe, expect, test } from '@jest/globals';
import { NodeCollection } from '../../src/kubernetes/node-collection.ts';
import type { NodeLeases } from '../../src/kubernetes/node-leases.ts';
import type { ObjectCollection } from '../../src/kubernetes/object-collection.ts';
import { Liveness, NODE_HEARTBEAT_MS } from '../../src/volumes/liveness.ts';
import type { NodeRecord } from '../../src/volumes/records.ts';
import type { Versioned } from '../../src/volumes/store.ts';
import { nodeRecord } from '../support/volumes-records.ts';

const NOW_MS = 1.8e12;
const TWO_HOURS_MS = 7_200_000;

/** What the API server has. */
let record: Versioned<NodeRecord> | undefined;
let leaseMs: number;
/** Writes of records. */
let writes: number;
let nodes: NodeCollection;

beforeEach(() => {
  [record, leaseMs, writes] = [undefined, 0, 0];
  const write = async (value: NodeRecord): Promise<Versioned<NodeRecord>> => {
    record = { name: 'n', version: String(++writes), value };
    return Promise.resolve(record);
  };
  const objects: Pick<ObjectCollection<NodeRecord>, 'get' | 'list' | 'create' | 'update'> = {
    get: async () => Promise.resolve(record),
    list: async () => Promise.resolve(record === undefined ? [] : [record]),
    create: async (_name, value) => write(value),
    update: async (_name, _version, value) => write(value),
  };
  const leases: Pick<NodeLeases, 'aliveAtMs' | 'all' | 'renew'> = {
    aliveAtMs: async () => Promise.resolve(leaseMs),
    all: async () => Promise.resolve(new Map(leaseMs === 0 ? [] : [['n', leaseMs]])),
    renew: async (_name, aliveAtMs) => Promise.resolve(void (leaseMs = aliveAtMs)),
  };
  nodes = new NodeCollection(objects as ObjectCollection<NodeRecord>, leases as NodeLeases);
});

/** As node/node-recorder.ts does it. */
async function put(aliveAtMs: number, differences: Partial<NodeRecord> = {}): Promise<void> {
  const value = nodeRecord('n', [], { ...differences, aliveAtMs });
  const found = await nodes.get('n');
  if (found === undefined) await nodes.create('n', value);
  else await nodes.update('n', found.version, value);
}

/** What a controller reads. */
async function read(): Promise<NodeRecord> {
  const [listed] = await nodes.list();
  expect((await nodes.get('n'))?.value).toEqual(listed.value);
  return listed.value;
}

describe('NodeCollection', () => {
  test('writes no record to say that a node lives', async () => {
    for (let beat = 0; beat < 5; beat++) {
      const aliveAtMs = NOW_MS + beat * NODE_HEARTBEAT_MS;
      await put(aliveAtMs);
      expect((await read()).aliveAtMs).toBe(aliveAtMs);
    }
    expect(writes).toBe(1);
    await put(NOW_MS + TWO_HOURS_MS, { interfaces: ['eth2'] });
    expect(await read()).toMatchObject({ interfaces: ['eth2'], aliveAtMs: NOW_MS + TWO_HOURS_MS });
    expect(writes).toBe(2);
  });

  test.each([
    ['in the first write of its record', [TWO_HOURS_MS], {}, 2],
    ['since then', [TWO_HOURS_MS, TWO_HOURS_MS + 1], {}, 2],
    ['in beats only', [-1, TWO_HOURS_MS], {}, 1],
    ['in beats only, and there is something new to tell now', [-1, TWO_HOURS_MS], { interfaces: ['eth2'] }, 2],
  ] as const)(
    'lets a node live on whose clock is set back, after a wrong time %s',
    async (_where, offsetsMs, differences, expected) => {
      let nowMs = NOW_MS;
      const liveness = new Liveness({ wallMs: () => nowMs, steadyMs: () => nowMs });
      for (const offsetMs of offsetsMs) await put(nowMs + offsetMs);
      expect(liveness.isAlive(await read())).toBe(true);
      for (let beat = 0; beat < 10; beat++) {
        nowMs += NODE_HEARTBEAT_MS;
        await put(nowMs, differences);
        expect((await read()).aliveAtMs).toBe(nowMs);
        expect(liveness.isAlive(await read())).toBe(true);
      }
      expect(writes).toBe(expected);
    },
  );

  test('believes a record that is later than its Lease', async () => {
    await put(NOW_MS);
    await put(NOW_MS + 1);
    await put(NOW_MS + 2, { interfaces: ['eth2'] });
    expect(leaseMs).toBe(NOW_MS + 1);
    expect((await read()).aliveAtMs).toBe(NOW_MS + 2);
  });
});
