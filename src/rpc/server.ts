import { createServer, type Server as SocketServer, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  Server,
  ServerCredentials,
  type handleServerStreamingCall,
  type handleUnaryCall,
  type ServiceDefinition,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { RpcError, statusOf } from './status.ts';
import type { Message } from './service.ts';

/** What a handler knows of its call besides the request. */
export interface CallContext {
  /** Aborted when the client has gone, has cancelled, or its deadline has passed: nobody reads the answer any more. */
  readonly signal: AbortSignal;
  /** Milliseconds until the client's deadline; Infinity when it set none. */
  remainingMs(): number;
}

export type UnaryHandler = (request: Message, context: CallContext) => Promise<Message>;
/** Sends messages until it returns. */
export type StreamHandler = (request: Message, context: CallContext) => AsyncIterable<Message>;

/** One function per method, by the method's name in the .proto file. */
export type Handlers = Readonly<Record<string, UnaryHandler | StreamHandler>>;

/** How long calls under way may take to end when the server stops. */
const DRAIN_MS = 2_000;

/**
 * A gRPC server on a socket that somebody else has opened: the caller decides who may connect and what happens to a socket that
 * is in use already, which gRPC's own way of listening on unix sockets leaves open.
 */
export class RpcServer {
  readonly #server = new Server({ 'grpc.max_receive_message_length': 1024 * 1024 });
  readonly #injector = this.#server.createConnectionInjector(ServerCredentials.createInsecure());
  readonly #sockets: SocketServer;
  readonly #connections = new Set<Socket>();

  /** @throws Error when a method of the service has no handler, or a handler no method */
  constructor(service: ServiceDefinition, handlers: Handlers) {
    this.#server.addService(service, implementation(service, handlers));
    this.#sockets = createServer((socket) => {
      this.#connections.add(socket);
      socket.on('close', () => this.#connections.delete(socket));
      socket.on('error', () => socket.destroy());
      this.#injector.injectConnection(socket);
    });
  }

  /** Serves the connections to a listening stream socket, whose descriptor is the server's from now on. */
  async serve(fd: number): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#sockets.once('error', reject);
      this.#sockets.listen({ fd }, resolve);
    });
  }

  /** Takes no new calls, gives those under way a moment, then cancels them. */
  async stop(): Promise<void> {
    this.#sockets.close();
    // A connection closes when its last call has ended. gRPC itself waits for none that was injected.
    this.#injector.drain(DRAIN_MS);
    await Promise.race([Promise.all([...this.#connections].map(endOf)), sleep(DRAIN_MS, undefined, { ref: false })]);
    this.#injector.destroy();
    this.#server.forceShutdown();
  }
}

async function endOf(socket: Socket): Promise<void> {
  await new Promise<void>((done) => {
    socket.once('close', () => done());
  });
}

function implementation(service: ServiceDefinition, handlers: Handlers): UntypedServiceImplementation {
  const unknown = Object.keys(handlers).filter((name) => !(name in service));
  if (unknown.length > 0) throw new Error(`the service has no method ${unknown.join(', ')}`);
  const calls: UntypedServiceImplementation = {};
  for (const [name, { responseStream }] of Object.entries(service)) {
    const handler = handlers[name];
    if (handler === undefined) throw new Error(`method ${name} has no handler`);
    calls[name] = responseStream ? streamCall(handler as StreamHandler) : unaryCall(handler as UnaryHandler);
  }
  return calls;
}

function unaryCall(handler: UnaryHandler): handleUnaryCall<Message, Message> {
  return (call, callback) => {
    const answer = async (): Promise<void> => {
      let response: Message;
      try {
        response = await handler(call.request, contextOf(call));
      } catch (error) {
        callback(statusOf(error));
        return;
      }
      callback(null, response);
    };
    void answer();
  };
}

function streamCall(handler: StreamHandler): handleServerStreamingCall<Message, Message> {
  return (call) => {
    const context = contextOf(call);
    const send = async (): Promise<void> => {
      for await (const message of handler(call.request, context)) {
        if (context.signal.aborted) return;
        if (!call.write(message)) await drained(call, context.signal);
      }
    };
    send().then(
      () => call.end(),
      (error: unknown) => call.emit('error', statusOf(error)),
    );
  };
}

interface Cancellable {
  on(event: 'cancelled', listener: () => void): unknown;
  getDeadline(): Date | number;
}

function contextOf(call: Cancellable): CallContext {
  const abort = new AbortController();
  call.on('cancelled', () => abort.abort(new RpcError('CANCELLED', 'the caller has gone or its deadline has passed')));
  const deadline = call.getDeadline();
  return { signal: abort.signal, remainingMs: () => Number(deadline) - Date.now() };
}

/** A client that reads slowly: wait until there is room for more, or nobody who would want it. */
async function drained(call: NodeJS.EventEmitter, signal: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => {
    const done = (): void => {
      call.removeListener('drain', done);
      signal.removeEventListener('abort', done);
      resolve();
    };
    call.once('drain', done);
    signal.addEventListener('abort', done);
  });
}
