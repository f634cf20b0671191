import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { Registry } from 'prom-client';
import { KubeletRegistration } from '../csi/kubelet-registration.ts';
import { requestIds } from '../csi/request-ids.ts';
import { csiDefinition } from '../csi/service.ts';
import { identityHandlers } from '../identity/identity.ts';
import type { Logger } from '../logging/logger.ts';
import { CsiOperations } from '../metrics/csi-operations.ts';
import { MetricsEndpoint } from '../metrics/endpoint.ts';
import { RpcServer } from '../rpc/server.ts';
import { listenUnix } from '../system/unix-socket.ts';
import type { InterfacePatterns } from '../volumes/interface-patterns.ts';
import type { Store } from '../volumes/store.ts';
import { parseVolumeId } from '../volumes/volume-id.ts';
import { nodeHandlers } from './handlers.ts';
import { InitiatorClient } from './initiator-client.ts';
import { bootId as readBootId } from '../system/boot-id.ts';
import { Leftovers } from './leftovers.ts';
import { NodeRecorder } from './node-recorder.ts';
import { NodeService } from './node-service.ts';
import { OwnershipKeeper } from './ownership-keeper.ts';
import { Places } from './places.ts';
import { Registrar } from './registrar.ts';
import { Preflight } from './preflight/preflight.ts';
import { Reporter } from './reporter.ts';
import { SettingsFollower } from './settings-follower.ts';
import { StateDirectory } from './staging/state-directory.ts';
import { TaskAgent } from './tasks/task-agent.ts';

export interface NodePluginOptions {
  /** Path of the CSI socket. */
  readonly socketPath: string;
  readonly driverName: string;
  readonly version: string;
  readonly nodeId: string;
  readonly clusterId: string;
  /** Socket of the initiator on this node. */
  readonly initiatorSocket: string;
  /** Survives the death of this process, not of the machine. */
  readonly stateDirectory: string;
  readonly volumesMax: number;
  readonly segments: Readonly<Record<string, string>>;
  /** Storage networks by name, and the interfaces that are on them: see places.ts. */
  readonly networks: Readonly<Record<string, InterfacePatterns>>;
  /** A target that is silent for so long while its volume is unstaged is not waited for any longer: the call fails. */
  readonly deadAfterMs: number;
  /** The kubelet's folder plugins_registry, and the CSI socket as the kubelet sees it; undefined without a kubelet. */
  readonly registration: { readonly folder: string; readonly endpoint: string } | undefined;
  /** Where metrics are served; undefined: nowhere. */
  readonly metricsAddress: string | undefined;
}

const SOCKET_MODE = 0o600;
const BACKLOG = 64;

/** The node plugin: CSI Node and Identity on a socket, and what a node does by itself. */
export class NodePlugin {
  readonly #stops: readonly (() => unknown)[];

