import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { MANY_TARGETS, NodeRecorder, STRINGS_WAIT_MS } from '../../src/node/node-recorder.ts';
import { SIGHTS_BYTES_MAX } from '../../src/node/sights-room.ts';
import type { Store } from '../../src/volumes/store.ts';
import { MEMORY, openStore } from '../support/store-embedded.ts';
import { nodeRecord } from '../support/volumes-records.ts';

let folder: string;
let store: Store;

beforeEach(async () => {
  folder = mkdtempSync(join(MEMORY, 'aoe-csi-recorder-'));
  store = await openStore(folder);
});

afterEach(async () => {
  await store.close();
  rmSync(folder, { recursive: true, force: true });
});

function recorder(bootId: string): NodeRecorder {
  return new NodeRecorder(store.nodes, { nodeId: 'node-1', segments: {}, volumesMax: 4, bootId }, []);
}

const VOLUME = 'e10.3@aaaaaaaaaaaaaaaaaaaaaaaaaa';
const HERE = ['02:00:00:00:00:01'];
const THERE = ['02:00:00:00:00:02'];

async function staged(): Promise<unknown> {
  return (await store.nodes.get('node-1'))?.value.staged;
}

describe('NodeRecorder', () => {
  test('reports of more targets than its record has room for the same ones each time, those in use first, and says so', async () => {
    const { targets } = nodeRecord(
      'node-1',
      Array.from({ length: 10_000 }, (_, index) => `e${String(index)}.0`),
    );
    const ours = recorder('boot-1');
    await ours.announce('e9999.0@aaaaaaaaaaaaaaaaaaaaaaaaaa', 1);
    await ours.report({ macs: HERE, targets });
    const found = (await store.nodes.get('node-1'))?.value.targets ?? {};
    const seen = Object.keys(found);
    expect(seen).toContain('e9999.0');
    expect(seen.slice(0, -1)).toEqual(Object.keys(targets).slice(0, seen.length - 1));
    expect(seen.length).toBeGreaterThan(6_000);
    expect(Buffer.byteLength(JSON.stringify(found))).toBeLessThanOrEqual(SIGHTS_BYTES_MAX);
    expect(ours.areAllReported).toBe(false);
    const { 'e1.0': some } = targets;
    await ours.report({ macs: HERE, targets: { 'e1.0': some } });
    expect(ours.areAllReported).toBe(true);
  });

  test('writes at most once a minute what has changed in config strings only, where it sees many targets', async () => {
    let nowMs = 0;
    const facts = { nodeId: 'node-1', segments: {}, volumesMax: 4, bootId: 'boot-1' };
    const ours = new NodeRecorder(store.nodes, facts, [], {}, () => nowMs);
    const addresses = Array.from({ length: MANY_TARGETS }, (_, index) => `e${String(index)}.0`);
    const { targets } = nodeRecord('node-1', addresses);
    const saying = (configString: string): typeof targets => ({ ...targets, 'e7.0': { ...targets['e7.0'], configString } });
    const said = async (): Promise<string | undefined> => (await store.nodes.get('node-1'))?.value.targets['e7.0']?.configString;
    await ours.report({ macs: HERE, targets: saying('first') });
    nowMs = STRINGS_WAIT_MS - 1;
    await ours.report({ macs: HERE, targets: saying('second') });
    expect(await said()).toBe('first');
    nowMs = STRINGS_WAIT_MS;
    await ours.report({ macs: HERE, targets: saying('second') });
    expect(await said()).toBe('second');
    // Whoever waits for it, and whatever else changes, does not wait.
    await ours.report({ macs: HERE, targets: saying('third') }, true);
    expect(await said()).toBe('third');
    await ours.report({ macs: HERE, targets: { ...saying('fourth'), 'e9.0': { ...targets['e9.0'], interfaces: ['eth7'] } } });
    expect(await said()).toBe('fourth');
    const { 'e8.0': _gone, ...fewer } = saying('fifth');
    await ours.report({ macs: HERE, targets: fewer });
    expect(await said()).toBe('fifth');
  });

  test('takes over the record of its machine’s former boot, once it knows its interfaces', async () => {
    const before = recorder('boot-1');
    await before.report({ macs: HERE });
    await before.announce(VOLUME, 1);
    const after = recorder('boot-2');
    await expect(after.report({ targets: {} })).rejects.toMatchObject({ code: 'unavailable' });
    expect(await staged()).toEqual({ [VOLUME]: { epoch: 1, fenced: false } });
    await after.report({ macs: [...HERE, ...THERE] });
    expect(await staged()).toEqual({});
  });

  test('goes on to say that a volume is here whose state file is lost or damaged, as long as something of it may be', async () => {
    const before = recorder('boot-1');
    await before.report({ macs: HERE });
    await before.announce(VOLUME, 1);
    await before.announce('e10.4', 7);
    await before.markFenced(new Set([VOLUME]));
    const facts = { nodeId: 'node-1', segments: {}, volumesMax: 4, bootId: 'boot-1' };
    const after = new NodeRecorder(store.nodes, facts, [], { isLeft: async (address) => Promise.resolve(address === 'e10.3') });
    await after.report({ macs: HERE });
    expect(await staged()).toEqual({ [VOLUME]: { epoch: 1, fenced: true } });
    await after.withdraw(VOLUME);
    await after.report({ macs: HERE });
    expect(await staged()).toEqual({});
  });

  test('leaves the record of another machine of its name alone, and says what to do', async () => {
    const other = recorder('boot-1');
    await other.report({ macs: THERE });
    await other.announce(VOLUME, 1);
    const ours = recorder('boot-2');
    await expect(ours.report({ macs: HERE })).rejects.toThrow(/another machine uses this name .*02:00:00:00:00:02.*--node-id/);
    expect(ours.refusal).toMatch(/another machine uses this name/);
    // Whoever stages a volume is told the same.
    await expect(ours.announce(VOLUME, 2)).rejects.toThrow(/another machine uses this name .*kubectl delete aoenode node-1/);
    await other.report({ macs: THERE });
    expect(await staged()).toEqual({ [VOLUME]: { epoch: 1, fenced: false } });
  });

  test('takes the name of a machine that has other interfaces over when all that it had staged was taken from it', async () => {
    const dead = recorder('boot-1');
    await dead.report({ macs: THERE });
    await dead.announce(VOLUME, 1);
    await dead.announce('e10.4', 7);
    const published = new Set([`${VOLUME} 2`, 'e10.4 7']);
    const isPublished = async (id: string, epoch: number): Promise<boolean> =>
      Promise.resolve(published.has(`${id} ${String(epoch)}`));
    const facts = { nodeId: 'node-1', segments: {}, volumesMax: 4, bootId: 'boot-2' };
    const ours = new NodeRecorder(store.nodes, facts, [], { isPublished });
    await expect(ours.report({ macs: HERE })).rejects.toThrow(/another machine uses this name/);
    // The epoch of the other is an old one; it may be wanted here already.
    published.delete('e10.4 7');
    await ours.report({ macs: HERE });
    expect(await staged()).toEqual({});
    expect(ours.refusal).toBeUndefined();
    await ours.announce(VOLUME, 2);
  });

  test('notices that another machine has taken its name while it had nothing staged', async () => {
    const first = recorder('boot-1');
    await first.report({ macs: HERE });
    await recorder('boot-2').report({ macs: THERE });
    await expect(first.announce(VOLUME, 1)).rejects.toMatchObject({ code: 'failed-precondition' });
  });
});
