import type { LogFields, Logger } from '../logging/logger.ts';
import { FORGOTTEN } from '../volumes/inventory.ts';
import type { TargetRecord } from '../volumes/records.ts';
import { volumeIdOf } from '../volumes/volume-on-target.ts';
import { isDecided } from './tasks.ts';

interface Notice {
  readonly level: 'info' | 'warn';
  readonly message: string;
  readonly fields: LogFields;
  /** The task that it is about. */
  readonly taskId?: string;
}

/** What there is to tell of a target now. @param before what was told last, and holds where nothing new is known */
type Topic = (target: TargetRecord, before: Notice | undefined) => Notice | undefined;

/** Each by itself. */
const TOPICS: readonly Topic[] = [ofTarget, ofTask];

/**
 * Tells in the log what a person should know of targets and hears from nobody else: nobody calls for what was given back, and who uses
 * a volume sees that it does not go on, but not why. Each thing is told when it is new, not with every round, and a warning when it is
 * past.
 */
export class Notices {
  readonly #logger: Logger;
  /** By topic and address. */
  #told = new Map<string, Notice>();

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** Takes note of all targets; what is not there any more is forgotten. */
  note(targets: readonly TargetRecord[]): void {
    const told = new Map<string, Notice>();
    for (const target of targets) {
      for (const [index, topic] of TOPICS.entries()) {
        const key = `${index} ${target.address}`;
        const before = this.#told.get(key);
        const now = topic(target, before);
        if (now !== undefined) told.set(key, now);
        if (now?.message !== before?.message) this.#tell(now, before);
      }
    }
    this.#told = told;
  }

  #tell(now: Notice | undefined, before: Notice | undefined): void {
    if (now !== undefined) this.#logger[now.level](now.message, now.fields);
    else if (before?.level === 'warn') this.#logger.info(`no longer so: ${before.message}`, before.fields);
  }
}

/** What is wrong with the target itself, which `reason` in its record says. */
function ofTarget(target: TargetRecord, before: Notice | undefined): Notice | undefined {
  const { address, state, reason, claim } = target;
  if (state === 'Foreign') {
    return { level: 'warn', message: `target ${address} is not used: ${reason}`, fields: { target: address } };
  }
  // The inventory does not look at them.
  if (state === 'Released' || state === 'Wiping') return before;
  if (state !== 'Claimed' && state !== 'Static') return undefined;
  const fields = { target: address, volume: volumeIdOf(target) };
  const name = claim?.volumeName ?? address;
  if (reason !== '') {
    // It gets its claim again by itself; if it does not, that is a task that fails.
    const level = reason === FORGOTTEN ? 'info' : 'warn';
    return { level, message: `something is wrong with target ${address} of volume ${name}: ${reason}`, fields };
  }
  if (claim === undefined || isDecided(target)) return undefined;
  const message = `volume ${name} is being made at ${address}, or was given up half-way: then delete it`;
  return { level: 'info', message, fields };
}

/** That its task has failed: not again when it is tried again and fails for the same reason. */
function ofTask({ address, task }: TargetRecord, before: Notice | undefined): Notice | undefined {
  if (task === undefined || task.state === 'done') return undefined;
  const { kind, id, nodeId, state, message } = task;
  if (state !== 'failed') return before?.taskId === id ? before : undefined;
  return {
    level: 'warn',
    message: `task ${kind} of target ${address} has failed: ${message}; it is tried again, later each time`,
    fields: { target: address, node: nodeId },
    taskId: id,
  };
}