  /**
   * Serves when it resolves; becomes ready (Probe) when this node is known to the store. Targets and initiator need not be there.
   * @throws Error when a socket, the state directory or the store can't be used
   */
  static async start(options: NodePluginOptions, store: Store, logger: Logger): Promise<NodePlugin> {
    const { nodeId, clusterId, volumesMax, segments, driverName, version, socketPath } = options;
    const bootId = readBootId();
    const state = new StateDirectory(options.stateDirectory, bootId);
    for (const damage of state.damages()) logger.error(damage);
    const initiator = new InitiatorClient(options.initiatorSocket);
    const places = new Places(driverName, segments, options.networks);
    const isLeft = async (address: string): Promise<boolean> => state.isDamaged(address) || mayBeAttached(initiator, address);
    const isPublished = async (volumeId: string, epoch: number): Promise<boolean> => {
      const target = (await store.targets.get(parseVolumeId(volumeId)?.address ?? ''))?.value;
      return target?.publications.some((each) => each.nodeId === nodeId && each.epoch === epoch) ?? false;
    };
    const facts = { nodeId, segments, volumesMax, bootId };
    const recorder = new NodeRecorder(store.nodes, facts, state.list(), { isLeft, isPublished });
    const parts = { nodeId, clusterId, bootId, store, initiator, recorder, state };
    const service = new NodeService(parts, { deadAfterMs: options.deadAfterMs });
    const reporter = new Reporter(parts, places, logger);
    const follower = new SettingsFollower(parts, service.lock, logger);
    const agent = new TaskAgent({ ...parts, reporter }, service.lock, logger);
    const keeper = new OwnershipKeeper({ ...parts, reporter }, service.lock, logger);
    const leftovers = new Leftovers(parts, service, logger);
    let isReady = false;

    const metrics = new Registry();
    const operations = new CsiOperations(metrics, driverName);
    const services = {
      identity: identityHandlers({ driverName, version, isReady: () => isReady }),
      node: nodeHandlers({ nodeId, volumesMax }, parts, service),
    };
    const ended = (outcome: Parameters<CsiOperations['record']>[0]): void => operations.record(outcome);
    const { definition, handlers } = csiDefinition(services, { logger, ended, nextId: requestIds() });
    const server = new RpcServer(definition, handlers);
    mkdirSync(dirname(socketPath), { recursive: true });
    await server.serve(listenUnix(socketPath, { backlog: BACKLOG, mode: SOCKET_MODE }));
    const endpoint =
      options.metricsAddress === undefined ? undefined : await MetricsEndpoint.start(metrics, options.metricsAddress, logger);
    await reporter.start();
    isReady = true;
    follower.start();
    agent.start();
    keeper.start();
    leftovers.start();
    const needsInitiator = places.dependOnInterfaces;
    const registrar = registrarOf(options, recorder, logger);
    const registration =
      registrar === undefined ? undefined : { folder: options.registration?.folder ?? '', refusal: () => registrar.refusal };
    const preflight = new Preflight(parts, { registration, needsInitiator }, metrics, logger);
    // What is in the way of all volumes holds it back: the kubelet then knows no driver here, rather than one that fails.
    if (await preflight.start()) await registrar?.start();
    else {
      void preflight.fit.then(async () => {
        await registrar?.start().catch((error: unknown) => {
          logger.error('cannot register with the kubelet; start this process again', { err: error });
        });
      });
    }
    logger.info(`CSI for node ${nodeId} on ${socketPath}`, { node: nodeId, count: state.list().length });
    return new NodePlugin([
      async () => preflight.stop(),
      async () => registrar?.stop(),
      async () => server.stop(),
      async () => endpoint?.stop(),
      () => leftovers.stop(),
      async () => keeper.stop(),
      async () => agent.stop(),
      () => follower.stop(),
      async () => reporter.stop(),
      () => initiator.close(),
    ]);
  }

  private constructor(stops: readonly (() => unknown)[]) {
    this.#stops = stops;
  }

  /** Takes no more calls, gives those under way a moment, and ends. Volumes stay as they are. */
  async stop(): Promise<void> {
    for (const stop of this.#stops) await stop();
  }
}

/** Yes when it can't be asked: NodeUnstageVolume finds out (node-service.ts). */
async function mayBeAttached(initiator: InitiatorClient, address: string): Promise<boolean> {
  return initiator.attachment(address).then(
    (attachment) => attachment !== undefined,
    () => true,
  );
}

function registrarOf(
  { registration, driverName }: NodePluginOptions,
  recorder: NodeRecorder,
  logger: Logger,
): Registrar | undefined {
  if (registration === undefined) return undefined;
  const { folder, endpoint } = registration;
  const listen = (path: string): number => listenUnix(path, { backlog: BACKLOG, mode: SOCKET_MODE });
  const register = async (): Promise<KubeletRegistration> =>
    KubeletRegistration.start({ driverName, endpoint, folder, listen, logger });
  return new Registrar({ register, segments: () => recorder.segments, logger });
}
