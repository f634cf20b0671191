import type { ApiConnection } from './api-connection.ts';
import { answered, refusal, saysThereIsNone, type Attempt } from './api-failure.ts';
import { NODE_SILENT_MS } from '../volumes/liveness.ts';
import { objectNameOf, recordNameOf } from './object-names.ts';
import { eachPage } from './pages.ts';
import { LEASE_API_VERSION, LEASES } from './resources.ts';

/** Others keep Leases in the namespace, too: those who elect a leader. */
const PREFIX = 'aoe-csi-node.';
const LABEL = 'aoe.csi.dev/node';
const PAGE = 500;

interface Lease {
  readonly metadata: { readonly name: string };
  readonly spec?: { readonly renewTime?: string };
}

/**
 * That nodes live, in a Lease of some hundred bytes for each, as the kubelet does it for its own: else a record of up to a megabyte
 * would be written for it every minute.
 */
export class NodeLeases {
  readonly #connection: ApiConnection;
  readonly #namespace: string;
  readonly #path: string;

  constructor(connection: ApiConnection, namespace: string) {
    this.#connection = connection;
    this.#namespace = namespace;
    this.#path = `/apis/${LEASE_API_VERSION}/namespaces/${encodeURIComponent(namespace)}/${LEASES.plural}`;
  }

  /** When a node last said so; 0 when it never has. */
  async aliveAtMs(nodeId: string): Promise<number> {
    const name = leaseNameOf(nodeId);
    const attempt = this.#attempt(`read the lease ${name}`);
    const answer = await answered(attempt, false, async () =>
      this.#connection.request({ method: 'GET', path: `${this.#path}/${name}` }),
    );
    if (saysThereIsNone(answer, name)) return 0;
    if (answer.status !== 200) throw refusal(attempt, answer);
    return renewedAtMs(answer.body as Lease);
  }

  /** The same of all nodes. */
  async all(): Promise<ReadonlyMap<string, number>> {
    const found = new Map<string, number>();
    const attempt = this.#attempt('list the leases of nodes');
    const request = { method: 'GET', path: this.#path, query: { labelSelector: LABEL } } as const;
    await answered(attempt, false, async () =>
      eachPage<Lease>(this.#connection, request, PAGE, attempt, (lease) => {
        const { name } = lease.metadata;
        const nodeId = name.startsWith(PREFIX) ? recordNameOf(name.slice(PREFIX.length)) : undefined;
        if (nodeId !== undefined) found.set(nodeId, renewedAtMs(lease));
      }),
    );
    return found;
  }

  /** Says that a node lives. */
  async renew(nodeId: string, aliveAtMs: number): Promise<void> {
    const name = leaseNameOf(nodeId);
    const attempt = this.#attempt(`renew the lease ${name}`);
    const answer = await answered(attempt, true, async () =>
      this.#connection.request({
        method: 'PATCH',
        path: `${this.#path}/${name}`,
        // Makes it where there is none: one request, whichever it is.
        contentType: 'application/apply-patch+yaml',
        query: { fieldManager: 'aoe-csi', force: 'true' },
        body: {
          apiVersion: LEASE_API_VERSION,
          kind: LEASES.kind,
          metadata: { name, labels: { [LABEL]: '' } },
          spec: {
            holderIdentity: nodeId,
            leaseDurationSeconds: NODE_SILENT_MS / 1000,
            // Microseconds, all six of them.
            renewTime: new Date(aliveAtMs).toISOString().replace('Z', '000Z'),
          },
        },
      }),
    );
    if (answer.status !== 200 && answer.status !== 201) throw refusal(attempt, answer);
  }

  /** Also where there is none. */
  async delete(nodeId: string): Promise<void> {
    const name = leaseNameOf(nodeId);
    const attempt = this.#attempt(`delete the lease ${name}`);
    const answer = await answered(attempt, true, async () =>
      this.#connection.request({ method: 'DELETE', path: `${this.#path}/${name}` }),
    );
    if (answer.status !== 200 && !saysThereIsNone(answer, name)) throw refusal(attempt, answer);
  }

  #attempt(what: string): Attempt {
    return { what, resource: LEASES, namespace: this.#namespace };
  }
}

function leaseNameOf(nodeId: string): string {
  return `${PREFIX}${objectNameOf(nodeId) ?? ''}`;
}

function renewedAtMs({ spec }: Lease): number {
  const ms = Date.parse(spec?.renewTime ?? '');
  return Number.isNaN(ms) ? 0 : ms;
}
