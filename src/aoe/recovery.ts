import { OP_TRIM, OP_WRITE, type RequestOwner } from '../block/request.ts';
import type { Core } from './core.ts';
import { COPY_IN_FLIGHT, COPY_LOST, COPY_ZOMBIE, NO_COPY } from './copies.ts';
import { FRAGMENT_RESEND, isSlow, type Fragment } from './fragment.ts';
import {
  COPIES_PER_FRAGMENT_MAX,
  LARGE_LOSSES_UNTIL_STEP_DOWN,
  RTO_CEILING_US,
  SECTORS_UNPROVEN,
  SLOW_COMMAND_US,
} from './limits.ts';
import type { Path } from './path.ts';
import type { Target } from './target.ts';

/** What a path did that its health machine must know. */
export interface PathWatcher {
  /** Frames ran out of time, and none sent since has been answered. */
  silent(path: Path, nowUs: number): void;
  /** Large frames are lost again and again. */
  largeFramesLost(path: Path, nowUs: number): void;
}

/**
 * Keeps the lists of frames that are waited for, and finds those that are lost: overtaken by three later answers, or out of time.
 * A lost frame's fragment is queued to be sent again under a new tag; the old tag stays known, so a late answer still counts.
 */
export class Recovery {
  readonly #core: Core;
  #watcher: PathWatcher | undefined;
  /** Time of the input that is being worked on. */
  nowUs = 0;

  constructor(core: Core) {
    this.#core = core;
  }

  watch(watcher: PathWatcher): void {
    this.#watcher = watcher;
  }

  /** A copy of `fragment` goes out on `path`. */
  link(path: Path, copy: number, fragment: Fragment, nowUs: number): void {
    const { copies } = this.#core;
    copies.state[copy] = COPY_IN_FLIGHT;
    copies.fragment[copy] = fragment;
    copies.path[copy] = path;
    copies.sentUs[copy] = nowUs;
    copies.sequence[copy] = ++path.sequence;
    copies.older[copy] = fragment.copies;
    fragment.copies = copy;
    if (++fragment.copyCount > COPIES_PER_FRAGMENT_MAX) this.#dropOne(fragment, path.target, nowUs);
    copies.next[copy] = NO_COPY;
    copies.previous[copy] = path.tail;
    if (path.tail === NO_COPY) path.head = copy;
    else copies.next[path.tail] = copy;
    path.tail = copy;
    path.inFlight++;
    path.target.inFlight++;
  }

  /** The copy is no longer waited for; no answer may be received into its memory any more. */
  unlink(path: Path, copy: number): void {
    const { copies, placement } = this.#core;
    const next = copies.next[copy];
    const previous = copies.previous[copy];
    if (previous === NO_COPY) path.head = next;
    else copies.next[previous] = next;
    if (next === NO_COPY) path.tail = previous;
    else copies.previous[next] = previous;
    path.inFlight--;
    path.target.inFlight--;
    placement.withdraw(copy);
  }

  /**
   * After an answer on `path`: frames that have been overtaken are lost. That is believed once of each; a frame whose second copy is
   * overtaken too is more likely a slow one, and many copies of it would only fill the target's queue.
   */
  findOvertaken(path: Path): void {
    const { copies } = this.#core;
    const { lostBelow } = path;
    let large = false;
    for (let copy = path.head; copy !== NO_COPY && copies.sequence[copy] < lostBelow;) {
      const next = copies.next[copy];
      const fragment = copies.fragment[copy];
      if (fragment?.losses === 0 && !isSlow(fragment)) {
        this.#charge(path, copy);
        large = this.#lose(path, copy, fragment) || large;
      }
      copy = next;
    }
    if (large) this.#watcher?.largeFramesLost(path, this.nowUs);
  }

  /** Frames of `path` that are out of time are lost. */
  findTimedOut(path: Path, nowUs: number): void {
    const { copies } = this.#core;
    const inFlight = path.inFlight;
    let large = false;
    let silent = false;
    for (let copy = path.head; copy !== NO_COPY && copies.sentUs[copy] + path.roundTrip.timeoutUs <= nowUs;) {
      const next = copies.next[copy];
      const fragment = copies.fragment[copy];
      if (fragment !== undefined && copies.sentUs[copy] + patienceUs(path, fragment) <= nowUs) {
        if (path.hasAnsweredSince(copies.sequence[copy])) this.#charge(path, copy);
        else silent = true;
        large = this.#lose(path, copy, fragment) || large;
      }
      copy = next;
    }
    if (path.inFlight === inFlight) return;
    path.timedOut();
    if (silent) {
      if (path.roundTrip.silences++ === 0) path.window.timedOut(inFlight);
      path.recovery = path.sequence;
    }
    if (large) this.#watcher?.largeFramesLost(path, nowUs);
    if (silent) this.#watcher?.silent(path, nowUs);
  }

