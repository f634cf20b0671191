import { setTimeout as sleep } from 'node:timers/promises';
import { Registry } from 'prom-client';
import { ALWAYS_ELECTED, type Election } from '../volumes/election.ts';
import { FORGOTTEN } from '../volumes/inventory.ts';
import type { NodeRecord, TargetRecord, TaskRecord } from '../volumes/records.ts';
import { change } from '../volumes/store.ts';
import { takeInventory } from '../volumes/take-inventory.ts';
import { fencedNodeOf } from '../volumes/task-ids.ts';
import { DepartedNodes } from './departed-nodes.ts';
import { Figures } from './figures.ts';
import { Notices } from './notices.ts';
import { liveNodes, type ControllerParts } from './parts.ts';
import { Retries } from './retries.ts';
import { claimTask, handedTo, nodeFor, nodeInService, wipeTask } from './tasks.ts';

/** Rounds come when a node reports something, and so often besides: nodes also fall silent, which nobody reports. */
const ROUND_MS = 10_000;
/** Reports that come together are looked at together. */
const SETTLE_MS = 50;

/**
 * What has to be done without anybody calling: the records of targets are kept as nodes see them, and tasks get to nodes that can do
 * them. One of several controllers does this, if they elect one; every write is a compare-and-set that is right whoever makes it.
 */
export class Housekeeping {
  readonly #parts: ControllerParts;
  readonly #election: Election;
  readonly #retries = new Retries();
  readonly #notices: Notices;
  readonly #figures: Figures;
  /** What was last complained about, by address: said once. */
  readonly #complaints = new Map<string, string>();
  readonly #departed: DepartedNodes;
  #unwatch: readonly (() => void)[] = [];
  #wake = Promise.withResolvers<void>();
  #isStopped = false;
  #ended: Promise<void> = Promise.resolve();

  /** @param metrics gets how many targets and tasks there are, while this one is elected */
  constructor(parts: ControllerParts, election = ALWAYS_ELECTED, metrics = new Registry()) {
    this.#parts = parts;
    this.#election = election;
    this.#departed = new DepartedNodes(parts);
    this.#notices = new Notices(parts.logger);
    this.#figures = new Figures(metrics);
  }

