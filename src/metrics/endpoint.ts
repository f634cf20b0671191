import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Registry } from 'prom-client';

/** Prometheus needs one connection; what more there are gets no part of this process. */
const CONNECTIONS_MAX = 16;
const REQUEST_MS = 10_000;

/** Somebody else has the port, or the address is not this machine's (yet): that may pass. */
const PASSING: ReadonlySet<string | undefined> = new Set(['EADDRINUSE', 'EADDRNOTAVAIL']);
/** Until it is tried again: twice as long each time. */
const PAUSE_MS_MIN = 1_000;
const PAUSE_MS_MAX = 60_000;

/** Where it says what becomes of it. */
export interface Teller {
  info(message: string): void;
  warn(message: string): void;
}

/**
 * Serves GET /metrics over HTTP, in Prometheus' text format, and nothing else. That somebody else has the address keeps nobody from his
 * work: it is told once, and taken up when it is free.
 */
export class MetricsEndpoint {
  readonly #registry: Registry;
  readonly #address: string;
  readonly #teller: Teller;
  readonly #stopping = new AbortController();
  #server: Server | undefined;
  #waiting: Promise<void> = Promise.resolve();

  /**
   * @param address `host:port`, `[::1]:port` or `:port` for all addresses; port 0 lets the kernel choose
   * @throws Error when the address is none, or can't be listened on for good
   */
  static async start(registry: Registry, address: string, teller: Teller, pauseMs = PAUSE_MS_MIN): Promise<MetricsEndpoint> {
    const endpoint = new MetricsEndpoint(registry, address, teller);
    const failure = await endpoint.#listen();
    if (failure !== undefined) {
      teller.warn(
        `${failure.message}; nothing else depends on it, and it is tried again: end the other process, or choose another port ` +
          '(a second installation in a cluster needs one: the value metrics.port)',
      );
      endpoint.#waiting = endpoint.#again(pauseMs);
    }
    return endpoint;
  }

  private constructor(registry: Registry, address: string, teller: Teller) {
    this.#registry = registry;
    this.#address = address;
    this.#teller = teller;
  }

  /** Undefined while somebody else has it. */
  get port(): number | undefined {
    return (this.#server?.address() as AddressInfo | undefined)?.port;
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#waiting;
    const server = this.#server;
    server?.closeAllConnections();
    await new Promise<void>((resolve) => {
      if (server === undefined) resolve();
      else server.close(() => resolve());
    });
  }

  async #again(firstPauseMs: number): Promise<void> {
    const { signal } = this.#stopping;
    for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(2 * pauseMs, PAUSE_MS_MAX)) {
      await sleep(pauseMs, undefined, { signal, ref: false }).catch(() => undefined);
      if (signal.aborted || (await this.#listen().catch((error: unknown) => error)) === undefined) return;
    }
  }

  /** @returns what is in the way and may pass; undefined when it serves. @throws Error for what may not */
  async #listen(): Promise<Error | undefined> {
    const { host, port } = parseAddress(this.#address);
    const server = createServer({ requestTimeout: REQUEST_MS, headersTimeout: REQUEST_MS }, (request, response) => {
      void answer(this.#registry, request, response);
    });
    server.maxConnections = CONNECTIONS_MAX;
    const error = await new Promise<NodeJS.ErrnoException | undefined>((resolve) => {
      server.once('error', resolve);
      server.listen({ port, ...(host === '' ? {} : { host }) }, () => resolve(undefined));
    });
    if (error !== undefined) {
      const failure = new Error(`cannot serve metrics on ${this.#address}: ${error.message}`);
      if (PASSING.has(error.code)) return failure;
      throw failure;
    }
    this.#server = server;
    this.#teller.info(`metrics on port ${this.port}`);
    return undefined;
  }
}

async function answer(registry: Registry, { method, url }: IncomingMessage, response: ServerResponse): Promise<void> {
  if (url?.split('?')[0] !== '/metrics') return end(response, 404, 'only /metrics is here\n');
  if (method !== 'GET' && method !== 'HEAD') return end(response, 405, 'only GET\n');
  try {
    const text = await registry.metrics();
    response.setHeader('content-type', registry.contentType);
    end(response, 200, text);
  } catch (error) {
    end(response, 500, `cannot collect metrics: ${(error as Error).message}\n`);
  }
}

function end(response: ServerResponse, status: number, text: string): void {
  response.statusCode = status;
  response.end(text);
}

/** @throws Error that says what an address looks like */
export function parseAddress(address: string): { readonly host: string; readonly port: number } {
  const match = /^(?:\[([^\]]+)\]|([^:]*)):(\d{1,5})$/.exec(address);
  const port = Number(match?.[3]);
  if (match === null || port > 65_535) {
    throw new Error(`'${address}' is no address to serve metrics on; use something like :9810 or 127.0.0.1:9810`);
  }
  return { host: match[1] ?? match[2], port };
}
