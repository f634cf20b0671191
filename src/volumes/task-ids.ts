import type { TaskRecord } from './records.ts';

/**
 * A task's id says what it is for: whoever is asked for the same thing again knows its task, and who carries it out knows that it is
 * still the same.
 *
 * ```
 * claim:<claim>   wipe:<claim>   fence:<epoch of the publication that is to end>:<node id>
 * ```
 */
export function claimTaskId(claim: string): string {
  return `claim:${claim}`;
}

export function wipeTaskId(claim: string): string {
  return `wipe:${claim}`;
}

export function fenceTaskId(fencedNodeId: string, epoch: number): string {
  return `fence:${epoch}:${fencedNodeId}`;
}

/** Node ids are any text. */
const FENCE = /^fence:\d+:(.+)$/s;

/** The node that a fence task is against; undefined for other tasks. It must not be the one that does it. */
export function fencedNodeOf({ id }: TaskRecord): string | undefined {
  return FENCE.exec(id)?.[1];
}
