import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { runProgram } from '../system/programs.ts';
import { hashFile, writeRandom } from './checked-files.ts';
import { TARGET_NAME } from './commands.ts';
import type { Laboratory } from './laboratory.ts';
import { Phase } from './phase.ts';
import type { Life } from './volume-life.ts';

const COPY_MS = 90_000;
const LOOK_MS = 200;
/** The target goes away this long after the copy has begun. */
const BEFORE_RESTART_MS = 200;

/** A life without a block device: nbdcopy writes to the volume's NBD server while the target is restarted, and reads it back. */
export async function liveOnSocket(laboratory: Laboratory, signal: AbortSignal): Promise<Life> {
  const { narrator, options, run } = laboratory;
  const { sizeBytes } = options;
  const [sent, received] = [join(run.folder, 'sent'), join(run.folder, 'received')];
  const checksum = await writeRandom(sent, sizeBytes, (done) => narrator.progress('making data', done, sizeBytes), signal);

  const uri = uriOf(await laboratory.attach());
  const writing = new Phase();
  const copied = runProgram('nbdcopy', ['--flush', sent, uri], COPY_MS);
  const restarted = sleep(BEFORE_RESTART_MS).then(async () => laboratory.restartTarget());
  await Promise.all([copied.then(() => writing.moved(sizeBytes)), restarted]);
  writing.end();
  narrator.say('nbdcopy wrote the volume, with a flush at the end');
  await laboratory.detach();

  const uriAgain = uriOf(await laboratory.attach());
  const reading = new Phase();
  const watch = setInterval(() => void stat(received).then(({ size }) => narrator.progress('reading', size, sizeBytes)), LOOK_MS);
  try {
    await runProgram('nbdcopy', [uriAgain, received], COPY_MS);
  } finally {
    clearInterval(watch);
  }
  reading.moved(sizeBytes);
  reading.end();
  const right = (await hashFile(received, () => undefined, signal)) === checksum;
  narrator.say(right ? 'verified: the checksum is right' : 'DAMAGED: the checksum is wrong');
  await laboratory.detach();
  return { writing, reading, damaged: right ? [] : [TARGET_NAME] };
}

function uriOf(socketPath: string): string {
  return `nbd+unix:///${TARGET_NAME}?socket=${socketPath}`;
}
