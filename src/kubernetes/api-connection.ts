import type { IncomingMessage } from 'node:http';
import { Agent, request, type RequestOptions } from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';
import type { KubeConfig } from '@kubernetes/client-node';
import { UnreachableError } from './api-failure.ts';

/** Connections at a time; each watch holds one of them. */
const SOCKETS_MAX = 16;
/** Whatever takes longer is not waited for: a call of CSI must end. */
const REQUEST_MS = 30_000;
/** Bytes of one answer: a page of records. */
const ANSWER_BYTES_MAX = 128 * 2 ** 20;
/** An API server that is busy says so, and when to come again. */
const BUSY = 429;
const BUSY_TRIES_MAX = 5;
const BUSY_PAUSE_MS_MAX = 5_000;

export interface ApiRequest {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  /** From the server's root, without query. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly accept?: string;
  /** Sent as JSON; a text as it is. */
  readonly body?: unknown;
  readonly contentType?: string;
}

export interface ApiAnswer {
  readonly status: number;
  /** What the JSON says; the text itself where it is none. */
  readonly body: unknown;
}

/**
 * Requests to an API server. Where it is and who we are, the client library knows (kubeconfig, service account, tokens that change);
 * the requests are ours, so that connections are kept, watches are read line by line, and all that is received has a limit.
 */
export class ApiConnection {
  readonly #config: KubeConfig;
  readonly #url: string;
  #agent = new Agent();
  /** What the agent was made with: certificates may be renewed. */
  #agentKey = '';
  readonly #underWay = new Set<Promise<unknown>>();

  /** @throws Error when the configuration names no server */
  constructor(config: KubeConfig) {
    const cluster = config.getCurrentCluster();
    if (cluster === null) throw new Error('there is no current cluster');
    this.#config = config;
    this.#url = cluster.server.replace(/\/+$/, '');
  }

  /** For messages. */
  get url(): string {
    return this.#url;
  }

  /** @throws UnreachableError when there is no answer, or not a whole one */
  async request(wanted: ApiRequest): Promise<ApiAnswer> {
    const asking = this.#ask(wanted);
    this.#underWay.add(asking);
    try {
      return await asking;
    } finally {
      this.#underWay.delete(asking);
    }
  }

  /**
   * Opens an answer that goes on for long, for the caller to read.
   * @param signal ends it
   * @throws UnreachableError
   */
  async stream(wanted: ApiRequest, signal: AbortSignal): Promise<IncomingMessage> {
    return this.#open(wanted, { signal, started: () => undefined });
  }

  /** The server's time, in milliseconds since 1970, to a second. @throws UnreachableError */
  async timeMs(): Promise<number> {
    const response = await this.stream({ method: 'GET', path: '/version' }, AbortSignal.timeout(REQUEST_MS));
    await this.read(response);
    const ms = Date.parse(response.headers.date ?? '');
    if (Number.isNaN(ms)) throw new UnreachableError(`${this.#url} does not say what time it is`);
    return ms;
  }

  /** Reads an answer to its end. @throws UnreachableError */
  async read(response: IncomingMessage): Promise<ApiAnswer> {
    const chunks: Buffer[] = [];
    let bytes = 0;
    try {
      for await (const chunk of response as AsyncIterable<Buffer>) {
        bytes += chunk.length;
        if (bytes > ANSWER_BYTES_MAX) throw new Error(`an answer has more than ${ANSWER_BYTES_MAX} bytes`);
        chunks.push(chunk);
      }
    } catch (error) {
      throw this.#unreachable(error);
    }
    return { status: response.statusCode ?? 0, body: parsed(Buffer.concat(chunks).toString()) };
  }

  /** Waits for requests under way. Streams are their callers' to end. */
  async close(): Promise<void> {
    await Promise.allSettled(this.#underWay);
    this.#agent.destroy();
  }

  async #ask(wanted: ApiRequest): Promise<ApiAnswer> {
    for (let tries = 1; ; tries++) {
      const { answer, retryAfter = '1' } = await this.#askOnce(wanted);
      if (answer.status !== BUSY || tries === BUSY_TRIES_MAX) return answer;
      await sleep(Math.min(Number(retryAfter) * 1_000 || BUSY_PAUSE_MS_MAX, BUSY_PAUSE_MS_MAX));
    }
  }

