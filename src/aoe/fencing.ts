import { STATUS_FENCED } from '../block/status.ts';
import { formatMac } from './address.ts';
import { RESERVE_READ } from './constants.ts';
import type { Attachments } from './attachments.ts';
import type { Core } from './core.ts';
import type { RefusalListener } from './health-listeners.ts';
import { COMMAND_LONGEST_US, RESUME_US } from './limits.ts';
import type { PathHealth } from './path-health.ts';
import type { Path } from './path.ts';
import type { Recovery } from './recovery.ts';
import type { Replies } from './replies.ts';
import type { CommandAnswer, TargetCommands } from './target-commands.ts';
import { TARGET_FENCED, type Target } from './target.ts';

/** A target says for whom it is reserved by then. One that does not, but goes on refusing, means others. */
const ASK_US = 5 * COMMAND_LONGEST_US;

/**
 * What becomes of a volume whose target refuses I/O as reserved (AoE error 6). A reservation names MACs, and this node's may have
 * changed since: so the target is asked for whom it is reserved. As long as a MAC of ours is among them only the path is of no use,
 * and I/O goes on through the others or waits. When there is none, this node is fenced. So is a volume that is taken up again after
 * another process had it: its users would wait for ever, else.
 */
export class Fencing implements RefusalListener {
  readonly #core: Core;
  readonly #recovery: Recovery;
  readonly #health: PathHealth;
  readonly #replies: Replies;
  readonly #commands: TargetCommands;
  readonly #attachments: Attachments;
  /** Targets that have not answered yet, and when they refused last. */
  readonly #asked = new Map<Target, { refusedUs: number }>();

  constructor(
    core: Core,
    recovery: Recovery,
    health: PathHealth,
    replies: Replies,
    commands: TargetCommands,
    attachments: Attachments,
  ) {
    this.#core = core;
    this.#recovery = recovery;
    this.#health = health;
    this.#replies = replies;
    this.#commands = commands;
    this.#attachments = attachments;
  }

  refused(path: Path, nowUs: number): void {
    const { target } = path;
    this.#health.obstructed(path, `it is reserved for other MACs than that of ${path.port.name}`, nowUs);
    const asked = this.#asked.get(target);
    if (asked === undefined) this.#ask(path, nowUs);
    else asked.refusedUs = nowUs;
  }

  #ask(path: Path, nowUs: number): void {
    const { target } = path;
    const asked = { refusedUs: nowUs };
    const question = { kind: 'reserve', command: RESERVE_READ, macs: [] } as const;
    const isAsked = this.#commands.ask(target, question, path.mac, nowUs + ASK_US, nowUs, (answer) => {
      this.#asked.delete(target);
      if (target.volume?.isInUse !== true) return;
      if (answer !== undefined) this.#answered(path, answer);
      else if (asked.refusedUs > nowUs + ASK_US / 2) this.#fence(path);
    });
    if (isAsked) this.#asked.set(target, asked);
  }

  #answered(path: Path, { error, macs }: CommandAnswer): void {
    const { target, port } = path;
    // Nobody: given back meanwhile. One that does not say for whom means others.
    if (macs.includes(port.mac) || (macs.length === 0 && error === 0)) return;
    if (!this.#core.ports.some((each) => each !== undefined && macs.includes(each.mac))) {
      this.#fence(path);
      return;
    }
    if (path.refused) return;
    path.refused = true;
    this.#core.events.notice(
      'reserved',
      target.name,
      `${target.name} is reserved for this node, but not for ${formatMac(port.mac)} of ${port.name}: that path is not used until it is`,
    );
  }

  /** Reserved for others: all I/O fails, now and later, and nothing is sent there any more. */
  #fence(path: Path): void {
    const { target } = path;
    const { nowUs } = this.#recovery;
    const { volume } = target;
    if (target.state === TARGET_FENCED || volume === undefined) return;
    // An interface of ours that the list names may be a little late.
    if ((!volume.ready || target.dead) && nowUs - volume.resumedUs < RESUME_US) return;
    this.#health.states.set(target, TARGET_FENCED, 'reserved by another initiator', nowUs);
    for (const each of target.paths) this.#health.stop(each);
    if (!volume.ready) this.#attachments.resumeFenced(path, volume, nowUs);
    if (!volume.ready) return;
    this.#core.events.notice(
      'reserved',
      target.name,
      `${target.name} is reserved by another initiator: this node is fenced, all I/O fails. Detach the volume here; if no other ` +
        `node uses it, release the reservation`,
    );
    this.#replies.failAll(target, STATUS_FENCED, nowUs);
  }
}
