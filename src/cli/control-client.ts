import { connect } from 'node:net';
import { resolve } from 'node:path';
import {
  CONTROL_PROTO,
  CONTROL_SERVICE,
  type AttachRequestMessage,
  type AttachResponse,
  type DetachRequestMessage,
  type DetachResponse,
  type EventMessage,
  type GrowRequestMessage,
  type InterfacesResponse,
  type ListAttachmentsResponse,
  type ListTargetsResponse,
  type StatResponse,
} from '../initiator/control-messages.ts';
import { RpcClient } from '../rpc/client.ts';
import { loadService } from '../rpc/service.ts';
import type { RpcCode, RpcError } from '../rpc/status.ts';
import { CommandFailure, EXIT_BUSY, EXIT_FAILED, EXIT_TIMEOUT, EXIT_UNREACHABLE } from './exit-codes.ts';

const QUICK_MS = 10_000;
/** The initiator answers a little before the deadline, so that it can still say what it waited for. */
const ANSWER_MARGIN_MS = 500;

const EXIT_CODES: Partial<Record<RpcCode, number>> = {
  DEADLINE_EXCEEDED: EXIT_TIMEOUT,
  ABORTED: EXIT_BUSY,
  ALREADY_EXISTS: EXIT_BUSY,
};

/** The initiator's control service, for commands: every failure is a CommandFailure with its exit code. */
export class ControlClient {
  readonly #rpc: RpcClient;

  /** Runs `work` with a client of the initiator at `socketPath`. @throws CommandFailure EXIT_UNREACHABLE when none answers */
  static async use<T>(socketPath: string, work: (client: ControlClient) => Promise<T>): Promise<T> {
    const path = resolve(socketPath);
    await requireServer(path);
    const rpc = new RpcClient(loadService(CONTROL_PROTO, CONTROL_SERVICE), path);
    try {
      return await work(new ControlClient(rpc));
    } catch (error) {
      throw (error as Error).name === 'RpcError' ? failureOf(error as RpcError) : error;
    } finally {
      rpc.close();
    }
  }

  private constructor(rpc: RpcClient) {
    this.#rpc = rpc;
  }

  async discover(): Promise<void> {
    await this.#rpc.call('Discover', {}, { timeoutMs: QUICK_MS });
  }

  async listTargets(): Promise<ListTargetsResponse> {
    return this.#rpc.call('ListTargets', {}, { timeoutMs: QUICK_MS });
  }

  async attach(request: AttachRequestMessage, timeoutSeconds: number, signal: AbortSignal): Promise<AttachResponse> {
    return this.#rpc.call('Attach', request, { timeoutMs: timeoutSeconds * 1000 + ANSWER_MARGIN_MS, signal });
  }

  async detach(request: DetachRequestMessage, timeoutSeconds: number): Promise<DetachResponse> {
    return this.#rpc.call('Detach', request, { timeoutMs: timeoutSeconds * 1000 + ANSWER_MARGIN_MS });
  }

  async grow({ shelf, slot }: GrowRequestMessage, timeoutSeconds: number): Promise<AttachResponse> {
    return this.#rpc.call('Grow', { shelf, slot }, { timeoutMs: timeoutSeconds * 1000 + ANSWER_MARGIN_MS });
  }

  async listAttachments(): Promise<ListAttachmentsResponse> {
    return this.#rpc.call('ListAttachments', {}, { timeoutMs: QUICK_MS });
  }

  async setInterfaces(patterns: readonly string[]): Promise<InterfacesResponse> {
    return this.#rpc.call('SetInterfaces', { patterns }, { timeoutMs: QUICK_MS });
  }

  async getInterfaces(): Promise<InterfacesResponse> {
    return this.#rpc.call('GetInterfaces', {}, { timeoutMs: QUICK_MS });
  }

  async stat(): Promise<StatResponse> {
    return this.#rpc.call('Stat', {}, { timeoutMs: QUICK_MS });
  }

  errors(follow: boolean, signal: AbortSignal): AsyncIterable<EventMessage> {
    return this.#rpc.stream('Errors', { follow }, signal);
  }
}

function failureOf(error: RpcError): CommandFailure {
  return new CommandFailure(EXIT_CODES[error.code] ?? EXIT_FAILED, error.message);
}

/** What to do about a socket that can't be connected to, by error code. */
const ADVICE: Readonly<Record<string, string>> = {
  ENOENT: 'no initiator has been started there; start it, as root, with: aoe-csi initiator --interfaces <names>',
  ECONNREFUSED: 'the initiator that made it has ended; start it again, as root, with: aoe-csi initiator --interfaces <names>',
  EACCES: 'only root may talk to the initiator; use sudo',
};

async function requireServer(path: string): Promise<void> {
  await new Promise<void>((done, reject) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      done();
    });
    socket.once('error', (error: NodeJS.ErrnoException) => {
      const code = error.code ?? 'unknown error';
      const advice = ADVICE[code] ?? 'check the path';
      reject(new CommandFailure(EXIT_UNREACHABLE, `cannot reach the initiator at ${path} (${code}): ${advice}`));
    });
  });
}
