import type { EngineEvents } from './events.ts';
import type { Target } from './target.ts';

/** Told once for announcements that come in a row; each of them is acted upon. */
export function tellAnnounced({ name }: Target, events: EngineEvents): void {
  events.notice('target-announced', name, `${name} announced itself: checking its identity before I/O goes on`);
}

/**
 * A target has said that it has started, or has moved: what it had acknowledged and not flushed may be gone. Writes under way are done
 * again (`Target.starts`); of those that are acknowledged nobody has the data any more, so they are counted and told.
 */
export function startedAnew(target: Target, events: EngineEvents): void {
  const { volume } = target;
  target.starts++;
  if (volume?.ready !== true || volume.writesDone === volume.writesFlushed) return;
  const writes = volume.writesDone - volume.writesFlushed;
  volume.unflushedRestarts++;
  volume.unflushedWrites += writes;
  volume.writesFlushed = volume.writesDone;
  events.notice(
    'durability',
    target.name,
    `${target.name} has started anew or moved, and ${String(writes)} acknowledged writes had not been flushed before: if its machine ` +
      `lost power or crashed, some of them may be lost, and the file system should be checked; if only its program was started ` +
      `again, they are most likely there`,
  );
}
