import { closeSync, existsSync, openSync, readSync, statSync, truncateSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from '@jest/globals';
import { fingerprintOfDevice } from '../../src/node/format/fingerprint.ts';
import type { FingerprintRecord } from '../../src/volumes/records.ts';
import { eventually } from '../support/faults-process.ts';
import { aoeCsi } from '../support/initiator-process.ts';
import { withFailingDisk } from '../support/node-disk.ts';
import { must, withNode, type NodeLaboratory, type Use } from '../support/node-laboratory.ts';
import type { NodeProcess } from '../support/node-process.ts';
import { NODE_REQUIREMENTS } from '../support/node-requirements.ts';
import { NodeVolume } from '../support/node-volume.ts';
import { patiently } from '../support/patience.ts';
import { command, describeIf, testIf } from '../support/requires.ts';

/** A disk that is not as it was left, behind the same address and with the same IDENTIFY: real targets, mounts and node plugins. */

const KIB = 2 ** 10;
const MIB = 2 ** 20;
const TEST_MS = patiently(60_000);
const SEEN_MS = patiently(10_000);
const SIZES: Readonly<Record<Use, number>> = { ext4: 64 * MIB, xfs: 320 * MIB, btrfs: 320 * MIB, block: 64 * MIB };
const PROGRAMS: Readonly<Record<Use, readonly [string, string]>> = {
  ext4: ['mkfs.ext4', 'e2fsprogs'],
  xfs: ['mkfs.xfs', 'xfsprogs'],
  btrfs: ['mkfs.btrfs', 'btrfs-progs'],
  block: ['blockdev', 'util-linux'],
};
const REFUSED = /^FAILED_PRECONDITION: cannot use e10\.1: its disk is not as it was left\. Node node-1 left \d+ bytes with /;

/** One volume on a disk whose contents a test exchanges while nobody uses it. */
class Bench {
  readonly lab: NodeLaboratory;
  readonly volume: NodeVolume;
  readonly #node: NodeProcess;

  constructor(lab: NodeLaboratory, node: NodeProcess, volume: NodeVolume) {
    this.lab = lab;
    this.#node = node;
    this.volume = volume;
  }

  /** The same volume in another access mode. */
  as(mode: string): Bench {
    const { volumeId, use } = this.volume;
    return new Bench(this.lab, this.#node, new NodeVolume(this.lab, this.#node, volumeId, use, { mode }));
  }

  async stageOutcome(): Promise<string> {
    return this.#node.outcome('NodeStageVolume', this.volume.stageRequest);
  }

  async insistOnStage(): Promise<void> {
    await this.#node.insist('NodeStageVolume', this.volume.stageRequest);
  }

  /** Uses the volume once from stage to unstage; answers what it held. */
  async use(text: string): Promise<string> {
    await this.volume.stage();
    await this.volume.publish();
    const before = existsSync(join(this.volume.targetPath, 'file')) || this.volume.use === 'block' ? this.volume.read() : '';
    this.volume.write(text);
    await this.leave();
    return before;
  }

  async leave(): Promise<void> {
    await this.volume.unpublish();
    await this.volume.unstage();
  }

  async fingerprint(): Promise<FingerprintRecord | undefined> {
    return (await this.lab.record('e10.1')).claim?.fingerprint;
  }

  /** Keeps a copy of the disk, as a snapshot does. */
  keep(name: string): string {
    const copy = join(this.lab.lab.folder, name);
    must('cp', '--sparse=always', this.lab.diskFile('e10.1'), copy);
    return copy;
  }

  /** Puts another disk, or an older state, behind the same target. */
  exchange(copy: string): void {
    overwrite(this.lab.diskFile('e10.1'), copy);
  }

  isStill(copy: string): boolean {
    must('cmp', copy, this.lab.diskFile('e10.1'));
    return true;
  }

  /** Puts a disk of another size there; returns when the initiator knows. */
  async exchangeLarger(copy: string, sizeBytes: number): Promise<void> {
    await this.lab.stopTarget();
    must('cp', '--sparse=always', copy, this.lab.diskFile('e10.1'));
    truncateSync(this.lab.diskFile('e10.1'), sizeBytes);
    await this.lab.startTarget();
    await eventually('the new size to be seen', SEEN_MS, async () =>
      (await this.lab.initiator.stat()).targets.some(({ sectors }) => sectors * 512 === sizeBytes),
    );
  }

  async setPublications(publications: Awaited<ReturnType<NodeLaboratory['record']>>['publications']): Promise<void> {
    await this.lab.setRecord('e10.1', (record) => ({ ...record, publications }));
  }

  async accept(): Promise<string> {
    const { code, err } = await aoeCsi('accept', 'e10.1', '--store', this.lab.storeFolder);
    return `${String(code)}: ${err}`;
  }
}

/** Changes a file in place. */
function write(path: string, atBytes: number, text: string): void {
  const file = openSync(path, 'r+');
  writeSync(file, text, atBytes);
  closeSync(file);
}

/** Makes a file hold what another one of its size holds, without ever having another size: a target serves it. */
function overwrite(path: string, by: string): void {
  const [file, source] = [openSync(path, 'r+'), openSync(by, 'r')];
  const [before, after] = [Buffer.alloc(MIB), Buffer.alloc(MIB)];
  for (let at = 0; at < statSync(by).size; at += MIB) {
    readSync(file, before, 0, MIB, at);
    readSync(source, after, 0, MIB, at);
    if (!before.equals(after)) writeSync(file, after, 0, MIB, at);
  }
  closeSync(file);
  closeSync(source);
}

/** No longer than this is a disk looked at when it is left. */
const DEAD_AFTER_S = '10';

async function withBench(
  use: Use,
  vblade: boolean,
  run: (bench: Bench) => Promise<void>,
  deadAfter = DEAD_AFTER_S,
): Promise<void> {
  await withNode({ disks: { 'e10.1': SIZES[use] }, vblade }, async (lab) => {
    const node = await lab.startNode({ words: ['--dead-after', deadAfter] });
    const volume = new NodeVolume(lab, node, await lab.volume('e10.1'), use);
    await run(new Bench(lab, node, volume));
  });
}

describeIf(NODE_REQUIREMENTS, 'a disk that is not as it was left', () => {
  for (const [use, vblade] of [
    ['ext4', true],
    ['xfs', false],
    ['btrfs', false],
    ['block', false],
  ] as const) {
    testIf(
      [command(...PROGRAMS[use]), ...(vblade ? [command('vblade')] : [])],
      `is refused in an older state, as ${use} on ${vblade ? 'vblade' : 'our target'}, and taken again when it is back`,
      async () => {
        await withBench(use, vblade, async (bench) => {
          await bench.use('first');
          const older = bench.keep('older');
          expect(await bench.use('second')).toBe('first');
          const latest = bench.keep('latest');
          const before = await bench.fingerprint();
          expect(before).toMatchObject({ scheme: 1, sizeBytes: SIZES[use], nodeId: 'node-1' });

          bench.exchange(older);
          const outcome = await bench.stageOutcome();
          expect(outcome).toMatch(REFUSED);
          expect(outcome).toMatch(
            use === 'block' ? /data of its own.*; found / : new RegExp(`with ${use}, UUID .*; found .*${use}`),
          );
          expect(outcome).toContain('aoe-csi accept e10.1');
          expect(bench.isStill(older)).toBe(true);
          expect(await bench.fingerprint()).toEqual(before);
          expect(bench.volume.isGone).toBe(true);

          bench.exchange(latest);
          expect(await bench.use('third')).toBe('second');
        });
      },
      TEST_MS,
    );
  }

  for (const [use, vblade] of [
    ['block', true],
    ['xfs', false],
  ] as const) {
    testIf(
      [command(...PROGRAMS[use]), ...(vblade ? [command('vblade')] : [])],
      `is refused as a larger stranger, and taken when it has grown, as ${use} on ${vblade ? 'vblade' : 'our target'}`,
      async () => {
        await withBench(use, vblade, async (bench) => {
          const grownBytes = SIZES[use] + 32 * MIB;
          await bench.use('first');
          const own = bench.keep('own');
          const stranger = bench.keep('stranger');
          // The same to blkid and to mount: a clone of the volume that somebody else has used.
          write(stranger, 512 * KIB - 1, 'x');
          await bench.exchangeLarger(stranger, grownBytes);
          expect(await bench.stageOutcome()).toMatch(REFUSED);
          await bench.exchangeLarger(own, grownBytes);
          expect(await bench.use('second')).toBe('first');
          expect(await bench.fingerprint()).toMatchObject({ sizeBytes: grownBytes });
        });
      },
      TEST_MS,
    );
  }

  testIf(
    [],
    'is taken after a person has accepted it, which is refused while the volume is published',
    async () => {
      await withBench('ext4', false, async (bench) => {
        await bench.use('first');
        const older = bench.keep('older');
        await bench.use('second');
        bench.exchange(older);
        expect(await bench.stageOutcome()).toMatch(REFUSED);
        expect(await bench.accept()).toMatch(/^5: aoe-csi: cannot accept the disk of e10\.1: the volume is published to node-1;/);
        const { publications } = await bench.lab.record('e10.1');
        await bench.setPublications([]);
        expect(await bench.accept()).toMatch(/^0: e10\.1: what node node-1 left there at .* is forgotten/);
        expect(await bench.fingerprint()).toBeUndefined();
        expect(await bench.accept()).toMatch(/^0: e10\.1: nothing was known/);
        await bench.setPublications(publications);
        expect(await bench.use('third')).toBe('first');
        expect(await bench.fingerprint()).toMatchObject({ nodeId: 'node-1' });
      });
    },
    TEST_MS,
  );

  testIf(
    [],
    'is compared for readers, too, who change nothing of what is known',
    async () => {
      await withBench('ext4', false, async (bench) => {
        await bench.use('first');
        const older = bench.keep('older');
        await bench.use('second');
        const latest = bench.keep('latest');
        const before = await bench.fingerprint();
        const accessMode = 'MULTI_NODE_READER_ONLY';
        await bench.setPublications([{ nodeId: 'node-1', readOnly: true, accessMode, epoch: 1 }]);
        const reader = bench.as(accessMode);
        bench.exchange(older);
        expect(await reader.stageOutcome()).toMatch(REFUSED);
        bench.exchange(latest);
        await reader.volume.stage();
        expect(await bench.fingerprint()).toEqual(before);
        await reader.volume.publish();
        expect(reader.volume.read()).toBe('second');
        await reader.leave();
        expect(await bench.fingerprint()).toEqual(before);
        expect(bench.isStill(latest)).toBe(true);
      });
    },
    TEST_MS,
  );

  testIf(
    [],
    'is unknown while it is in use, after its target died in use, and when the volume was taken from the node',
    async () => {
      await withBench('block', false, async (bench) => {
        const { lab, volume } = bench;
        await bench.use('first');
        expect(await bench.fingerprint()).toBeDefined();
        await volume.stage();
        expect(await bench.fingerprint()).toBeUndefined();
        await lab.stopTarget();
        await lab.initiator.must('detach', 'e10.1', '--force');
        await volume.unstage();
        expect(await bench.fingerprint()).toBeUndefined();
        await lab.startTarget();
        await bench.insistOnStage();
        const { publications } = await lab.record('e10.1');
        await bench.setPublications([]);
        await volume.unstage();
        expect(await bench.fingerprint()).toBeUndefined();
        await bench.setPublications(publications);
        expect(await bench.use('second')).toBe('first');
        expect(await bench.fingerprint()).toBeDefined();
      });
    },
    TEST_MS,
  );

  testIf(
    [],
    'is not wiped, until a person has accepted it',
    async () => {
      await withBench('block', false, async (bench) => {
        const { lab } = bench;
        await bench.use('ours');
        const stranger = bench.keep('stranger');
        write(stranger, 0, "somebody else's");
        bench.exchange(stranger);
        const { state, task } = await lab.release('e10.1');
        expect(state).toBe('Released');
        expect(task).toMatchObject({ state: 'failed', message: expect.stringContaining('its disk is not as it was left') });
        expect(bench.isStill(stranger)).toBe(true);
        expect(await bench.accept()).toMatch(/^0: /);
        expect(await lab.release('e10.1')).toMatchObject({ state: 'Available' });
        expect(statSync(lab.diskFile('e10.1')).size).toBe(SIZES.block);
        expect((await lab.record('e10.1')).claim).toBeUndefined();
      });
    },
    TEST_MS,
  );

  testIf(
    [command('nbdkit'), command('nbdfuse', 'libnbd-bin')],
    'is something else than a disk that can not be read',
    async () => {
      await withFailingDisk(8 * MIB, async (device, fail) => {
        const { sha256 } = await fingerprintOfDevice(device, device.sizeBytes, TEST_MS);
        expect(sha256).toMatch(/^[0-9a-f]{64}$/);
        fail();
        await expect(fingerprintOfDevice(device, device.sizeBytes, TEST_MS)).rejects.toMatchObject({ code: 'unavailable' });
        await expect(fingerprintOfDevice(device, device.sizeBytes, 0)).rejects.toMatchObject({ code: 'unavailable' });
      });
    },
    TEST_MS,
  );
});
