import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { DirectoryStore } from '../../src/embedded/directory-store.ts';
import type { Store } from '../../src/volumes/store.ts';
import { describeIf, root } from '../support/requires.ts';
import { countOf, counterRecord } from '../support/store-counter.ts';
import { nodeRecord, targetRecord } from '../support/volumes-records.ts';

let mount: string;
let directory: string;
let opened: DirectoryStore[];

/** Opens the store in the tiny file system; closed at the end of the test. */
async function open(): Promise<Store> {
  const store = await DirectoryStore.open(directory);
  opened.push(store);
  return store;
}

/** Leaves no byte free, and with `keepPages` so many pages. */
function fill(keepPages = 0): void {
  const { bavail, bsize } = statfsSync(mount);
  writeFileSync(join(mount, 'ballast'), Buffer.alloc((bavail - keepPages) * bsize, 1));
}

function makeRoom(): void {
  rmSync(join(mount, 'ballast'));
}

const filesOf = (kind: string) => readdirSync(join(directory, kind)).toSorted();

describeIf([root()], 'directory store on a full disk', () => {
  beforeEach(() => {
    mount = mkdtempSync(join(tmpdir(), 'aoe-csi-full-'));
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=256k,mode=700', 'tmpfs', mount]);
    directory = join(mount, 'store');
    opened = [];
  });
  afterEach(async () => {
    await Promise.all(opened.map(async (store) => store.close()));
    execFileSync('umount', [mount]);
    rmSync(mount, { recursive: true });
  });

  test('refuses to write with what to do, keeps what was there, and goes on when there is room again', async () => {
    const store = await open();
    const made = await store.targets.create('e1.1', counterRecord('e1.1', 1));
    fill();
    const refused = {
      code: 'unavailable',
      message: `cannot write the record e1.1, ${directory}/targets/e1.1.json: ENOSPC; nothing was changed; the disk is full: make room, then call again`,
    };
    for (let attempt = 0; attempt < 3; attempt++) {
      await expect(store.targets.update('e1.1', made.version, counterRecord('e1.1', 2))).rejects.toMatchObject(refused);
    }
    await expect(store.targets.create('e1.2', counterRecord('e1.2', 1))).rejects.toMatchObject({ code: 'unavailable' });
    expect(filesOf('targets')).toEqual(['e1.1.json']);
    expect(await store.targets.get('e1.1')).toEqual(made);
    expect(await store.targets.list()).toEqual([made]);
    makeRoom();
    const { version } = await store.targets.update('e1.1', made.version, counterRecord('e1.1', 2));
    expect(await store.targets.get('e1.1')).toMatchObject({ version, name: 'e1.1' });
  });

  test('refuses a record of which only a part finds room, and keeps the old one', async () => {
    const store = await open();
    const made = await store.nodes.create('n', nodeRecord('n', ['e1.1']));
    fill(2);
    const large = nodeRecord(
      'n',
      Array.from({ length: 500 }, (_, index) => `e${index}.1`),
    );
    await expect(store.nodes.update('n', made.version, large)).rejects.toMatchObject({
      message: expect.stringContaining('ENOSPC'),
    });
    expect(filesOf('nodes')).toEqual(['n.json']);
    expect(await store.nodes.get('n')).toEqual(made);
  });

  test('deletes, so that room can be made by it', async () => {
    const store = await open();
    const { version } = await store.targets.create('e1.1', targetRecord('e1.1'));
    fill();
    await store.targets.delete('e1.1', version);
    expect(await store.targets.list()).toEqual([]);
    await store.targets.create('e1.2', targetRecord('e1.2'));
  });

  test('opens and reads there, and can’t be made there', async () => {
    const store = await open();
    await store.targets.create('e1.1', counterRecord('e1.1', 5));
    fill();
    const other = await open();
    expect(countOf((await other.targets.get('e1.1'))!.value)).toBe(5);
    const elsewhere = DirectoryStore.open(join(mount, 'another', 'store'));
    // tmpfs needs no room for a folder, other file systems do: the lock's file is what is left.
    await expect(elsewhere.then(async (made) => made.targets.create('e1.1', targetRecord('e1.1')))).rejects.toMatchObject({
      code: 'unavailable',
    });
  });

  test('says so when the file system is read-only', async () => {
    const store = await open();
    const made = await store.targets.create('e1.1', counterRecord('e1.1', 1));
    execFileSync('mount', ['-o', 'remount,ro', mount]);
    await expect(store.targets.update('e1.1', made.version, counterRecord('e1.1', 2))).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringMatching(/cannot .*EROFS/),
    });
    expect(await store.targets.get('e1.1')).toEqual(made);
    await expect(DirectoryStore.open(directory)).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('EROFS'),
    });
    execFileSync('mount', ['-o', 'remount,rw', mount]);
    await store.targets.update('e1.1', made.version, counterRecord('e1.1', 2));
  });
});
