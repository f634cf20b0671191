import { InvalidArgumentError, Option } from 'commander';
import { executeAgain } from '../system/execute-again.ts';
import { becomeIoFlusher, isIoFlusher } from '../system/io-flusher.ts';
import { lockProgramText } from '../system/memory-lock.ts';
import { lowerOomScore, OOM_SCORE_ADJ_MAX, OOM_SCORE_ADJ_MIN } from '../system/oom-score.ts';

/**
 * A process that serves block devices must not wait for them: neither its memory allocations, nor its code, nor its log. Each protection
 * is worth having alone, so what this machine does not allow is warned of and done without.
 */

/** After the kubelet (-999), which would start this process again; before everything that uses it. */
const OOM_SCORE_ADJ_DEFAULT = -998;

export interface ProtectionOptions {
  readonly ioFlusher: boolean;
  readonly lockMemory: boolean;
  readonly oomScoreAdj: number;
}

export function protectionOptions(): Option[] {
  return [
    new Option('--no-io-flusher', 'let memory allocations wait for block devices, also for its own').env('AOE_CSI_NO_IO_FLUSHER'),
    new Option('--no-lock-memory', "let the program's code and buffers be paged out").env('AOE_CSI_NO_LOCK_MEMORY'),
    new Option('--oom-score-adj <score>', 'lower oom_score_adj to this, so that the kernel ends others before it')
      .env('AOE_CSI_OOM_SCORE_ADJ')
      .argParser(parseScore)
      .default(OOM_SCORE_ADJ_DEFAULT),
  ];
}

/**
 * Protects this process, and the threads and processes that it will start. May start the program anew to do that, in this process: Node
 * has threads already that nothing can be set for any more. So it comes first, before there is anything to lose.
 *
 * @returns what can't be done here and what that takes, a sentence each
 */
export function protectProcess({ ioFlusher, oomScoreAdj }: ProtectionOptions): string[] {
  return [
    ...failureOf(() => lowerOomScore(oomScoreAdj)),
    ...failureOf(() => {
      if (!ioFlusher || isIoFlusher()) return;
      becomeIoFlusher();
      executeAgain();
    }),
  ];
}

/** Keeps the code of this process in memory, when all of it has been loaded. Returns what can't be done, as above. */
export function protectCode({ lockMemory }: ProtectionOptions): string[] {
  return failureOf(() => {
    if (lockMemory) lockProgramText();
  });
}

function failureOf(attempt: () => void): string[] {
  try {
    attempt();
    return [];
  } catch (error) {
    return [(error as Error).message];
  }
}

function parseScore(text: string): number {
  const score = Number(text);
  if (!/^-?\d+$/.test(text) || score < OOM_SCORE_ADJ_MIN || score > OOM_SCORE_ADJ_MAX)
    throw new InvalidArgumentError(`Give a whole number from ${OOM_SCORE_ADJ_MIN} to ${OOM_SCORE_ADJ_MAX}.`);
  return score;
}
