import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Gauge, type Registry } from 'prom-client';
import type { Logger } from '../../logging/logger.ts';
import { isVolumeError } from '../../volumes/errors.ts';
import type { NodeParts } from '../node-parts.ts';
import { checkClock } from './clock.ts';
import { kubeletFacts, machineFacts } from './facts.ts';
import { CHECKS, type Check, type Finding } from './finding.ts';
import { checkKubelet } from './kubelet.ts';
import { checkBackend, checkInitiators, checkKernel, checkPrivileges } from './machine.ts';
import { checkInterfaces } from './network.ts';
import { checkTargets } from './targets.ts';

/** While something is in the way of all volumes. */
const AGAIN_MS = 5_000;
const EVERY_MS = 60_000;

type Findings = Readonly<Record<Check, Finding>>;

export interface PreflightOptions {
  /** The kubelet's folder plugins_registry; undefined without a kubelet. */
  readonly registrationFolder: string | undefined;
  /** Where the node is depends on its interfaces: the initiator has to say first which are there. */
  readonly needsInitiator: boolean;
}

/**
 * Looks whether this node can have volumes, and goes on looking. Each finding is a line of the log when it is new, a metric, and part
 * of the node's record for as long as it lasts.
 */
export class Preflight {
  readonly #parts: NodeParts;
  readonly #logger: Logger;
  readonly #gauge: Gauge<'check'>;
  readonly #kubeletFolder: string | undefined;
  readonly #needsInitiator: boolean;
  readonly #stopping = new AbortController();
  readonly #fit = Promise.withResolvers<void>();
  #said: Partial<Record<Check, string>> = {};
  #ended: Promise<void> = Promise.resolve();

  constructor(parts: NodeParts, { registrationFolder, needsInitiator }: PreflightOptions, metrics: Registry, logger: Logger) {
    this.#parts = parts;
    this.#needsInitiator = needsInitiator;
    this.#logger = logger.with({ component: 'preflight' });
    this.#kubeletFolder = registrationFolder === undefined ? undefined : dirname(registrationFolder);
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
    const { initiator, store } = this.#parts;
    const machine = machineFacts();
    const interfaces = await initiator.interfaces().catch(ignored);
    const used = (interfaces ?? []).filter(({ state }) => state === 'up' || state === 'down').map(({ name }) => name);
    const serverMs = await store.nowMs?.().catch(ignored);
    return {
      kernel: checkKernel(machine),
      backend: checkBackend(machine),
      interfaces: checkInterfaces(interfaces, this.#needsInitiator),
      initiators: checkInitiators(machine, used),
      privileges: checkPrivileges(machine),
      kubelet: checkKubelet(await kubeletFacts(this.#kubeletFolder)),
      clock: checkClock(serverMs === undefined ? undefined : Date.now() - serverMs),
      targets: checkTargets(this.#parts.recorder.areAllReported),
    };
  }

  async #tell(findings: Findings): Promise<void> {
    for (const check of CHECKS) {
      const { level, message } = findings[check];
      this.#gauge.set({ check }, { passed: 1, warning: 0.5, failed: 0 }[level]);
      if ((this.#said[check] ?? '') === message) continue;
      if (level === 'passed') this.#logger.info(`preflight ${check}: it is well now`);
      else if (level === 'warning') this.#logger.warn(`preflight ${check}: ${message}`);
      else this.#logger.error(`preflight ${check}: ${message}; not registered with the kubelet before`);
    }
    const found = CHECKS.filter((check) => findings[check].message !== '');
    this.#said = Object.fromEntries(found.map((check) => [check, findings[check].message]));
    // The reporter complains about a store that does not answer; the next look writes it.
    await this.#parts.recorder.setProblems({ ...this.#said }).catch(() => undefined);
  }
}

function ignored(error: unknown): undefined {
  if (!isVolumeError(error)) throw error;
  return undefined;
}
