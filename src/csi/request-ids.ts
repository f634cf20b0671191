import { randomBytes } from 'node:crypto';

/** Names for calls: `7f3a9c-1`, `7f3a9c-2`, … The first part is the process', so that the logs of two don't mix. */
export function requestIds(): () => string {
  const prefix = randomBytes(3).toString('hex');
  let count = 0;
  return () => `${prefix}-${++count}`;
}
