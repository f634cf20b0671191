import { formatMac } from './address.ts';
import type { Core } from './core.ts';
import type { Identity } from './identify.ts';
import { describeIdentity, identityMismatch, isSameDisk, type DiskIdentity } from './identity.ts';
import { MAC_GONE_US } from './limits.ts';
import { DOUBT_SILENT, STANDING_CONFLICT, STANDING_PROVEN, type Path } from './path.ts';
import type { Target } from './target.ts';

/** The disk is the volume's, on the MAC that takes I/O. */
export const ADMITTED = 0;
/** Another MAC than the one that takes I/O, or another disk there: of no use now. */
export const STRANGER = 1;
/** Another disk than the volume's, on the MAC that takes I/O. */
export const MISMATCH = 2;

export type Verdict = typeof ADMITTED | typeof STRANGER | typeof MISMATCH;

/**
 * Judges who may take a volume's I/O by what he says about himself. One MAC does: two that answer at one address may be ports of one
 * target, or two disks that somebody gave the same address, and writing to both would ruin them.
 */
export class Admission {
  readonly #core: Core;

  constructor(core: Core) {
    this.#core = core;
  }

  /** A path of a target with a volume says that its disk is `identity`. */
  judge(path: Path, identity: Identity, nowUs: number): Verdict {
    const { target } = path;
    // Nobody has used the volume yet: whoever answers first is as good as one that has gone silent meanwhile.
    if (target.volume?.ready !== true && !ownerWorks(target)) target.owner = undefined;
    const mismatch = mismatchOf(target, identity);
    if (target.owner === undefined && mismatch === undefined) return ADMITTED;
    if (target.owner !== undefined && target.owner !== path.mac && !this.#succeeds(path, identity, mismatch)) return STRANGER;
    target.owner = path.mac;
    if (mismatch !== undefined) {
      this.#refuse(path, mismatch);
      return MISMATCH;
    }
    target.identifiedUs = nowUs;
    this.#resized(target, identity);
    return ADMITTED;
  }

  /** A path that was admitted works. The first one's MAC takes the volume's I/O: answers whether it is the path's. */
  takes({ target, mac, found }: Path): boolean {
    if (target.owner !== undefined && target.owner !== mac) return false;
    if (target.owner === undefined || target.identity === undefined) {
      target.owner = mac;
      target.identity = found;
      // In use before its target could say what it can do.
      if (target.volume?.ready === true && found !== undefined) target.volume.fit(found);
    }
    return true;
  }

  /** A second MAC answers. It takes over only when the first is silent, and only as the same disk. */
  #succeeds(path: Path, identity: Identity, mismatch: string | undefined): boolean {
    const { target } = path;
    const same = mismatch === undefined;
    if (same && !ownerWorks(target)) return true;
    if (!path.reported) {
      path.reported = true;
      const owner = target.owner === undefined ? 'none' : formatMac(target.owner);
      this.#core.events.notice(
        'conflict',
        target.name,
        `a second MAC answers as ${target.name}: ${formatMac(path.mac)} on ${path.port.name} (${describeIdentity(identity)}). ` +
          `It is not used while ${owner} answers. Unless both are ports of one target, give one of them another address`,
      );
    }
    if (!same) path.standing = STANDING_CONFLICT;
    return false;
  }

  #refuse(path: Path, mismatch: string): void {
    const { target } = path;
    target.obstacle = mismatch;
    if (path.standing === STANDING_CONFLICT) return;
    path.standing = STANDING_CONFLICT;
    this.#core.events.notice(
      'identity-mismatch',
      target.name,
      `${target.name} on ${path.port.name} (${formatMac(path.mac)}) is not the disk that was attached: ${mismatch}. I/O is held ` +
        `until the right disk is back; detach the volume if it never will be`,
    );
  }

  #resized(target: Target, identity: Identity): void {
    const before = target.identity?.sectors;
    if (before === undefined || before === identity.sectors) return;
    target.identity = identity;
    if (target.volume?.ready !== true || identity.sectors < before) return;
    this.#core.events.notice(
      'size-changed',
      target.name,
      `${target.name} has grown to ${String(identity.sectors)} sectors; the volume keeps ${String(target.volume.sectors)} until it is expanded`,
    );
  }
}

/** Why the disk is not the volume's, or undefined when it may be. */
function mismatchOf(target: Target, identity: Identity): string | undefined {
  const expected = expectedOf(target);
  return expected === undefined ? undefined : identityMismatch(expected, identity);
}

/** The volume, however large its target has been meanwhile; before that is known, what the owner has said. */
function expectedOf({ volume, owner, identity }: Target): DiskIdentity | undefined {
  if (volume?.isKnown === true) return volume;
  return owner === undefined ? undefined : identity;
}

/**
 * A path of a target that nobody uses says what its disk is. As long as another MAC has another disk at this address, that one is the
 * target's.
 */
export function learn(path: Path, identity: Identity, nowUs: number): void {
  const { target } = path;
  path.found = isBesideAnother(path, identity, nowUs) ? undefined : identity;
  target.identity = path.found ?? target.identity;
}

/** The target's MAC of this path may have another disk now: what was found there, on whatever interface, counts no more. */
export function forget({ target, mac }: Path): void {
  for (const path of target.paths) if (path.mac === mac) path.found = undefined;
}

function isBesideAnother({ target, mac }: Path, identity: Identity, nowUs: number): boolean {
  if (target.identity === undefined || isSameDisk(target.identity, identity)) return false;
  return target.paths.some((path) => path.mac !== mac && path.found !== undefined && nowUs - path.seenUs <= MAC_GONE_US);
}

/** Some path through the MAC that takes I/O works. */
export function ownerWorks(target: Target): boolean {
  return target.paths.some(
    ({ mac, standing, doubt, port }) => mac === target.owner && standing === STANDING_PROVEN && doubt !== DOUBT_SILENT && port.up,
  );
}
