import { setTimeout as sleep } from 'node:timers/promises';
import { DirectoryStore } from '../embedded/directory-store.ts';
import { runProgram } from '../system/programs.ts';
import type { TargetRecord } from '../volumes/records.ts';
import { TARGET_NAME } from './commands.ts';
import type { Laboratory } from './laboratory.ts';

const WIPE_MS = 120_000;
const LOOK_MS = 20;
const BLKID_MS = 10_000;

/** Tells how the target's record goes on from Released, over Wiping, to Available: then anybody may have it. */
export async function watchWipe({ run, narrator, signal }: Laboratory): Promise<void> {
  const startedMs = performance.now();
  const store = await DirectoryStore.open(run.storeFolder);
  try {
    let told = '';
    for (;;) {
      const record = (await store.targets.get(TARGET_NAME))?.value;
      const now = record === undefined ? '' : describe(record);
      const sinceMs = performance.now() - startedMs;
      if (now !== told) narrator.say(`${TARGET_NAME}: ${now} (${Math.round(sinceMs)} ms)`);
      if (record?.state === 'Available') return;
      if (sinceMs > WIPE_MS) throw new Error(`${TARGET_NAME} is not free after ${WIPE_MS / 1000} s: ${now}`);
      told = now;
      await sleep(LOOK_MS, undefined, { signal });
    }
  } finally {
    await store.close();
  }
}

function describe({ state, task }: TargetRecord): string {
  if (task === undefined || task.totalBytes === 0) return state;
  const failure = task.message === '' ? '' : `: ${task.message}`;
  return `${state}, ${Math.floor((100 * task.doneBytes) / task.totalBytes)} % of ${(task.totalBytes / 1e6).toFixed(1)} MB${failure}`;
}

/** What blkid recognizes on a disk, e.g. `ext4`; '' when there is nothing. */
export async function signatureOn(disk: string): Promise<string> {
  const answer = await runProgram('blkid', ['--probe', '--output', 'value', '--match-tag', 'TYPE', disk], BLKID_MS).catch(
    // It ends with 2 when it finds nothing, and says nothing either.
    () => '',
  );
  return answer.trim();
}
