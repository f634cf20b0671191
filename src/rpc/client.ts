import { Client, credentials, type ClientReadableStream, type ServiceDefinition, type ServiceError } from '@grpc/grpc-js';
import { errorOf } from './status.ts';
import type { Message } from './service.ts';

const MESSAGE_BYTES_MAX = 64 * 1024 * 1024;

export interface CallOptions {
  /** The call fails with DEADLINE_EXCEEDED after so long. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

/** A gRPC client of one service on a unix socket. It connects with the first call, and again after the server was away. */
export class RpcClient {
  readonly #service: ServiceDefinition;
  readonly #client: Client;

  /** @param socketPath absolute path of the server's socket */
  constructor(service: ServiceDefinition, socketPath: string) {
    this.#service = service;
    this.#client = new Client(`unix:${socketPath}`, credentials.createInsecure(), {
      'grpc.max_receive_message_length': MESSAGE_BYTES_MAX,
      // Names of unix sockets are no names of hosts.
      'grpc.default_authority': 'localhost',
      'grpc.enable_http_proxy': 0,
    });
  }

  /** Calls a method that answers once. @throws RpcError */
  async call<Response extends Message>(method: string, request: Message, options: CallOptions): Promise<Response> {
    const { path, requestSerialize, responseDeserialize } = this.#service[method];
    return new Promise((resolve, reject) => {
      const answered = (error: ServiceError | null, response?: Message): void => {
        options.signal?.removeEventListener('abort', cancel);
        if (error === null) resolve(response as Response);
        else reject(errorOf(error));
      };
      const deadline = Date.now() + options.timeoutMs;
      const call = this.#client.makeUnaryRequest(path, requestSerialize, responseDeserialize, request, { deadline }, answered);
      const cancel = (): void => call.cancel();
      options.signal?.addEventListener('abort', cancel);
      if (options.signal?.aborted === true) cancel();
    });
  }

  /** Calls a method that answers with a stream; ends early when `signal` is aborted. @throws RpcError */
  async *stream<Response extends Message>(method: string, request: Message, signal: AbortSignal): AsyncIterable<Response> {
    const { path, requestSerialize, responseDeserialize } = this.#service[method];
    const call = this.#client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, request);
    const cancel = (): void => call.cancel();
    signal.addEventListener('abort', cancel);
    try {
      for await (const message of call as ClientReadableStream<Response>) yield message as Response;
    } catch (error) {
      if (!signal.aborted) throw errorOf(error as ServiceError);
    } finally {
      signal.removeEventListener('abort', cancel);
      call.cancel();
    }
  }

  close(): void {
    this.#client.close();
  }
}
