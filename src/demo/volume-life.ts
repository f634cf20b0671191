import { findDamaged, writeFiles } from './checked-files.ts';
import { CsiVolume } from './csi-volume.ts';
import { wholeBlocks, type Laboratory } from './laboratory.ts';
import { Orchestrator } from './orchestrator.ts';
import { Phase } from './phase.ts';
import { Plugins } from './plugins.ts';
import { signatureOn, watchWipe } from './wipe.ts';

/** What came of a life. */
export interface Life {
  readonly writing: Phase;
  readonly reading: Phase;
  /** What is not as it was written; empty = all is well. */
  readonly damaged: readonly string[];
}

/** How much larger the target becomes while the volume is in use. */
const GROWTH = 1.5;

/**
 * A volume's whole life, as an orchestrator leads it over CSI: made, brought to a pod, written while the target and then the node
 * plugin are killed, expanded, taken away, brought back, verified, deleted, wiped.
 */
export async function liveWithFileSystem(laboratory: Laboratory): Promise<Life> {
  const { narrator, target, run, diskBytes, signal } = laboratory;
  const { sizeBytes } = laboratory.options;
  const orchestrator = new Orchestrator(laboratory);
  const plugins = await Plugins.start(laboratory, orchestrator);
  const volume = await CsiVolume.create(laboratory, orchestrator, 'demo', diskBytes);
  await volume.controllerPublish();
  await volume.nodeStage();
  await volume.nodePublish();

  const writing = new Phase();
  const files = await writeFiles(
    run.targetPath,
    sizeBytes,
    (done) => {
      writing.moved(done);
      narrator.progress('writing', done, sizeBytes);
      if (done >= sizeBytes / 3) target.outage.begin();
      if (done >= (sizeBytes * 2) / 3) plugins.nodeRestart.begin();
    },
    signal,
  );
  await target.outage.done();
  writing.end();
  await plugins.nodeRestart.done();
  narrator.say(`wrote ${files.length} files, fsync after each`);
  const formerBytes = await volume.nodeGetStats();

  const largerBytes = wholeBlocks(diskBytes * GROWTH);
  await target.grow(largerBytes);
  await volume.controllerExpand(largerBytes);
  const isExpanded = await volume.nodeExpand(largerBytes);
  if (isExpanded) requireLarger(await volume.nodeGetStats(), formerBytes);

  await volume.nodeUnpublish();
  await volume.nodeUnstage();
  await volume.controllerUnpublish();

  // A new device: nothing of it is in any cache.
  await volume.controllerPublish();
  await volume.nodeStage();
  await volume.nodePublish();
  requireLarger(await volume.nodeGetStats(), formerBytes);
  const reading = new Phase();
  const damaged = await findDamaged(
    files,
    (done) => {
      reading.moved(done);
      narrator.progress('verifying', done, sizeBytes);
    },
    signal,
  );
  reading.end();
  narrator.say(damaged.length === 0 ? `verified: all ${files.length} checksums are right` : `DAMAGED: ${damaged.join(', ')}`);

  await volume.nodeUnpublish();
  await volume.nodeUnstage();
  await volume.controllerUnpublish();
  const before = await signatureOn(target.disk);
  await volume.delete();
  await watchWipe(laboratory);
  const after = await signatureOn(target.disk);
  if (before === '' || after !== '')
    throw new Error(`blkid found '${before}' on the disk before the wipe, and '${after}' after it`);
  narrator.say(`wiped: blkid found ${before} on the disk before, and finds nothing now`);
  return { writing, reading, damaged };
}

function requireLarger(sizeBytes: number, beforeBytes: number): void {
  if (sizeBytes > beforeBytes) return;
  throw new Error(`the file system was expanded, but has ${sizeBytes} bytes where it had ${beforeBytes}`);
}
