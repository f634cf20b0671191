import { join } from 'node:path';
import type { NodeMethods } from '../../src/csi/messages.ts';
import { RpcClient } from '../../src/rpc/client.ts';
import type { Init } from '../../src/rpc/message-types.ts';
import { loadService } from '../../src/rpc/service.ts';
import { isRpcError, type RpcCode } from '../../src/rpc/status.ts';
import { eventually, TestProcess } from './faults-process.ts';
import { patiently } from './patience.ts';
import { MAIN } from './program.ts';

const START_MS = 15_000;
const CALL_MS = 10_000;
const INSIST_MS = 40_000;
const LOOK_MS = 100;
/** What an orchestrator makes a call again for. */
const PASSING: readonly RpcCode[] = ['ABORTED', 'UNAVAILABLE', 'DEADLINE_EXCEEDED'];

export type NodeMethod = keyof NodeMethods;
export type NodeRequest<Name extends NodeMethod> = Init<NodeMethods[Name]['request']>;
export type NodeResponse<Name extends NodeMethod> = NodeMethods[Name]['response'];

export interface NodeProcessOptions {
  readonly folder: string;
  readonly nodeId: string;
  readonly initiatorSocket: string;
  readonly storeFolder: string;
  readonly stateFolder: string;
  readonly clusterId: string;
  readonly words: readonly string[];
  /** Starts its command line, e.g. in a mount namespace. */
  readonly launcher: readonly string[];
}

/** `aoe-csi node` as a process, which a test kills, or lets kill itself, and starts again. */
export class NodeProcess {
  readonly socketPath: string;
  readonly #options: NodeProcessOptions;
  #environment: Readonly<Record<string, string>>;
  #process: TestProcess | undefined;
  #client: RpcClient | undefined;
  #next: (() => Readonly<Record<string, string>>) | undefined;
  #reviving: Promise<void> = Promise.resolve();
  #revival: Promise<void> | undefined;
  /** How often it has died by itself. */
  deaths = 0;

  constructor(options: NodeProcessOptions, environment: Readonly<Record<string, string>> = {}) {
    this.#options = options;
    this.#environment = environment;
    this.socketPath = join(options.folder, options.nodeId, 'csi.sock');
  }

  async start(): Promise<void> {
    const { nodeId, initiatorSocket, storeFolder, stateFolder, clusterId, folder, words, launcher } = this.#options;
    const environment = Object.entries(this.#environment).map(([name, value]) => `${name}=${value}`);
    const paths = ['--endpoint', `unix://${this.socketPath}`, '--initiator', initiatorSocket, '--store', storeFolder];
    const rest = [
      '--state-directory',
      stateFolder,
      '--cluster-id',
      clusterId,
      '--node-id',
      nodeId,
      '--dead-after',
      '2',
      ...words,
    ];
    const started = new TestProcess(
      'node',
      ['env', ...environment, ...launcher, process.execPath, MAIN, 'node', ...paths, ...rest],
      folder,
    );
    this.#process = started;
    await eventually('the node plugin to start', START_MS, () => {
      if (!started.running) throw new Error(started.report);
      return started.errors.some((line) => line.includes('CSI for node'));
    });
    this.#client = new RpcClient(loadService('csi.proto', 'csi.v1.Node'), this.socketPath);
  }

  get nodeId(): string {
    return this.#options.nodeId;
  }

  get running(): boolean {
    return this.#process?.running === true;
  }

  get report(): string {
    return this.#process?.report ?? 'the node plugin was not started';
  }

  get log(): readonly string[] {
    return this.#process?.errors ?? [];
  }

  async logged(pattern: RegExp): Promise<string> {
    return eventually(`the node plugin to say ${String(pattern)}`, START_MS, () => this.log.find((line) => pattern.test(line)));
  }

  async call<Name extends NodeMethod>(
    method: Name,
    request: NodeRequest<Name>,
    timeoutMs = patiently(CALL_MS),
  ): Promise<NodeResponse<Name>> {
    if (this.#client === undefined) throw new Error('the node plugin was not started');
    return this.#client.call(method, request, { timeoutMs });
  }

  /** `OK`, or gRPC's name of what went wrong and the message. */
  async outcome<Name extends NodeMethod>(
    method: Name,
    request: NodeRequest<Name>,
    timeoutMs = patiently(CALL_MS),
  ): Promise<string> {
    try {
      await this.call(method, request, timeoutMs);
      return 'OK';
    } catch (error) {
      if (!isRpcError(error)) throw error;
      return `${error.code}: ${error.message}`;
    }
  }

  /** Makes a call again until it succeeds, as an orchestrator does; a plugin that has died is started again, and does not die then. */
  async insist<Name extends NodeMethod>(method: Name, request: NodeRequest<Name>): Promise<NodeResponse<Name>> {
    return eventually(`${method} to succeed; ${this.report}`, INSIST_MS, async () => {
      try {
        return await this.call(method, request);
      } catch (error) {
        if (!isRpcError(error) || !PASSING.includes(error.code)) throw error;
        await this.revive();
        return undefined;
      }
    });
  }

  /** From now on it is started again whenever it has died, each time with what `environment` answers. */
  keepAlive(environment: () => Readonly<Record<string, string>>): void {
    this.#next = environment;
    const look = (): void => {
      if (this.#next === undefined) return;
      this.#reviving = this.revive().finally(() => setTimeout(look, LOOK_MS));
    };
    look();
  }

  /** Starts it again, if it has died. */
  async revive(): Promise<void> {
    this.#revival ??= this.#revive().finally(() => {
      this.#revival = undefined;
    });
    return this.#revival;
  }

  async #revive(): Promise<void> {
    // Its end may be known later than the end of the connection.
    await new Promise((done) => setTimeout(done, 100));
    while (!this.running) {
      this.deaths++;
      this.#client?.close();
      this.#environment = this.#next?.() ?? {};
      try {
        await this.start();
      } catch (error) {
        // Killed again before it was up: that, too, is what it has to live with.
        if (this.running || this.#next === undefined) throw error;
      }
    }
  }

  /** Kills it as a power failure would, and starts it again. */
  async restart(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    await this.end(signal);
    await this.start();
  }

  /** Nothing of it runs until it gets SIGCONT: SIGSTOP. */
  signal(name: 'SIGSTOP' | 'SIGCONT'): void {
    this.#process?.signal(name);
  }

  /** Kills it, and does no more. */
  kill(): void {
    this.#process?.signal('SIGKILL');
  }

  async end(signal?: NodeJS.Signals): Promise<void> {
    this.#next = undefined;
    await this.#reviving;
    this.#client?.close();
    await this.#process?.end(signal);
  }
}
