import { join } from 'node:path';
import { hashFile, writeRandom, type ByteProgress } from './checked-files.ts';
import { TARGET_NAME } from './commands.ts';
import type { Laboratory } from './laboratory.ts';
import { nbdcopy } from './nbdcopy.ts';
import { Phase } from './phase.ts';
import type { Life } from './volume-life.ts';

/** A life without a block device: nbdcopy writes to the volume's NBD server while the target is restarted, and reads it back. */
export async function liveOnSocket(laboratory: Laboratory, signal: AbortSignal): Promise<Life> {
  const { narrator, options, run } = laboratory;
  const { sizeBytes } = options;
  const [sent, received] = [join(run.folder, 'sent'), join(run.folder, 'received')];
  const showing =
    (what: string, phase?: Phase): ByteProgress =>
    (done) => {
      phase?.moved(done);
      narrator.progress(what, done, sizeBytes);
    };
  const checksum = await writeRandom(sent, sizeBytes, showing('making data'), signal);

  const uri = uriOf(await laboratory.attach());
  const writing = new Phase();
  const show = showing('writing', writing);
  await nbdcopy(sent, uri, sizeBytes, (done) => {
    show(done);
    if (done >= sizeBytes / 2) laboratory.restartTargetOnce(signal);
  });
  await laboratory.restarted;
  writing.end();
  narrator.say('nbdcopy wrote the volume, with a flush at the end');
  await laboratory.detach();

  const uriAgain = uriOf(await laboratory.attach());
  const reading = new Phase();
  await nbdcopy(uriAgain, received, sizeBytes, showing('reading', reading));
  reading.end();
  const right = (await hashFile(received, sizeBytes, () => undefined, signal)) === checksum;
  narrator.say(right ? 'verified: the checksum is right' : 'DAMAGED: the checksum is wrong');
  await laboratory.detach();
  return { writing, reading, damaged: right ? [] : [TARGET_NAME] };
}

function uriOf(socketPath: string): string {
  return `nbd+unix:///${TARGET_NAME}?socket=${socketPath}`;
}
