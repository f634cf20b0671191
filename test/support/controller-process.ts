import { join } from 'node:path';
import { isRpcError } from '../../src/rpc/status.ts';
import { CLUSTER_ID } from './controller-node.ts';
import { ControllerClient, type Method, type RequestOf, type ResponseOf } from './controller-service.ts';
import { eventually, TestProcess } from './faults-process.ts';
import { MAIN } from './program.ts';

const START_MS = 15_000;
const CALL_MS = 20_000;

/** A store that is somewhere else. */
export interface ControllerPlace {
  /** For `--store`. */
  readonly place: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly clusterId: string;
}

/** `aoe-csi controller` as a process on a store, which a test kills, or lets kill itself, and starts again. */
export class ControllerProcess {
  readonly #folder: string;
  readonly #elsewhere: ControllerPlace;
  readonly #socketPath: string;
  #process: TestProcess | undefined;
  #client: ControllerClient | undefined;
  #reviving: Promise<void> | undefined;
  /** How often it has died. */
  deaths = 0;

  /**
   * @param folder of the store; the socket is in there, too
   * @param elsewhere where the store is, when it is not in the folder
   */
  constructor(folder: string, elsewhere: ControllerPlace = { place: folder, environment: {}, clusterId: CLUSTER_ID }) {
    this.#folder = folder;
    this.#elsewhere = elsewhere;
    this.#socketPath = join(folder, 'csi', 'csi.sock');
  }

  /** @param crashPoint where it shall die; nowhere when it is left out */
  async start(crashPoint?: string): Promise<void> {
    const { place, clusterId } = this.#elsewhere;
    const variables = Object.entries(this.#elsewhere.environment).map(([name, value]) => `${name}=${value}`);
    const environment = crashPoint === undefined ? variables : [...variables, `AOE_CSI_CRASH_AT=${crashPoint}`];
    const words = ['--endpoint', `unix://${this.#socketPath}`, '--store', place, '--cluster-id', clusterId];
    const started = new TestProcess(
      'controller',
      ['env', ...environment, process.execPath, MAIN, 'controller', ...words],
      this.#folder,
    );
    this.#process = started;
    await eventually('the controller to start', START_MS, () => {
      if (!started.running) throw new Error(started.report);
      return started.errors.some((line) => line.includes('the controller runs'));
    });
    this.#client = new ControllerClient(this.#socketPath);
  }

  /** Makes a call again until it succeeds; a controller that has died is started again, and does not die then. */
  async insist<Name extends Method>(method: Name, request: RequestOf<Name>): Promise<ResponseOf<Name>> {
    return eventually(`${method} to succeed`, CALL_MS, async () => {
      try {
        return await this.#client?.call(method, request);
      } catch (error) {
        if (!isRpcError(error) || (error.code !== 'ABORTED' && error.code !== 'UNAVAILABLE')) throw error;
        await (this.#reviving ??= this.#revive().finally(() => (this.#reviving = undefined)));
        return undefined;
      }
    });
  }

  async #revive(): Promise<void> {
    // Its end may be known later than the end of the connection.
    await new Promise((done) => setTimeout(done, 50));
    if (this.#process?.running === true) return;
    this.deaths++;
    this.#client?.close();
    await this.start();
  }

  get process(): TestProcess {
    if (this.#process === undefined) throw new Error('the controller was not started');
    return this.#process;
  }

  async end(): Promise<void> {
    this.#client?.close();
    await this.#process?.end();
  }
}
