import { setTimeout as sleep } from 'node:timers/promises';

const FIRST_MS = 5;
const LONGEST_MS = 100;

/** Waits until `condition` holds, looking again at growing intervals. Answers whether it does, when `timeoutMs` are over. */
export async function waitUntil(condition: () => boolean, timeoutMs: number): Promise<boolean> {
  const end = performance.now() + timeoutMs;
  for (let pauseMs = FIRST_MS; !condition(); pauseMs = Math.min(pauseMs * 2, LONGEST_MS)) {
    if (performance.now() >= end) return false;
    await sleep(pauseMs);
  }
  return true;
}
