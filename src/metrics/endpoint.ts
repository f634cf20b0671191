import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Registry } from 'prom-client';

/** Prometheus needs one connection; what more there are gets no part of this process. */
const CONNECTIONS_MAX = 16;
const REQUEST_MS = 10_000;

/** Serves GET /metrics over HTTP, in Prometheus' text format, and nothing else. */
export class MetricsEndpoint {
  readonly #server: Server;

  /**
   * @param address `host:port`, `[::1]:port` or `:port` for all addresses; port 0 lets the kernel choose
   * @throws Error when the address can't be listened on
   */
  static async start(registry: Registry, address: string): Promise<MetricsEndpoint> {
    const { host, port } = parseAddress(address);
    const server = createServer({ requestTimeout: REQUEST_MS, headersTimeout: REQUEST_MS }, (request, response) => {
      void answer(registry, request, response);
    });
    server.maxConnections = CONNECTIONS_MAX;
    await new Promise<void>((resolve, reject) => {
      server.once('error', (error) => reject(new Error(`cannot serve metrics on ${address}: ${error.message}`)));
      server.listen({ port, ...(host === '' ? {} : { host }) }, resolve);
    });
    return new MetricsEndpoint(server);
  }

  private constructor(server: Server) {
    this.#server = server;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
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
