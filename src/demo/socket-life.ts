import { join } from 'node:path';
import { hashFile, writeRandom, type ByteProgress } from './checked-files.ts';
import { aoeCsi, TARGET_NAME } from './commands.ts';
import { wholeBlocks, type Laboratory } from './laboratory.ts';
import { nbdcopy } from './nbdcopy.ts';
import { Phase } from './phase.ts';
import type { Life } from './volume-life.ts';

/** A life without a block device: nbdcopy writes to the volume's NBD server while the target is restarted, and reads it back. */
export async function liveOnSocket(laboratory: Laboratory): Promise<Life> {
  const { narrator, options, run, target, signal } = laboratory;
  const sizeBytes = wholeBlocks(options.sizeBytes);
  const [sent, received] = [join(run.folder, 'sent'), join(run.folder, 'received')];
  const showing =
    (what: string, phase?: Phase): ByteProgress =>
    (done) => {
      phase?.moved(done);
      narrator.progress(what, done, sizeBytes);
    };
  const checksum = await writeRandom(sent, sizeBytes, showing('making data'), signal);

  const uri = await attach(laboratory);
  const writing = new Phase();
  const show = showing('writing', writing);
  await nbdcopy(sent, uri, sizeBytes, (done) => {
    show(done);
    if (done >= sizeBytes / 2) target.outage.begin();
  });
  await target.outage.done();
  writing.end();
  narrator.say('nbdcopy wrote the volume, with a flush at the end');
  await detach(laboratory);

  const uriAgain = await attach(laboratory);
  const reading = new Phase();
  await nbdcopy(uriAgain, received, sizeBytes, showing('reading', reading));
  reading.end();
  const right = (await hashFile(received, sizeBytes, () => undefined, signal)) === checksum;
  narrator.say(right ? 'verified: the checksum is right' : 'DAMAGED: the checksum is wrong');
  await detach(laboratory);
  return { writing, reading, damaged: right ? [] : [TARGET_NAME] };
}

/** Attaches the target and returns the URI of its NBD server. */
async function attach({ run, narrator }: Laboratory): Promise<string> {
  const startedMs = performance.now();
  const socketPath = await aoeCsi(run, ['attach', TARGET_NAME]);
  narrator.say(`aoe-csi attach ${TARGET_NAME}: ${socketPath} (${Math.round(performance.now() - startedMs)} ms)`);
  return `nbd+unix:///${TARGET_NAME}?socket=${socketPath}`;
}

async function detach({ run, narrator }: Laboratory): Promise<void> {
  await aoeCsi(run, ['detach', TARGET_NAME]);
  narrator.say(`aoe-csi detach ${TARGET_NAME}`);
}
