import type { NodeRecord } from './records.ts';

/** A node says so often that it lives: often enough to be missed soon, seldom enough for a thousand nodes to write it. */
export const NODE_HEARTBEAT_MS = 60_000;
/** A node that has said nothing for so long is not asked to do anything, and what it saw is not believed: two beats and a half. */
export const NODE_SILENT_MS = 150_000;

/** Whether a node can be counted on at `nowMs`, milliseconds since 1970. A clock that is ahead of ours is no sign of death. */
export function isAlive(node: NodeRecord, nowMs: number): boolean {
  return nowMs - node.aliveAtMs < NODE_SILENT_MS;
}
