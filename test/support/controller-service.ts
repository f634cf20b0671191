import type { ControllerMethods } from '../../src/csi/messages.ts';
import { controllerHandlers } from '../../src/controller/handlers.ts';
import { Housekeeping } from '../../src/controller/housekeeping.ts';
import { Logger } from '../../src/logging/logger.ts';
import { RpcClient } from '../../src/rpc/client.ts';
import type { Init } from '../../src/rpc/message-types.ts';
import { loadService } from '../../src/rpc/service.ts';
import { isRpcError } from '../../src/rpc/status.ts';
import { Liveness } from '../../src/volumes/liveness.ts';
import type { TargetRecord } from '../../src/volumes/records.ts';
import type { Store } from '../../src/volumes/store.ts';
import { CLUSTER_ID, ScriptedNode, type ScriptedNodeOptions } from './controller-node.ts';
import { serveCsi, type CsiTestServer } from './csi-server.ts';
import { eventually } from './faults-process.ts';
import { EmbeddedLaboratory, MEMORY } from './store-embedded.ts';

const TIMEOUT_MS = 10_000;
const INVENTORY_MS = 10_000;

export type Method = keyof ControllerMethods;
export type RequestOf<Name extends Method> = Init<ControllerMethods[Name]['request']>;
export type ResponseOf<Name extends Method> = ControllerMethods[Name]['response'];

/** For how a volume is used in most tests. */
export const WRITER = { accessMode: { mode: 'SINGLE_NODE_WRITER' }, mount: {} } as const;
export const READERS = { accessMode: { mode: 'MULTI_NODE_READER_ONLY' }, mount: {} } as const;

/** A client of CSI Controller. */
export class ControllerClient {
  readonly #rpc: RpcClient;

  constructor(socketPath: string) {
    this.#rpc = new RpcClient(loadService('csi.proto', 'csi.v1.Controller'), socketPath);
  }

  async call<Name extends Method>(method: Name, request: RequestOf<Name>, timeoutMs = TIMEOUT_MS): Promise<ResponseOf<Name>> {
    return this.#rpc.call(method, request, { timeoutMs });
  }

  /** `OK`, or gRPC's name of what went wrong and the message: for tests of errors. */
  async outcome<Name extends Method>(method: Name, request: RequestOf<Name>, timeoutMs = TIMEOUT_MS): Promise<string> {
    try {
      await this.call(method, request, timeoutMs);
      return 'OK';
    } catch (error) {
      if (!isRpcError(error)) throw error;
      return `${error.code}: ${error.message}`;
    }
  }

  /** The same call again as long as it is told to: what an orchestrator does. */
  async insist<Name extends Method>(method: Name, request: RequestOf<Name>): Promise<ResponseOf<Name>> {
    return eventually(`${method} to succeed`, INVENTORY_MS, async () => {
      try {
        return await this.call(method, request);
      } catch (error) {
        if (isRpcError(error) && (error.code === 'ABORTED' || error.code === 'UNAVAILABLE')) return undefined;
        throw error;
      }
    });
  }

  async create(name: string, request: Partial<RequestOf<'CreateVolume'>> = {}): Promise<string> {
    const { volume } = await this.insist('CreateVolume', { name, volumeCapabilities: [WRITER], ...request });
    return volume?.volumeId ?? '';
  }

  async publish(volumeId: string, nodeId: string): Promise<Readonly<Record<string, string>>> {
    const { publishContext } = await this.call('ControllerPublishVolume', { volumeId, nodeId, volumeCapability: WRITER });
    return publishContext;
  }

  async volumeIds(): Promise<readonly string[]> {
    const { entries } = await this.call('ListVolumes', {});
    return entries.map(({ volume }) => volume?.volumeId ?? '');
  }

  close(): void {
    this.#rpc.close();
  }
}

/** A store, scripted nodes and controllers, all in this process. */
export class ControllerLaboratory {
  readonly embedded: EmbeddedLaboratory;
  readonly store: Store;
  readonly nodes: ScriptedNode[] = [];
  readonly #strings = new Map<string, string>();
  readonly #stops: (() => Promise<void>)[] = [];

  static async open(): Promise<ControllerLaboratory> {
    const embedded = new EmbeddedLaboratory(MEMORY);
    return new ControllerLaboratory(embedded, await embedded.open());
  }

  private constructor(embedded: EmbeddedLaboratory, store: Store) {
    this.embedded = embedded;
    this.store = store;
  }

  async node(options: ScriptedNodeOptions): Promise<ScriptedNode> {
    const node = new ScriptedNode(this.store, options, this.#strings);
    this.nodes.push(node);
    return node.start();
  }

  /** A controller of its own, on the same store, or on what a test puts in front of that. */
  async controller(store = this.store): Promise<ControllerClient & { readonly server: CsiTestServer }> {
    const parts = {
      store,
      clusterId: CLUSTER_ID,
      nowMs: () => Date.now(),
      liveness: new Liveness(),
      logger: Logger.create('silent'),
    };
    const server = await serveCsi({ controller: controllerHandlers(parts) });
    const housekeeping = new Housekeeping(parts);
    housekeeping.start();
    const client = new ControllerClient(server.socketPath);
    this.#stops.push(async () => {
      client.close();
      await server.stop();
      await housekeeping.stop();
    });
    return Object.assign(client, { server });
  }

  /** Waits until so many targets are free. */
  async free(client: ControllerClient, count: number): Promise<void> {
    await eventually(`${count} free targets`, INVENTORY_MS, async () => {
      await client.call('GetCapacity', {});
      const targets = await this.store.targets.list();
      return targets.filter(({ value }) => value.state === 'Available').length === count;
    });
  }

  /** Waits until a target is as a test wants it. */
  async settled(isSettled: (target: TargetRecord) => boolean, address: string): Promise<void> {
    await eventually(`${address} to settle`, INVENTORY_MS, async () => {
      const record = await this.store.targets.get(address);
      return record !== undefined && isSettled(record.value);
    });
  }

  async close(): Promise<void> {
    for (const stop of this.#stops) await stop();
    for (const node of this.nodes) await node.stop();
    await this.embedded.remove();
  }
}

/** Runs a test with one controller, one node and `count` free targets of 1 GiB, e1.0 and so on. */
export async function withController(
  count: number,
  run: (given: {
    readonly lab: ControllerLaboratory;
    readonly client: ControllerClient;
    readonly node: ScriptedNode;
  }) => Promise<void>,
): Promise<void> {
  const lab = await ControllerLaboratory.open();
  try {
    const addresses = Array.from({ length: count }, (_, slot) => `e1.${slot}`);
    const node = await lab.node({ nodeId: 'node-1', addresses });
    const client = await lab.controller();
    await lab.free(client, count);
    await run({ lab, client, node });
  } finally {
    await lab.close();
  }
}
