import { headerRanges, type Range } from '../format/places.ts';
import type { WipePolicy } from '../../volumes/parameter-table.ts';

/** Written at a time, between two looks at the progress. */
const STEP_BYTES = 64 * 1024 * 1024;

/** One thing to do to a range of the disk. */
export interface WipeStep extends Range {
  readonly action: 'zero' | 'discard';
}

/**
 * What a wipe does, in order, and in pieces that are done within moments. The same for the same disk: a wipe that was interrupted
 * goes on by the number of bytes that were done.
 */
export function wipePlan(policy: WipePolicy, sizeBytes: number): WipeStep[] {
  switch (policy) {
    case 'none':
      return [];
    case 'headers':
      return headerRanges(sizeBytes).flatMap((range) => pieces(range, 'zero'));
    case 'zero':
      return pieces({ startBytes: 0, lengthBytes: sizeBytes }, 'zero');
    case 'discard':
      // A discarded sector may read as anything: the headers are zeroed all the same.
      return [...pieces({ startBytes: 0, lengthBytes: sizeBytes }, 'discard'), ...wipePlan('headers', sizeBytes)];
  }
}

export function planBytes(plan: readonly WipeStep[]): number {
  return plan.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0);
}

/** What of a plan is left after `doneBytes`, which is where a step ends. */
export function remainingSteps(plan: readonly WipeStep[], doneBytes: number): WipeStep[] {
  let endBytes = 0;
  return plan.filter(({ lengthBytes }) => {
    endBytes += lengthBytes;
    return endBytes > doneBytes;
  });
}

function pieces({ startBytes, lengthBytes }: Range, action: WipeStep['action']): WipeStep[] {
  const stepBytes = action === 'discard' ? 16 * STEP_BYTES : STEP_BYTES;
  const count = Math.ceil(lengthBytes / stepBytes);
  return Array.from({ length: count }, (_, index) => ({
    action,
    startBytes: startBytes + index * stepBytes,
    lengthBytes: Math.min(stepBytes, lengthBytes - index * stepBytes),
  }));
}
