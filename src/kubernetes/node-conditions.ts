import { randomUUID } from 'node:crypto';
import { VolumeError } from '../volumes/errors.ts';
import type { NodeCondition } from '../volumes/store.ts';
import type { ApiConnection, ApiRequest } from './api-connection.ts';
import { answered, refusal, saysThereIsNone, type Attempt } from './api-failure.ts';
import { objectNameOf } from './object-names.ts';
import { API_VERSION, CONDITION_CHARACTERS_MAX, EVENTS, NODES } from './resources.ts';

/** The API server takes no more of an event. */
const EVENT_CHARACTERS_MAX = 1_024;

/** As all kinds have it: https://pkg.go.dev/k8s.io/apimachinery/pkg/apis/meta/v1#Condition */
interface Condition {
  readonly type: string;
  readonly status: string;
  readonly reason: string;
  readonly message: string;
  readonly lastTransitionTime: string;
}

interface NodeObject {
  readonly metadata: { readonly name: string; readonly uid: string };
  readonly status?: { readonly conditions?: readonly Condition[] };
}

/**
 * In what condition nodes are: in the `status` of each AoeNode, which nothing is decided on, with an event for each change. What stands
 * there is compared with, so that a process that starts repeats nothing.
 */
export class NodeConditions {
  readonly #connection: ApiConnection;
  readonly #namespace: string;
  readonly #root: string;

  constructor(connection: ApiConnection, namespace: string) {
    this.#connection = connection;
    this.#namespace = namespace;
    this.#root = `namespaces/${encodeURIComponent(namespace)}`;
  }

  /** @throws VolumeError also where the node has no record yet */
  async show(nodeId: string, conditions: readonly NodeCondition[]): Promise<void> {
    const objectName = objectNameOf(nodeId) ?? '';
    const path = `/apis/${API_VERSION}/${this.#root}/${NODES.plural}/${objectName}`;
    const node = await this.#read(nodeId, objectName, path);
    const before = new Map(node.status?.conditions?.map((condition) => [condition.type, condition]));
    const now = new Date().toISOString().replace(/\.\d+Z$/, 'Z');
    const after = conditions.map((condition) => asCondition(condition, before.get(condition.type), now));
    const changed = after.filter((condition) => !isSame(condition, before.get(condition.type)));
    if (changed.length === 0 && before.size === after.length) return;
    await this.#write(`write the conditions of node ${nodeId}`, 200, {
      method: 'PATCH',
      path: `${path}/status`,
      query: { fieldManager: 'aoe-csi', fieldValidation: 'Strict' },
      contentType: 'application/merge-patch+json',
      body: { status: { conditions: after } },
    });
    // What is well from the beginning is no event.
    const news = changed.filter(({ type, status }) => status === 'False' || before.has(type));
    for (const each of news) await this.#tell(node, nodeId, each, now);
  }

  async #read(nodeId: string, objectName: string, path: string): Promise<NodeObject> {
    const attempt = this.#attempt(`read the record ${nodeId}`);
    const answer = await answered(attempt, false, async () => this.#connection.request({ method: 'GET', path }));
    if (answer.status === 200) return answer.body as NodeObject;
    if (!saysThereIsNone(answer, objectName)) throw refusal(attempt, answer);
    throw new VolumeError('unavailable', `cannot show in what condition node ${nodeId} is: it has no record yet; call again`);
  }

  /** As `kubectl describe aoenode` and `kubectl get events` show them. */
  async #tell({ metadata: { name, uid } }: NodeObject, host: string, condition: Condition, now: string): Promise<void> {
    const namespace = this.#namespace;
    const { type, status, message } = condition;
    await this.#write(`make an event about node ${host}`, 201, {
      method: 'POST',
      path: `/api/v1/${this.#root}/${EVENTS.plural}`,
      body: {
        apiVersion: 'v1',
        kind: EVENTS.kind,
        metadata: { name: `${name}.${randomUUID()}`, namespace },
        involvedObject: { apiVersion: API_VERSION, kind: NODES.kind, name, namespace, uid },
        type: status === 'True' ? 'Normal' : 'Warning',
        reason: `${type}${condition.reason}`,
        message: (message || 'it is well now').slice(0, EVENT_CHARACTERS_MAX),
        source: { component: 'aoe-csi', host },
        firstTimestamp: now,
        lastTimestamp: now,
        count: 1,
      },
    });
  }

  async #write(what: string, status: number, request: ApiRequest): Promise<void> {
    const attempt = this.#attempt(what);
    const answer = await answered(attempt, true, async () => this.#connection.request(request));
    if (answer.status !== status) throw refusal(attempt, answer);
  }

  #attempt(what: string): Attempt {
    return { what, resource: NODES, namespace: this.#namespace };
  }
}

function asCondition(condition: NodeCondition, before: Condition | undefined, now: string): Condition {
  const { type, isGood, reason } = condition;
  const status = isGood ? 'True' : 'False';
  const message = condition.message.slice(0, CONDITION_CHARACTERS_MAX);
  return { type, status, reason, message, lastTransitionTime: before?.status === status ? before.lastTransitionTime : now };
}

function isSame({ status, reason, message }: Condition, before: Condition | undefined): boolean {
  return before?.status === status && before.reason === reason && before.message === message;
}
