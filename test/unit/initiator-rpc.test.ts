import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { CONTROL_PROTO, CONTROL_SERVICE } from '../../src/initiator/control-messages.ts';
import { RpcClient } from '../../src/rpc/client.ts';
import { RpcServer, type CallContext, type Handlers } from '../../src/rpc/server.ts';
import { loadService } from '../../src/rpc/service.ts';
import { RpcError } from '../../src/rpc/status.ts';
import { listenUnix } from '../../src/system/unix-socket.ts';

const service = loadService(CONTROL_PROTO, CONTROL_SERVICE);
const TIMEOUT = { timeoutMs: 5_000 };

let folder = '';
let server: RpcServer | undefined;
let client: RpcClient;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'aoe-csi-rpc-'));
});

afterEach(async () => {
  client.close();
  await server?.stop();
  rmSync(folder, { recursive: true });
});

/** Handlers for all methods; those not given answer with nothing. */
function handlersWith(given: Handlers): Handlers {
  const nothing = async (): Promise<object> => Promise.resolve({});
  return { ...Object.fromEntries(Object.keys(service).map((name) => [name, nothing])), ...given };
}

async function serve(given: Handlers): Promise<string> {
  const path = join(folder, 'socket');
  server = new RpcServer(service, handlersWith(given));
  await server.serve(listenUnix(path, { backlog: 8, mode: 0o600 }));
  client = new RpcClient(service, path);
  return path;
}

async function until(condition: () => boolean): Promise<void> {
  for (let tries = 0; !condition(); tries++) {
    if (tries === 300) throw new Error('waited 3 s in vain');
    await sleep(10);
  }
}

describe('RpcServer and RpcClient', () => {
  test('call() carries numbers beyond 32 bits, bytes, lists and what has its default value', async () => {
    const numbers = { shelf: 10, slot: 3, sectors: 2 ** 48 - 1, silentMs: Number.MAX_SAFE_INTEGER };
    const target = { name: 'e10.3', ...numbers, configString: Uint8Array.of(0, 255) };
    const path = await serve({ ListTargets: async () => Promise.resolve({ targets: [target] }) });
    expect(await client.call('ListTargets', {}, TIMEOUT)).toMatchObject({
      targets: [{ ...target, configString: Buffer.of(0, 255), state: '', trim: false, paths: [] }],
    });
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  test('call() rejects with code and message of the RpcError that the handler threw', async () => {
    await serve({ Stat: async () => Promise.reject(new RpcError('ABORTED', 'it is in use: end that')) });
    await expect(client.call('Stat', {}, TIMEOUT)).rejects.toMatchObject({
      name: 'RpcError',
      code: 'ABORTED',
      message: 'it is in use: end that',
    });
  });

  test('call() rejects with INTERNAL when the handler threw anything else', async () => {
    await serve({ Stat: async () => Promise.reject(new TypeError('x is not a function')) });
    await expect(client.call('Stat', {}, TIMEOUT)).rejects.toMatchObject({
      code: 'INTERNAL',
      message: 'internal error: x is not a function',
    });
  });

  test('call() rejects with DEADLINE_EXCEEDED and the handler is told when the time is over', async () => {
    let seen: CallContext | undefined;
    await serve({
      Stat: async (_, context) => {
        seen = context;
        expect(context.remainingMs()).toBeGreaterThan(0);
        await sleep(10_000, undefined, { signal: context.signal });
        return {};
      },
    });
    await expect(client.call('Stat', {}, { timeoutMs: 2_000 })).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    await until(() => seen?.signal.aborted === true);
  });

  test('the handler is told when the client cancels', async () => {
    let seen: CallContext | undefined;
    await serve({
      Stat: async (_, context) => {
        seen = context;
        await sleep(10_000, undefined, { signal: context.signal });
        return {};
      },
    });
    const cancel = new AbortController();
    const call = client.call('Stat', {}, { ...TIMEOUT, signal: cancel.signal });
    await Promise.all([
      until(() => seen !== undefined).then(() => cancel.abort()),
      expect(call).rejects.toMatchObject({ code: 'CANCELLED' }),
    ]);
    await until(() => seen?.signal.aborted === true);
  });

  test('stream() yields what the handler yields, and ends it when nobody listens any more', async () => {
    let ended = false;
    await serve({
      async *Errors(_, { signal }: CallContext) {
        for (let number = 0; !signal.aborted; number++) {
          yield { text: String(number) };
          await sleep(1);
        }
        ended = true;
      },
    });
    const texts: string[] = [];
    for await (const { text } of client.stream<{ text: string }>('Errors', { follow: true }, new AbortController().signal)) {
      texts.push(text);
      if (texts.length === 3) break;
    }
    expect(texts).toEqual(['0', '1', '2']);
    await until(() => ended);
  });

  test('stream() rejects with what the handler threw', async () => {
    await serve({
      // eslint-disable-next-line require-yield
      async *Errors() {
        await Promise.resolve();
        throw new RpcError('UNAVAILABLE', 'later');
      },
    });
    const read = async (): Promise<void> => {
      for await (const event of client.stream('Errors', {}, new AbortController().signal)) expect(event).toBeUndefined();
    };
    await expect(read()).rejects.toMatchObject({ code: 'UNAVAILABLE', message: 'later' });
  });

  test('call() rejects with the code also when the message is too long for a header', async () => {
    await serve({ Stat: async () => Promise.reject(new RpcError('FAILED_PRECONDITION', 'é😀'.repeat(50_000))) });
    const message = expect.stringMatching(/^é😀é.*…$/u);
    await expect(client.call('Stat', {}, { timeoutMs: 5_000 })).rejects.toMatchObject({ code: 'FAILED_PRECONDITION', message });
  });

  test('stop() waits for calls under way', async () => {
    const { promise, resolve } = Promise.withResolvers<object>();
    let isCalled = false;
    await serve({
      Stat: async () => {
        isCalled = true;
        return promise;
      },
    });
    const call = client.call('Stat', {}, { timeoutMs: 60_000 });
    await until(() => isCalled);
    let isStopped = false;
    const stopping = server?.stop().then(() => {
      isStopped = true;
    });
    await sleep(100);
    expect(isStopped).toBe(false);
    resolve({});
    await expect(call).resolves.toBeDefined();
    await stopping;
  });

  test('stop() cancels what does not end', async () => {
    let seen: CallContext | undefined;
    await serve({
      Stat: async (_, context) => {
        seen = context;
        await sleep(60_000, undefined, { signal: context.signal });
        return {};
      },
    });
    const call = client.call('Stat', {}, { timeoutMs: 60_000 });
    const failed = expect(call).rejects.toMatchObject({ name: 'RpcError' });
    await until(() => seen !== undefined);
    await server?.stop();
    await failed;
    await until(() => seen?.signal.aborted === true);
  });

  test('a service with a method too few or too many is refused', async () => {
    await serve({});
    expect(() => new RpcServer(service, {})).toThrow('method Discover has no handler');
    expect(() => new RpcServer(service, handlersWith({ Foo: async () => Promise.resolve({}) }))).toThrow('no method Foo');
  });
});