  /** When the next frame of `path` runs out of time. */
  nextUs(path: Path): number {
    const { copies } = this.#core;
    let dueUs = Infinity;
    for (let copy = path.head; copy !== NO_COPY; copy = copies.next[copy]) {
      const fragment = copies.fragment[copy];
      if (fragment === undefined) continue;
      dueUs = Math.min(dueUs, copies.sentUs[copy] + patienceUs(path, fragment));
      // Later ones were sent later, and are not waited for less long.
      if (fragment.losses === 0 && !isSlow(fragment)) break;
    }
    return dueUs;
  }

  /** The first loss in a window of frames makes that smaller. */
  #charge(path: Path, copy: number): void {
    const { copies } = this.#core;
    if (copies.sequence[copy] <= path.recovery || (copies.fragment[copy]?.losses ?? 0) > 0) return;
    path.recovery = path.sequence;
    path.window.lost();
  }

  /** Answers whether it was a large frame that got lost again, while its path still sends such frames. */
  #lose(path: Path, copy: number, fragment: Fragment): boolean {
    fragment.losses++;
    this.markLost(path, copy);
    if (isSlow(fragment) || fragment.sectors <= SECTORS_UNPROVEN || fragment.sectors > path.sectorsMax) return false;
    return fragment.losses >= LARGE_LOSSES_UNTIL_STEP_DOWN;
  }

  markLost(path: Path, copy: number): void {
    const { copies } = this.#core;
    this.unlink(path, copy);
    copies.state[copy] = COPY_LOST;
    const fragment = copies.fragment[copy];
    if (fragment === undefined) return;
    fragment.state = FRAGMENT_RESEND;
    path.target.ready.push(fragment);
  }

  /** Everything under way on `path` is taken for lost, without blame: the target restarted, or the interface went down. */
  loseAll(path: Path): void {
    while (path.head !== NO_COPY) this.markLost(path, path.head);
  }

  /** The same for what one owner has under way. */
  loseThoseOf(path: Path, owner: RequestOwner): void {
    const { copies } = this.#core;
    for (let copy = path.head; copy !== NO_COPY;) {
      const next = copies.next[copy];
      if (copies.fragment[copy]?.request?.owner === owner) this.markLost(path, copy);
      copy = next;
    }
  }

  /**
   * Ends all copies of a fragment. `answered` (or NO_COPY) has run, so it is forgotten. Other copies of writes may still arrive and
   * are kept as late writes.
   */
  retireCopies(fragment: Fragment, target: Target, answered: number, nowUs: number): void {
    const { copies } = this.#core;
    let copy = fragment.copies;
    fragment.copies = NO_COPY;
    fragment.copyCount = 0;
    while (copy !== NO_COPY) {
      const older = copies.older[copy];
      const path = copies.path[copy];
      if (copies.state[copy] === COPY_IN_FLIGHT && path !== undefined) this.unlink(path, copy);
      this.#end(fragment, target, copy, copy === answered, nowUs);
      copy = older;
    }
  }

  #end(fragment: Fragment, target: Target, copy: number, answered: boolean, nowUs: number): void {
    const { copies, lateWrites } = this.#core;
    if (copies.state[copy] === COPY_ZOMBIE) return;
    if (!answered && (fragment.op === OP_WRITE || fragment.op === OP_TRIM)) {
      lateWrites.add(target, copy, fragment.lba, fragment.sectors, nowUs);
    } else {
      copies.free(copy);
    }
  }

  /**
   * Too many copies of one fragment: an old one is no longer accepted as an answer, but may still count as a late write. It is not the
   * oldest, as long as that may be answered: a disk that does what it is asked of one sector in turn comes to that copy first, and would
   * otherwise come to each one just too late.
   */
  #dropOne(fragment: Fragment, target: Target, nowUs: number): void {
    const { older, path, sequence } = this.#core.copies;
    let third = fragment.copies;
    while (older[older[older[third]]] !== NO_COPY) third = older[third];
    const second = older[third];
    const oldest = older[second];
    const keepsOldest = path[oldest]?.usable === true && path[oldest].trusts(sequence[oldest]);
    if (keepsOldest) older[third] = oldest;
    else older[second] = NO_COPY;
    fragment.copyCount--;
    this.#end(fragment, target, keepsOldest ? second : oldest, false, nowUs);
  }

  /** Takes one copy out of its fragment's chain: it has been answered, and the fragment goes on without it. */
  forgetCopy(fragment: Fragment, copy: number): void {
    const { copies } = this.#core;
    if (copies.state[copy] === COPY_IN_FLIGHT) {
      const path = copies.path[copy];
      if (path !== undefined) this.unlink(path, copy);
    }
    if (fragment.copies === copy) {
      fragment.copies = copies.older[copy];
    } else {
      let newer = fragment.copies;
      while (copies.older[newer] !== copy) newer = copies.older[newer];
      copies.older[newer] = copies.older[copy];
    }
    fragment.copyCount--;
    copies.free(copy);
  }
}

/** How long a copy of the fragment is waited for: twice as long after each loss. */
function patienceUs(path: Path, fragment: Fragment): number {
  const { timeoutUs } = path.roundTrip;
  const firstUs = isSlow(fragment) && timeoutUs < SLOW_COMMAND_US ? SLOW_COMMAND_US : timeoutUs;
  return Math.min(firstUs * 2 ** fragment.losses, RTO_CEILING_US);
}