  start(): void {
    const wake = (): void => this.#wake.resolve();
    const elected = (): void => {
      const { isElected } = this.#election;
      this.#parts.logger.info(isElected ? 'looks after the targets from now on' : 'another controller looks after the targets');
      wake();
    };
    this.#unwatch = [this.#parts.store.nodes.watch(wake), this.#election.watch(elected)];
    this.#ended = this.#run();
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    for (const unwatch of this.#unwatch) unwatch();
    this.#wake.resolve();
    await this.#ended;
  }

  async #run(): Promise<void> {
    while (!this.#isStopped) {
      // What is reported from here on is not sure to be seen by this round.
      this.#wake = Promise.withResolvers();
      if (this.#election.isElected) await this.#anyRound();
      else this.#figures.clear();
      const timer = setTimeout(this.#wake.resolve, ROUND_MS);
      await this.#wake.promise;
      clearTimeout(timer);
      if (!this.#isStopped) await sleep(SETTLE_MS);
    }
  }

  async #anyRound(): Promise<void> {
    await this.round().catch((error: unknown) => {
      this.#figures.clear();
      this.#parts.logger.error('could not look after the targets; the next round tries again', { err: error });
    });
  }

  /** One round; the others are made of these. */
  async round(): Promise<void> {
    const { store, clusterId, logger } = this.#parts;
    const live = await liveNodes(this.#parts);
    const { created, updated, failures } = await takeInventory(store.targets, clusterId, live);
    if (created.length + updated.length > 0) logger.info(`targets that changed: ${[...created, ...updated].join(', ')}`);
    for (const message of failures) logger.warn(message);
    const targets = (await store.targets.list()).map(({ value }) => value);
    this.#retries.note(targets);
    this.#notices.note(targets);
    this.#figures.show(targets);
    // What these were given is as stuck as if they were dead.
    const off = await this.#declaredOff(targets, live);
    const working = live.filter(({ nodeId }) => !off.has(nodeId));
    for (const target of targets) await this.#lookAfter(target, working);
    await this.#departed.round(targets);
  }

  /** One record that can't be used is no reason to leave the others alone. */
  async #lookAfter(target: TargetRecord, live: readonly NodeRecord[]): Promise<void> {
    const { address } = target;
    try {
      await this.#assign(target, live);
      this.#complaints.delete(address);
    } catch (error) {
      const { message } = error as Error;
      if (this.#complaints.get(address) === message) return;
      this.#complaints.set(address, message);
      this.#parts.logger.error(`cannot look after ${address}: ${message}; each round tries again`, { target: address });
    }
  }

  async #assign(target: TargetRecord, live: readonly NodeRecord[]): Promise<void> {
    const { store, logger } = this.#parts;
    const { address } = target;
    const nodeId = await nodeInService(store, live, (able) => this.#assigned(target, live, able)?.task?.nodeId);
    if (nodeId === undefined) return;
    const able = live.filter((node) => node.nodeId === nodeId);
    const record = await change(store.targets, address, (now) => this.#assigned(now, live, able));
    const task = record?.value.task;
    if (task?.nodeId !== nodeId) return;
    this.#retries.handedOut(address, task);
    logger.info(`task ${task.kind} handed to node ${nodeId}`, { target: address, node: nodeId });
  }

  /** The live nodes that have something to do and that a person has declared to be off since they were given it. */
  async #declaredOff(targets: readonly TargetRecord[], live: readonly NodeRecord[]): Promise<ReadonlySet<string>> {
    const asked = new Set(targets.flatMap(({ task }) => (task === undefined || task.state === 'done' ? [] : [task.nodeId])));
    const off = new Set<string>();
    for (const { nodeId } of live) {
      if (asked.has(nodeId) && (await this.#parts.store.isOutOfService?.(nodeId)) === true) off.add(nodeId);
    }
    return off;
  }

  /**
   * The record with its task at a node that can do it; undefined when that is so already, or no node can.
   * @param able the nodes to choose from
   */
  #assigned(target: TargetRecord, live: readonly NodeRecord[], able: readonly NodeRecord[]): TargetRecord | undefined {
    const { claim, task } = target;
    if (task === undefined) {
      const make = missingTask(target);
      if (make === undefined || claim === undefined) return undefined;
      const nodeId = nodeFor(target, able);
      return nodeId === undefined ? undefined : { ...target, task: make(claim.claim, nodeId) };
    }
    if (task.state === 'done' || !this.#isStuck(target.address, task, live)) return undefined;
    const nodeId = successor(target, task, able);
    return nodeId === undefined ? undefined : { ...target, task: handedTo(task, nodeId) };
  }

  #isStuck(address: string, task: TaskRecord, live: readonly NodeRecord[]): boolean {
    // Only of the dead: one that does not see the target now may be about to.
    if (!live.some(({ nodeId }) => nodeId === task.nodeId)) return true;
    return task.state === 'failed' && this.#retries.isDue(address, task);
  }
}

/** Another node rather than the same again, and never the one that a fence is against. */
function successor(target: TargetRecord, task: TaskRecord, able: readonly NodeRecord[]): string | undefined {
  const allowed = able.filter(({ nodeId }) => nodeId !== fencedNodeOf(task));
  return nodeFor(target, allowed, task.nodeId) ?? nodeFor(target, allowed);
}

/**
 * What a target without a task wants. A volume whose target has forgotten it, and which no node uses, is claimed again: else another
 * cluster could take the target. Where a node uses it, that node sees to it (src/node/ownership-keeper.ts).
 */
function missingTask({ state, claim, reason, publications }: TargetRecord): typeof wipeTask | undefined {
  if (state === 'Released' || state === 'Wiping') return wipeTask;
  const isForgotten = state === 'Claimed' && claim?.confirmed === true && reason === FORGOTTEN;
  return isForgotten && publications.length === 0 ? claimTask : undefined;
}
