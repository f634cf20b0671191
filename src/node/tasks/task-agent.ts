import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from '../../logging/logger.ts';
import type { KeyedLock } from '../../volumes/keyed-lock.ts';
import type { TargetRecord, TaskRecord } from '../../volumes/records.ts';
import type { NodeTasks } from '../../volumes/store.ts';
import { claimTarget } from './claim-task.ts';
import { fenceTarget } from './fence-task.ts';
import { changeTask, type HandedTask, type TaskParts } from './target-task.ts';
import { mayPass, wipeTarget } from './wipe-task.ts';

/** Wipes at a time: they take the network's time, and nobody waits for them. */
const WIPES_MAX = 2;
const TRIES_MAX = 3;
const RETRY_MS = 2_000;
/** A volume of this node that is busy for longer is a reason to give the task back. */
const PATIENCE_MS = 30_000;

const WORK: Readonly<Record<TaskRecord['kind'], (parts: TaskParts, handed: HandedTask) => Promise<void>>> = {
  claim: claimTarget,
  wipe: wipeTarget,
  fence: fenceTarget,
};

/** Does what controllers have asked this node to do: claims, wipes and fences targets. Goes on with what an earlier process has begun. */
export class TaskAgent {
  readonly #parts: TaskParts;
  readonly #tasks: NodeTasks;
  readonly #lock: KeyedLock;
  readonly #logger: Logger;
  readonly #stopping = new AbortController();
  /** By address. */
  readonly #running = new Map<string, TaskRecord['kind']>();
  #stopWatching: () => void = () => undefined;
  #ended: Promise<void> = Promise.resolve();

  constructor(parts: TaskParts, lock: KeyedLock, logger: Logger) {
    this.#parts = parts;
    this.#tasks = parts.store.tasksAt(parts.nodeId);
    this.#lock = lock;
    this.#logger = logger.with({ component: 'tasks' });
  }

  start(): void {
    this.#stopWatching = this.#tasks.watch((addresses) => void this.#look(addresses));
    this.#ended = this.#scan();
  }

  /** Takes up nothing more. What is under way ends with the process, and is gone on with by the next. */
  async stop(): Promise<void> {
    this.#stopWatching();
    this.#stopping.abort();
    await this.#ended;
  }

  async #scan(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      await this.#lookAtAll();
      await sleep(this.#tasks.rescanMs, undefined, { signal }).catch(() => undefined);
    }
  }

  async #lookAtAll(): Promise<void> {
    try {
      for (const { value } of await this.#tasks.list()) this.#consider(value);
    } catch (error) {
      this.#logger.warn(`cannot look for tasks: ${(error as Error).message}`);
    }
  }

  async #look(addresses: readonly string[]): Promise<void> {
    try {
      for (const address of addresses) {
        const record = await this.#parts.store.targets.get(address);
        if (record !== undefined) this.#consider(record.value);
      }
    } catch (error) {
      this.#logger.warn(`cannot look for tasks: ${(error as Error).message}`);
    }
  }

  #consider(target: TargetRecord): void {
    const { task, address } = target;
    if (task?.nodeId !== this.#parts.nodeId || (task.state !== 'waiting' && task.state !== 'running')) return;
    if (this.#stopping.signal.aborted || this.#running.has(address)) return;
    const wipes = [...this.#running.values()].filter((kind) => kind === 'wipe').length;
    if (task.kind === 'wipe' && wipes >= WIPES_MAX) return;
    this.#running.set(address, task.kind);
    void this.#carryOut({ target, task, logger: this.#logger }).finally(() => {
      this.#running.delete(address);
      // There may be another one by now, or one elsewhere that had to wait.
      void this.#lookAtAll();
    });
  }

  async #carryOut(handed: HandedTask): Promise<void> {
    const { target, task, logger } = handed;
    try {
      const patience = AbortSignal.timeout(PATIENCE_MS);
      // Until it is claimed, there is no volume that anybody could want to use at the same time; as soon as it is, somebody does.
      const key = task.kind === 'claim' ? `claim of ${target.address}` : `volume ${target.address}`;
      await this.#lock.runWhenFree(key, patience, async () => this.#try(handed));
    } catch (error) {
      const { message } = error as Error;
      logger.warn(`task ${task.id} on ${target.address} failed: ${message}`, { target: target.address });
      await changeTask(this.#parts, handed, (record) => ({
        ...record,
        task: record.task && { ...record.task, state: 'failed', message },
      })).catch((failure: unknown) => logger.warn(`and that can't be recorded: ${(failure as Error).message}`));
    }
  }

  async #try(handed: HandedTask): Promise<void> {
    for (let tries = 1; ; tries++) {
      try {
        const current = await this.#current(handed);
        if (current !== undefined) await WORK[handed.task.kind](this.#parts, current);
        return;
      } catch (error) {
        if (tries >= TRIES_MAX || !mayPass(error) || this.#stopping.signal.aborted) throw error;
        handed.logger.debug(`task ${handed.task.id}: ${(error as Error).message}; trying again`);
        await sleep(RETRY_MS * tries);
      }
    }
  }

  /** With the progress of an earlier attempt; undefined when nobody wants it of this node any more. */
  async #current(handed: HandedTask): Promise<HandedTask | undefined> {
    const record = await this.#parts.store.targets.get(handed.target.address);
    const task = record?.value.task;
    const isOurs = task?.id === handed.task.id && task.nodeId === this.#parts.nodeId;
    return record !== undefined && isOurs ? { ...handed, target: record.value, task } : undefined;
  }
}
