import { randomUUID } from 'node:crypto';
import { mkdirSync, rmSync } from 'node:fs';
import { hostname } from 'node:os';
import { dirname } from 'node:path';
import { Registry } from 'prom-client';
import { requestIds } from '../csi/request-ids.ts';
import { csiDefinition } from '../csi/service.ts';
import { identityHandlers } from '../identity/identity.ts';
import type { Logger } from '../logging/logger.ts';
import { CsiOperations } from '../metrics/csi-operations.ts';
import { MetricsEndpoint } from '../metrics/endpoint.ts';
import { RpcServer } from '../rpc/server.ts';
import { listenUnix } from '../system/unix-socket.ts';
import { ALWAYS_ELECTED, type Election } from '../volumes/election.ts';
import { Liveness } from '../volumes/liveness.ts';
import type { Store } from '../volumes/store.ts';
import { controllerHandlers } from './handlers.ts';
import { Housekeeping } from './housekeeping.ts';

export interface ControllerOptions {
  /** Unix socket that CSI is served on. */
  readonly socketPath: string;
  readonly clusterId: string;
  readonly driverName: string;
  readonly version: string;
  /** `host:port` of the metrics; none where it is left out. */
  readonly metricsAddress?: string | undefined;
  /** Leaves what nobody calls for to one of the controllers, where the store can elect one. */
  readonly isElecting?: boolean;
}

/** What goes on beside the calls. */
interface Background {
  readonly housekeeping: Housekeeping;
  readonly election: Election;
  readonly metrics: MetricsEndpoint | undefined;
}

/** Whoever may open the socket may make and delete volumes. */
const SOCKET_MODE = 0o600;
const BACKLOG = 64;

/** The controller: CSI Controller and Identity on a socket, and what is done without being asked. */
export class Controller {
  readonly #socketPath: string;
  readonly #server: RpcServer;
  readonly #housekeeping: Housekeeping;
  readonly #election: Election;
  readonly #metrics: MetricsEndpoint | undefined;

  /**
   * Starts everything; calls are answered when this resolves.
   * @param store stays the caller's to close, after `stop`
   * @throws SystemError EADDRINUSE when another controller has the socket; Error when the metrics' address is none
   */
  static async start(options: ControllerOptions, store: Store, logger: Logger): Promise<Controller> {
    const { socketPath, clusterId, driverName, version, metricsAddress, isElecting = false } = options;
    const parts = { store, clusterId, nowMs: () => Date.now(), liveness: new Liveness(), logger };
    const registry = new Registry();
    const operations = new CsiOperations(registry, driverName);
    const services = {
      identity: identityHandlers({ driverName, version, isReady: () => true }),
      controller: controllerHandlers(parts),
    };
    const surroundings = {
      logger,
      ended: (outcome: Parameters<CsiOperations['record']>[0]) => operations.record(outcome),
      nextId: requestIds(),
    };
    const { definition, handlers } = csiDefinition(services, surroundings);
    const server = new RpcServer(definition, handlers);
    mkdirSync(dirname(socketPath), { recursive: true });
    const socket = listenUnix(socketPath, { backlog: BACKLOG, mode: SOCKET_MODE });
    const metrics = metricsAddress === undefined ? undefined : await MetricsEndpoint.start(registry, metricsAddress, logger);
    await server.serve(socket);
    const election = (isElecting ? store.elect?.(`${hostname()}_${randomUUID()}`) : undefined) ?? ALWAYS_ELECTED;
    const housekeeping = new Housekeeping(parts, election, registry);
    housekeeping.start();
    return new Controller(socketPath, server, { housekeeping, election, metrics });
  }

  private constructor(socketPath: string, server: RpcServer, { housekeeping, election, metrics }: Background) {
    this.#socketPath = socketPath;
    this.#server = server;
    this.#housekeeping = housekeeping;
    this.#election = election;
    this.#metrics = metrics;
  }

  /** Takes no more calls, gives those under way a moment, then ends. */
  async stop(): Promise<void> {
    // Now, while it is served: later it may be a successor's.
    rmSync(this.#socketPath, { force: true });
    await this.#server.stop();
    await this.#housekeeping.stop();
    await this.#election.stop();
    await this.#metrics?.stop();
  }
}
