import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { acceptDisk } from '../../src/volumes/accept-disk.ts';
import type { DiskIdentity, TargetRecord, TaskRecord } from '../../src/volumes/records.ts';
import type { Store } from '../../src/volumes/store.ts';
import { EmbeddedLaboratory, MEMORY } from '../support/store-embedded.ts';
import { claimRecord, GI, nodeRecord, sightRecord, targetRecord } from '../support/volumes-records.ts';

const A = 'e1.0';
const { identity: KNOWN } = targetRecord(A);
const OTHER: DiskIdentity = { serial: 'new', model: 'Disk', sizeBytes: 60 * GI };
const FINGERPRINT = { scheme: 1, sha256: 'ab', sizeBytes: GI, nodeId: 'node-1', takenAtMs: 1 };
const CLAIM = claimRecord({ fingerprint: FINGERPRINT });

let laboratory: EmbeddedLaboratory;
let store: Store;

beforeEach(async () => {
  laboratory = new EmbeddedLaboratory(MEMORY);
  store = await laboratory.open();
});
afterEach(async () => laboratory.remove());

const seeing = (...identities: readonly DiskIdentity[]) =>
  identities.map((identity, index) => nodeRecord(`node-${index}`, [], { targets: { [A]: sightRecord(A, { identity }) } }));

async function given(differences: Partial<TargetRecord>): Promise<void> {
  await store.targets.create(A, targetRecord(A, { state: 'Claimed', claim: CLAIM, ...differences }));
}

async function record(): Promise<TargetRecord | undefined> {
  return (await store.targets.get(A))?.value;
}

describe('acceptDisk()', () => {
  test('takes the disk that live nodes agree on in place of the one that was known, and forgets what that held', async () => {
    await given({});
    const smaller = { ...OTHER, sizeBytes: 59 * GI };
    expect(await acceptDisk(store, A, seeing(OTHER, smaller))).toEqual({ fingerprint: FINGERPRINT, identity: KNOWN });
    expect(await record()).toMatchObject({ state: 'Claimed', identity: smaller });
    expect((await record())?.claim).toEqual({ ...CLAIM, fingerprint: undefined });
    expect(await acceptDisk(store, A, seeing(OTHER, smaller))).toEqual({});
  });

  test('leaves it at the disk that was known when no node sees another one', async () => {
    await given({});
    expect(await acceptDisk(store, A, [])).toEqual({ fingerprint: FINGERPRINT });
    expect(await acceptDisk(store, A, seeing({ ...KNOWN, sizeBytes: 200 * GI }))).toEqual({});
    expect((await record())?.identity).toEqual(KNOWN);
  });

  test('has a released target wiped from the beginning, and at once when that has failed', async () => {
    const task: TaskRecord = {
      kind: 'wipe',
      id: `wipe:${CLAIM.claim}`,
      nodeId: 'node-1',
      state: 'running',
      message: '',
      doneBytes: GI,
      totalBytes: 2 * GI,
    };
    const tiny = { ...OTHER, sizeBytes: GI };
    await given({ state: 'Wiping', task });
    await acceptDisk(store, A, seeing(tiny));
    expect(await record()).toMatchObject({ state: 'Wiping', identity: tiny, task: { ...task, doneBytes: 0, totalBytes: 0 } });
    await store.targets.delete(A, (await store.targets.get(A))?.version ?? '');
    await given({ state: 'Released', task: { ...task, state: 'failed', message: 'another disk is there' } });
    await acceptDisk(store, A, seeing(tiny));
    expect(await record()).toMatchObject({ state: 'Released', identity: tiny });
    expect((await record())?.task).toBeUndefined();
  });

  test('refuses while it is published, while nodes see different disks, and a disk that is too small for the volume', async () => {
    await given({});
    await expect(acceptDisk(store, A, seeing(OTHER, KNOWN))).rejects.toThrow(/two disks share the address/);
    await expect(acceptDisk(store, A, seeing({ ...OTHER, sizeBytes: 49 * GI }))).rejects.toMatchObject({
      code: 'failed-precondition',
      message: expect.stringContaining('large enough'),
    });
    await store.targets.delete(A, (await store.targets.get(A))?.version ?? '');
    await given({ publications: [{ nodeId: 'node-1', readOnly: false, accessMode: 'SINGLE_NODE_WRITER', epoch: 1 }] });
    await expect(acceptDisk(store, A, seeing(OTHER))).rejects.toThrow(/is published to node-1/);
    expect((await record())?.identity).toEqual(KNOWN);
  });
});
