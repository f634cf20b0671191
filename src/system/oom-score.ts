import { readFileSync, writeFileSync } from 'node:fs';

const OOM_SCORE_ADJ = '/proc/self/oom_score_adj';
export const OOM_SCORE_ADJ_MIN = -1_000;
export const OOM_SCORE_ADJ_MAX = 1_000;

/**
 * Makes this process, and those that it starts, less likely to be chosen when the kernel must kill one for its memory (proc(5),
 * oom_score_adj). Never makes it more likely. Throws Error with what is missing.
 */
export function lowerOomScore(wanted: number): void {
  const present = Number(readFileSync(OOM_SCORE_ADJ, 'utf8'));
  if (present <= wanted) return;
  try {
    writeFileSync(OOM_SCORE_ADJ, String(wanted));
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const advice = code === 'EACCES' ? 'give it the capability CAP_SYS_RESOURCE' : message;
    const failure = `cannot lower this process' oom_score_adj from ${present} to ${wanted}: ${code ?? 'failed'}; ${advice}`;
    throw new Error(failure, { cause: error });
  }
}
