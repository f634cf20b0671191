import type { Core } from './core.ts';
import { STANDING_CONFLICT, STANDING_PROVEN } from './path.ts';
import { TARGET_DOWN, TARGET_FENCED, TARGET_MISMATCH, TARGET_UP, type Target, type TargetState } from './target.ts';

/** Keeps what people are told of a target: the state that follows from its paths, since when, and why. */
export class TargetStates {
  readonly #core: Core;

  constructor(core: Core) {
    this.#core = core;
  }

  /** Sets the state that follows from the paths' standing; true when it has just ceased to be up. */
  update(target: Target, nowUs: number): boolean {
    const { volume } = target;
    if (volume === undefined || !volume.ready || target.state === TARGET_FENCED) return false;
    const before = target.state;
    let proven = false;
    let conflict = false;
    for (const path of target.paths) {
      proven ||= path.standing === STANDING_PROVEN && path.port.up;
      conflict ||= path.standing === STANDING_CONFLICT && path.mac === target.owner;
    }
    if (proven) this.set(target, TARGET_UP, '', nowUs);
    else if (conflict) this.set(target, TARGET_MISMATCH, target.obstacle, nowUs);
    else this.set(target, TARGET_DOWN, downReason(target), nowUs);
    return before === TARGET_UP && !proven;
  }

  set(target: Target, state: TargetState, reason: string, nowUs: number): void {
    const before = target.state;
    target.state = state;
    target.reason = reason;
    if (state === TARGET_UP) {
      target.downSinceUs = Infinity;
      target.dead = false;
    } else if (state === TARGET_FENCED) {
      // For good, and told as such: deadSeconds has nothing to add.
      target.downSinceUs = Infinity;
    } else if (before === TARGET_UP && target.downSinceUs === Infinity) {
      target.downSinceUs = nowUs;
    }
    if (state === before) return;
    const because = reason === '' ? '' : `: ${reason}`;
    this.#core.events.notice('target-state', target.name, `${target.name} is ${state}${because} (was ${before})`);
  }
}

function downReason(target: Target): string {
  if (target.paths.length > 0 && target.paths.every((path) => !path.port.up)) return 'no interface it was seen on is up';
  return target.obstacle === '' ? 'it does not answer' : target.obstacle;
}
