import { COPY_IN_FLIGHT, NO_COPY } from '../../src/aoe/copies.ts';
import type { Engine } from '../../src/aoe/engine.ts';
import { FRAGMENT_SENT } from '../../src/aoe/fragment.ts';
import type { Path } from '../../src/aoe/path.ts';
import { STANDING_PROVEN } from '../../src/aoe/path.ts';
import type { Target } from '../../src/aoe/target.ts';
import { Violation } from './ledger.ts';

/** Numbers of the last frame sent per path, as of the last check. */
const lastSequence = new WeakMap<Path, number>();

/** What must be true of the engine after every turn. */
export function checkEngine(engine: Engine, nowUs: number): void {
  for (const target of engine.targets()) checkTarget(engine, target, nowUs);
}

function checkTarget(engine: Engine, target: Target, nowUs: number): void {
  let inFlight = 0;
  let sent = false;
  for (const path of target.paths) {
    inFlight += path.inFlight;
    sent = checkPath(engine, path, nowUs) || sent;
  }
  if (inFlight !== target.inFlight) {
    throw new Violation(`${target.name}: ${target.inFlight} frames in flight, but its paths have ${inFlight}`);
  }
  const { volume } = target;
  if (!sent || volume === undefined) return;
  const limit = Math.min(Math.max(target.bufferCount, 1), volume.options.maxOutstanding);
  if (inFlight > limit) throw new Violation(`${target.name}: ${inFlight} frames in flight, at most ${limit} are allowed`);
}

/** Answers whether frames of I/O have been sent on the path since the last check. */
function checkPath(engine: Engine, path: Path, nowUs: number): boolean {
  const { copies } = engine;
  const name = `${path.target.name} on ${path.port.name}`;
  let listed = 0;
  let previous = NO_COPY;
  for (let copy = path.head; copy !== NO_COPY; copy = copies.next[copy]) {
    if (++listed > path.inFlight) break;
    if (copies.state[copy] !== COPY_IN_FLIGHT) throw new Violation(`${name}: copy ${copy} in the list is not in flight`);
    if (copies.previous[copy] !== previous) throw new Violation(`${name}: the list is broken at copy ${copy}`);
    if (copies.fragment[copy]?.state !== FRAGMENT_SENT)
      throw new Violation(`${name}: copy ${copy} has no fragment that was sent`);
    if (previous !== NO_COPY && copies.sequence[previous] >= copies.sequence[copy])
      throw new Violation(`${name}: the list is out of order`);
    if (copies.sentUs[copy] > nowUs) throw new Violation(`${name}: copy ${copy} was sent in the future`);
    previous = copy;
  }
  if (listed !== path.inFlight || path.tail !== previous) {
    throw new Violation(`${name}: ${path.inFlight} frames in flight, but the list has ${listed}`);
  }
  const sent = path.sequence !== (lastSequence.get(path) ?? 0);
  lastSequence.set(path, path.sequence);
  if (!sent) return false;
  if (path.standing !== STANDING_PROVEN) throw new Violation(`${name}: I/O was sent although the path is not proven`);
  // One more may go beside a frame that has gone unanswered: it tells whether the target is silent, or slow at that.
  if (path.inFlight > Math.max(path.window.size, 2))
    throw new Violation(`${name}: ${path.inFlight} frames in flight, window ${path.window.size}`);
  return true;
}
