import type { Exchanges } from './exchanges.ts';
import { DOUBT_IDLE, DOUBT_NONE, STANDING_IDENTIFIED, STANDING_PROVEN, STANDING_UNPROVEN, type Path } from './path.ts';
import type { Target } from './target.ts';

/**
 * The engine was not called for long (its process was stopped, or its machine had no time for it) and finds answers of long ago.
 * What targets said then about themselves says nothing of who is there now, so they are asked again before any I/O; and the time does
 * not count towards `deadSeconds`, because nobody has looked. A machine that slept is not noticed: its monotonic clock stood still, too.
 */
export function returnTo(target: Target, awayUs: number, exchanges: Exchanges, nowUs: number): void {
  target.downSinceUs += awayUs;
  for (const path of target.paths) askAnew(path, exchanges, nowUs);
}

function askAnew(path: Path, exchanges: Exchanges, nowUs: number): void {
  const { identify, probe } = path;
  if (path.standing === STANDING_PROVEN) {
    if (path.doubt === DOUBT_NONE) path.doubt = DOUBT_IDLE;
    // Asked as soon as I/O waits.
    exchanges.end(identify);
    return;
  }
  if (identify.idle && path.standing !== STANDING_IDENTIFIED) return;
  exchanges.end(identify);
  exchanges.end(probe);
  if (path.standing === STANDING_IDENTIFIED) path.standing = STANDING_UNPROVEN;
  identify.dueUs = nowUs;
}
