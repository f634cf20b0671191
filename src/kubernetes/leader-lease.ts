import { setTimeout as sleep } from 'node:timers/promises';
import type { Election } from '../volumes/election.ts';
import type { ApiAnswer, ApiConnection, ApiRequest } from './api-connection.ts';
import { answered, refusal, saysThereIsNone, type Attempt } from './api-failure.ts';
import { LEASE_API_VERSION, LEASES } from './resources.ts';

export const LEASE_NAME = 'aoe-csi-controller';
/** One that has not renewed for so long has lost the lease. */
export const LEASE_MS = 15_000;
/** How often it is renewed. */
const RENEW_MS = 5_000;
/** How often the others look, and one whom the server does not answer asks again. */
const LOOK_MS = 2_000;
const CONFLICT = 409;
const FORBIDDEN = 403;

interface Lease {
  readonly metadata: { readonly resourceVersion: string };
  readonly spec?: { readonly holderIdentity?: string; readonly leaseTransitions?: number };
}

export interface LeaderLeaseOptions {
  readonly connection: ApiConnection;
  readonly namespace: string;
  /** Never the same for two processes. */
  readonly holder: string;
  /** Hears what a person should know. */
  readonly onProblem: (message: string) => void;
  readonly steadyMs?: () => number;
}

/**
 * A Lease that one of several processes holds, as Kubernetes' own components elect their leaders. Whether another one has let it lapse
 * is measured by our own clock, from when its last change was noticed.
 */
export class LeaderLease implements Election {
  readonly #options: LeaderLeaseOptions;
  readonly #steadyMs: () => number;
  readonly #path: string;
  readonly #attempt: Attempt;
  readonly #stopping = new AbortController();
  readonly #watchers = new Set<() => void>();
  readonly #ended: Promise<void>;
  /** As it was last seen, and since when it has been so. */
  #version = '';
  #sinceMs = 0;
  #renewedMs = -Infinity;
  #isElected = false;
  #complaint = '';

  constructor(options: LeaderLeaseOptions) {
    const { namespace, steadyMs = () => performance.now() } = options;
    this.#options = options;
    this.#steadyMs = steadyMs;
    this.#path = `/apis/${LEASE_API_VERSION}/namespaces/${encodeURIComponent(namespace)}/leases`;
    this.#attempt = { what: `hold the lease ${LEASE_NAME}`, resource: LEASES, namespace };
    this.#ended = this.#run();
  }

  get isElected(): boolean {
    return this.#isElected;
  }

  watch(changed: () => void): () => void {
    this.#watchers.add(changed);
    return () => void this.#watchers.delete(changed);
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#ended;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      await this.#turn();
      const pauseMs = this.#isElected && this.#complaint === '' ? RENEW_MS : LOOK_MS;
      await sleep(pauseMs, undefined, { signal }).catch(() => undefined);
    }
    if (this.#isElected) await this.#giveBack().catch(() => undefined);
    this.#set(false);
  }

  async #turn(): Promise<void> {
    const startedMs = this.#steadyMs();
    try {
      const isHeld = await this.#hold();
      if (isHeld) this.#renewedMs = startedMs;
      this.#set(isHeld);
      this.#complain('');
    } catch (error) {
      this.#complain((error as Error).message);
      // Others take it for lapsed by then.
      if (this.#steadyMs() - this.#renewedMs >= LEASE_MS) this.#set(false);
    }
  }

  /** Renews or takes the lease, if it is ours or has lapsed. */
  async #hold(): Promise<boolean> {
    const answer = await this.#ask({ method: 'GET', path: `${this.#path}/${LEASE_NAME}` });
    if (saysThereIsNone(answer, LEASE_NAME)) return this.#make();
    this.#require(answer, 200);
    const { metadata, spec } = answer.body as Lease;
    if (metadata.resourceVersion !== this.#version) {
      this.#version = metadata.resourceVersion;
      this.#sinceMs = this.#steadyMs();
    }
    const { holderIdentity = '', leaseTransitions = 0 } = spec ?? {};
    const isOurs = holderIdentity === this.#options.holder;
    const hasLapsed = holderIdentity === '' || this.#steadyMs() - this.#sinceMs >= LEASE_MS;
    if (!isOurs && !hasLapsed) return false;
    return this.#patch(isOurs ? {} : { ...this.#taking(), leaseTransitions: leaseTransitions + 1 });
  }

  async #make(): Promise<boolean> {
    const spec = { ...this.#taking(), ...renewal(), leaseTransitions: 0 };
    const body = { apiVersion: LEASE_API_VERSION, kind: LEASES.kind, metadata: { name: LEASE_NAME }, spec };
    const answer = await this.#ask({ method: 'POST', path: this.#path, body });
    // Somebody was faster.
    if (answer.status === CONFLICT) return false;
    this.#require(answer, 201);
    return true;
  }

  /** False when somebody else was faster. */
  async #patch(changes: object): Promise<boolean> {
    const answer = await this.#ask({
      method: 'PATCH',
      path: `${this.#path}/${LEASE_NAME}`,
      contentType: 'application/merge-patch+json',
      body: { metadata: { resourceVersion: this.#version }, spec: { ...renewal(), ...changes } },
    });
    if (answer.status === CONFLICT) return false;
    this.#require(answer, 200);
    return true;
  }

  async #giveBack(): Promise<void> {
    const answer = await this.#ask({ method: 'GET', path: `${this.#path}/${LEASE_NAME}` });
    const { metadata, spec } = answer.body as Lease;
    if (spec?.holderIdentity !== this.#options.holder) return;
    this.#version = metadata.resourceVersion;
    await this.#patch({ holderIdentity: '' });
  }

  #taking(): object {
    return { holderIdentity: this.#options.holder, leaseDurationSeconds: LEASE_MS / 1000, acquireTime: now() };
  }

  async #ask(request: ApiRequest): Promise<ApiAnswer> {
    const { connection } = this.#options;
    return answered(this.#attempt, request.method !== 'GET', async () => connection.request(request));
  }

  #require(answer: ApiAnswer, status: number): void {
    if (answer.status === status) return;
    if (answer.status === FORBIDDEN) {
      // Better twice than never.
      this.#renewedMs = this.#steadyMs();
      this.#set(true);
    }
    throw refusal(this.#attempt, answer);
  }

  #set(isElected: boolean): void {
    if (isElected === this.#isElected) return;
    this.#isElected = isElected;
    for (const changed of this.#watchers) changed();
  }

  #complain(complaint: string): void {
    if (complaint !== this.#complaint && complaint !== '') this.#options.onProblem(complaint);
    this.#complaint = complaint;
  }
}

function renewal(): object {
  return { renewTime: now() };
}

/** With microseconds, all six of them. */
function now(): string {
  return new Date().toISOString().replace('Z', '000Z');
}
