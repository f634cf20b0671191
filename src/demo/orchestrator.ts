import { setTimeout as sleep } from 'node:timers/promises';
import type { ControllerMethods, NodeMethods, ProbeResponse } from '../csi/messages.ts';
import { RpcClient } from '../rpc/client.ts';
import type { Init } from '../rpc/message-types.ts';
import { loadService } from '../rpc/service.ts';
import { isRpcError, type RpcCode } from '../rpc/status.ts';
import type { Laboratory } from './laboratory.ts';

type Methods = ControllerMethods & NodeMethods;
type Method = keyof Methods;
type Plugin = 'controller' | 'node';

const SERVICES = {
  Identity: loadService('csi.proto', 'csi.v1.Identity'),
  Controller: loadService('csi.proto', 'csi.v1.Controller'),
  Node: loadService('csi.proto', 'csi.v1.Node'),
} as const;

/** As Kubernetes' sidecars have it. */
const CALL_MS = 30_000;
/** So long a call is made again that may succeed later. */
const INSIST_MS = 120_000;
/** What fails for longer is told. */
const QUIET_MS = 3_000;
const PAUSE_MS = 200;
const PROBE_MS = 10_000;
const READY_MS = 60_000;
const READY_PAUSE_MS = 50;

/** What may pass by itself: nobody answers yet, another call is under way, no target has been seen yet or none that is large enough. */
const PASSING: readonly RpcCode[] = ['UNAVAILABLE', 'ABORTED', 'DEADLINE_EXCEEDED', 'RESOURCE_EXHAUSTED', 'OUT_OF_RANGE'];

/** Calls CSI as an orchestrator does, makes a call again where that may help, and tells one line of each. */
export class Orchestrator {
  readonly #laboratory: Laboratory;

  constructor(laboratory: Laboratory) {
    this.#laboratory = laboratory;
  }

  /**
   * Makes a call.
   * @param told what came of it, in a few words
   * @throws RpcError
   */
  async call<Name extends Method>(
    name: Name,
    request: Init<Methods[Name]['request']>,
    told: (response: Methods[Name]['response']) => string,
  ): Promise<Methods[Name]['response']> {
    const [plugin, service] = name.startsWith('Node') ? (['node', 'Node'] as const) : (['controller', 'Controller'] as const);
    const startedMs = performance.now();
    const sinceMs = (): number => performance.now() - startedMs;
    let complaint = '';
    for (let tries = 1; ; tries++) {
      try {
        const response = await this.#once<Methods[Name]['response']>(plugin, service, name, request, CALL_MS);
        const howOften = tries === 1 ? '' : `, asked ${tries} times`;
        this.#laboratory.narrator.say(`${name}: ${told(response)} (${Math.round(sinceMs())} ms${howOften})`);
        return response;
      } catch (error) {
        const isPassing = isRpcError(error) && PASSING.includes(error.code) && sinceMs() < INSIST_MS;
        if (!isPassing || this.#laboratory.signal.aborted) throw named(name, error);
        if (sinceMs() > QUIET_MS && error.message !== complaint) {
          complaint = error.message;
          this.#laboratory.narrator.say(`${name}: not yet, ${error.code}: ${complaint}`);
        }
      }
      await sleep(PAUSE_MS, undefined, { signal: this.#laboratory.signal });
    }
  }

  /** Waits until a plugin says that it is ready: Probe. */
  async ready(plugin: Plugin): Promise<void> {
    const endMs = performance.now() + READY_MS;
    for (;;) {
      try {
        const { ready } = await this.#once<ProbeResponse>(plugin, 'Identity', 'Probe', {}, PROBE_MS);
        if (ready?.value !== false) return;
      } catch (error) {
        if (!isRpcError(error)) throw error;
      }
      if (performance.now() > endMs) throw new Error(`the ${plugin} is not ready after ${READY_MS / 1000} s`);
      await sleep(READY_PAUSE_MS, undefined, { signal: this.#laboratory.signal });
    }
  }

  /** On a connection of its own: the plugin may have been killed since the last call. */
  async #once<Response extends object>(
    plugin: Plugin,
    service: keyof typeof SERVICES,
    name: string,
    request: object,
    timeoutMs: number,
  ) {
    const { run, signal } = this.#laboratory;
    const client = new RpcClient(SERVICES[service], run.csiSocket(plugin));
    try {
      return await client.call<Response>(name, request, { timeoutMs, signal });
    } finally {
      client.close();
    }
  }
}

function named(method: string, error: unknown): unknown {
  if (isRpcError(error)) error.message = `${method}: ${error.code}: ${error.message}`;
  return error;
}