  async #askOnce(wanted: ApiRequest): Promise<{ readonly answer: ApiAnswer; readonly retryAfter: string | undefined }> {
    const late = new AbortController();
    let timer: NodeJS.Timeout | undefined;
    // Waiting for one of the connections is not the server's delay.
    const started = (): void => {
      timer ??= setTimeout(() => late.abort(), REQUEST_MS);
    };
    try {
      const response = await this.#open(wanted, { signal: late.signal, started });
      return { answer: await this.read(response), retryAfter: response.headers['retry-after'] };
    } finally {
      clearTimeout(timer);
    }
  }

  async #open(wanted: ApiRequest, course: Course): Promise<IncomingMessage> {
    try {
      const options = await this.#options(wanted);
      try {
        return await this.#send(wanted, options, course);
      } catch (error) {
        // The server had closed a connection that was kept: it has not seen the request. Were it otherwise, a write would conflict.
        if (!(error instanceof StaleConnection)) throw error;
        return await this.#send(wanted, options, course);
      }
    } catch (error) {
      throw this.#unreachable(error);
    }
  }

  async #send({ path, query, body }: ApiRequest, options: RequestOptions, course: Course): Promise<IncomingMessage> {
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    const url = `${this.#url}${path}${query === undefined ? '' : `?${new URLSearchParams(query).toString()}`}`;
    const content = body === undefined ? undefined : Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
    const sent = request(url, { ...options, signal: course.signal }, resolve);
    // Node sends the body of a DELETE without its length unless told, and the server takes it for the next request.
    if (content !== undefined) sent.setHeader('content-length', content.length);
    sent.on('socket', course.started);
    sent.on('error', (error: NodeJS.ErrnoException) => {
      reject(sent.reusedSocket && error.code === 'ECONNRESET' ? new StaleConnection(error.message) : error);
    });
    sent.end(content);
    return promise;
  }

  async #options({ method, accept, body, contentType }: ApiRequest): Promise<RequestOptions> {
    const options: RequestOptions = {};
    // Reads the token anew when it is old.
    await this.#config.applyToHTTPSOptions(options);
    const headers: Record<string, string> = {
      ...(options.headers as Record<string, string>),
      accept: accept ?? 'application/json',
      'user-agent': 'aoe-csi',
      ...(body === undefined ? {} : { 'content-type': contentType ?? 'application/json' }),
    };
    return { ...options, method, headers, agent: this.#agentFor(options) };
  }

  /** The library's own agent opens a connection for each request; it is only needed for proxies. */
  #agentFor({ agent, ca, cert, key, servername, rejectUnauthorized }: RequestOptions): RequestOptions['agent'] {
    if (this.#config.getCurrentCluster()?.proxyUrl !== undefined) return agent;
    const agentKey = [ca, cert, key, servername, rejectUnauthorized].map(String).join();
    if (agentKey !== this.#agentKey) {
      const tls = { ca, cert, key, servername, rejectUnauthorized };
      const given = Object.fromEntries(Object.entries(tls).filter(([, value]) => value !== undefined));
      // Requests under way end on the connections of the one before.
      this.#agent = new Agent({ ...given, keepAlive: true, keepAliveMsecs: 30_000, maxSockets: SOCKETS_MAX });
      this.#agentKey = agentKey;
    }
    return this.#agent;
  }

  #unreachable(error: unknown): UnreachableError {
    const { code, message, name } = error as NodeJS.ErrnoException;
    const isLate = name === 'AbortError' || name === 'TimeoutError';
    if (isLate) return new UnreachableError(`${this.#url} has not answered within ${REQUEST_MS / 1000} s`);
    return new UnreachableError(`${this.#url} can't be reached (${code ?? message})`);
  }
}

/** What happens to a request on its way. */
interface Course {
  /** Ends it. */
  readonly signal: AbortSignal;
  /** It has got a connection. */
  readonly started: () => void;
}

class StaleConnection extends Error {}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
