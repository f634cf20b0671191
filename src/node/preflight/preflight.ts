import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Gauge, type Registry } from 'prom-client';
import type { Logger } from '../../logging/logger.ts';
import { isVolumeError } from '../../volumes/errors.ts';
import type { NodeCondition } from '../../volumes/store.ts';
import type { NodeParts } from '../node-parts.ts';
import { checkClock } from './clock.ts';
import { kubeletFacts, machineFacts } from './facts.ts';
import { CHECKS, failed, PASSED, type Check, type Finding } from './finding.ts';
import { checkKubelet } from './kubelet.ts';
import { checkBackend, checkInitiators, checkKernel, checkPrivileges } from './machine.ts';
import { checkInterfaces } from './network.ts';
import { checkTargets } from './targets.ts';

/** While something is in the way of all volumes. */
const AGAIN_MS = 5_000;
const EVERY_MS = 60_000;

type Findings = Readonly<Record<Check, Finding>>;

export interface PreflightOptions {
  /** The kubelet's folder plugins_registry, and why it does not want the driver; undefined without a kubelet. */
  readonly registration: { readonly folder: string; readonly refusal: () => string | undefined } | undefined;
  /** Where the node is depends on its interfaces: the initiator has to say first which are there. */
  readonly needsInitiator: boolean;
}

/**
 * Looks whether this node can have volumes, and goes on looking. Each finding is a line of the log when it is new, a metric, and a
 * condition of the node, which tells of its changes.
 */
export class Preflight {
  readonly #parts: NodeParts;
  readonly #logger: Logger;
  readonly #gauge: Gauge<'check'>;
  readonly #options: PreflightOptions;
  readonly #stopping = new AbortController();
  readonly #fit = Promise.withResolvers<void>();
  readonly #said: Partial<Record<Check, string>> = {};
  #areShown = false;
  /** Why they could not be shown: said once. */
  #complaint = '';
  #ended: Promise<void> = Promise.resolve();

  constructor(parts: NodeParts, options: PreflightOptions, metrics: Registry, logger: Logger) {
    this.#parts = parts;
    this.#options = options;
    this.#logger = logger.with({ component: 'preflight' });
    this.#gauge = new Gauge({
      name: 'aoe_csi_node_preflight',
      help: 'Whether a check of this node has passed (1), has found something (0.5), or found that no volume can be used here (0).',
      labelNames: ['check'],
      registers: [metrics],
    });
  }

  /** Looks once, and goes on by itself. @returns whether nothing is in the way of all volumes */
  async start(): Promise<boolean> {
    const isFit = await this.#look();
    this.#ended = this.#run(isFit);
    return isFit;
  }

  /** Resolves when a later look finds nothing in the way of all volumes; never after a stop. */
  get fit(): Promise<void> {
    return this.#fit.promise;
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#ended;
  }

  async #run(wasFit: boolean): Promise<void> {
    const { signal } = this.#stopping;
    for (let isFit = wasFit; ;) {
      await sleep(isFit ? EVERY_MS : AGAIN_MS, undefined, { signal }).catch(() => undefined);
      if (signal.aborted) return;
      isFit = await this.#look();
      if (isFit && !wasFit) this.#fit.resolve();
    }
  }

  async #look(): Promise<boolean> {
    const findings = await this.#findings();
    await this.#tell(findings);
    return Object.values(findings).every(({ level }) => level !== 'failed');
  }

  async #findings(): Promise<Findings> {
    const { initiator, recorder, store } = this.#parts;
    const { registration, needsInitiator } = this.#options;
    const kubelet = await kubeletFacts(registration === undefined ? undefined : dirname(registration.folder));
    const machine = machineFacts();
    const interfaces = await initiator.interfaces().catch(ignored);
    const used = (interfaces ?? []).filter(({ state }) => state === 'up' || state === 'down').map(({ name }) => name);
    const serverMs = await store.nowMs?.().catch(ignored);
    return {
      kernel: checkKernel(machine),
      backend: checkBackend(machine, await initiator.backend().catch(ignored)),
      interfaces: checkInterfaces(interfaces, needsInitiator),
      initiators: checkInitiators(machine, used),
      privileges: checkPrivileges(machine),
      kubelet: checkKubelet(kubelet, registration?.refusal()),
      clock: checkClock(serverMs === undefined ? undefined : Date.now() - serverMs),
      targets: checkTargets(recorder.areAllReported),
      record: recorder.refusal === undefined ? PASSED : failed(recorder.refusal),
    };
  }

  async #tell(findings: Findings): Promise<void> {
    for (const check of CHECKS) {
      const { level, message } = findings[check];
      this.#gauge.set({ check }, { passed: 1, warning: 0.5, failed: 0 }[level]);
      if ((this.#said[check] ?? '') === message) continue;
      this.#said[check] = message;
      this.#areShown = false;
      if (level === 'passed') this.#logger.info(`preflight ${check}: it is well now`);
      else if (level === 'warning') this.#logger.warn(`preflight ${check}: ${message}`);
      else this.#logger.error(`preflight ${check}: ${message}; not registered with the kubelet before`);
    }
    if (this.#areShown) return;
    const { nodeId, store } = this.#parts;
    try {
      await store.showConditions?.(nodeId, conditionsOf(findings));
      this.#areShown = true;
      this.#complaint = '';
    } catch (error) {
      if (!isVolumeError(error)) throw error;
      // The next look tries again. An event that got lost is not made again: the condition says the same.
      if (error.message !== this.#complaint) this.#logger.warn(`what was found can't be shown: ${error.message}`);
      this.#complaint = error.message;
    }
  }
}

function conditionsOf(findings: Findings): NodeCondition[] {
  const failures = CHECKS.filter((check) => findings[check].level === 'failed');
  return [
    {
      type: 'PreflightPassed',
      isGood: failures.length === 0,
      reason: failures.length === 0 ? 'Passed' : 'Failed',
      message: failures.length === 0 ? '' : `no volume can be used on this node: see ${failures.map(capitalized).join(', ')}`,
    },
    ...CHECKS.map((check) => {
      const { level, message } = findings[check];
      return { type: capitalized(check), isGood: level === 'passed', reason: capitalized(level), message };
    }),
  ];
}

function capitalized(word: string): string {
  return `${word[0].toUpperCase()}${word.slice(1)}`;
}

function ignored(error: unknown): undefined {
  if (!isVolumeError(error)) throw error;
  return undefined;
}
