import { afterEach, describe, expect, test } from '@jest/globals';
import type { CsiServices } from '../../src/csi/handlers.ts';
import { identityHandlers } from '../../src/identity/identity.ts';
import { RpcClient } from '../../src/rpc/client.ts';
import { loadProto } from '../../src/rpc/proto-file.ts';
import { serviceDefinition } from '../../src/rpc/service.ts';
import { RpcError } from '../../src/rpc/status.ts';
import { serveCsi, type CsiTestServer } from '../support/csi-server.ts';

const SECRET = 'hunter2';
const CALL = { timeoutMs: 5_000 };
const root = loadProto('csi.proto');
const METHODS = Object.assign({}, ...['Identity', 'Controller', 'Node', 'GroupController'].map(definitionOf));

function definitionOf(service: string): object {
  return serviceDefinition(root.lookupService(`csi.v1.${service}`));
}

let server: CsiTestServer;
let client: RpcClient;

async function start(services: CsiServices): Promise<void> {
  server = await serveCsi(services);
  client = new RpcClient(METHODS, server.socketPath);
}

afterEach(async () => {
  client.close();
  await server.stop();
});

const identity = (isReady = true) => identityHandlers({ driverName: 'aoe.csi.dev', version: '1.2.3', isReady: () => isReady });

describe('csiDefinition()', () => {
  test('serves Identity when it is all there is', async () => {
    await start({ identity: identity() });
    expect(await client.call('GetPluginInfo', {}, CALL)).toEqual({ name: 'aoe.csi.dev', vendorVersion: '1.2.3', manifest: {} });
    expect(await client.call('GetPluginCapabilities', {}, CALL)).toEqual({
      capabilities: [
        { service: { type: 'CONTROLLER_SERVICE' } },
        { service: { type: 'VOLUME_ACCESSIBILITY_CONSTRAINTS' } },
        { volumeExpansion: { type: 'ONLINE' } },
      ],
    });
    expect(await client.call('Probe', {}, CALL)).toEqual({ ready: { value: true } });
  });

  test('answers Probe with ready = false while the plugin starts', async () => {
    await start({ identity: identity(false) });
    expect(await client.call('Probe', {}, CALL)).toEqual({ ready: { value: false } });
  });

  test.each(['CreateVolume', 'CreateSnapshot', 'NodeGetInfo', 'CreateVolumeGroupSnapshot'])(
    'answers UNIMPLEMENTED when %s has no handler',
    async (method) => {
      await start({ identity: identity(), controller: {} });
      await expect(client.call(method, {}, CALL)).rejects.toMatchObject({ code: 'UNIMPLEMENTED' });
    },
  );

  test('refuses a request before its handler is called, and names method and field', async () => {
    let calls = 0;
    await start({ controller: { DeleteVolume: () => Promise.resolve({ calls: ++calls }) } });
    await expect(client.call('DeleteVolume', {}, CALL)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: 'DeleteVolume: volume_id is required',
    });
    expect(calls).toBe(0);
  });

  test('refuses a request whose text is no UTF-8, and lives on', async () => {
    await start({ controller: { ControllerGetVolume: () => Promise.reject(new RpcError('NOT_FOUND', 'never asked')) } });
    const method = METHODS['ControllerGetVolume'];
    // Half of a surrogate pair, as UTF-8 never has it: field 1, three bytes.
    const raw = { ...METHODS, ControllerGetVolume: { ...method, requestSerialize: () => Buffer.from('0a03eda080', 'hex') } };
    const rude = new RpcClient(raw, server.socketPath);
    try {
      await expect(rude.call('ControllerGetVolume', {}, CALL)).rejects.toMatchObject({ code: 'INTERNAL' });
      await expect(client.call('ControllerGetVolume', { volumeId: 'x' }, CALL)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    } finally {
      rude.close();
    }
  });

  test('writes no more of a name into the log than a name may have', async () => {
    await start({ controller: { DeleteVolume: () => Promise.resolve({}) } });
    await expect(client.call('DeleteVolume', { volumeId: 'x'.repeat(100_000) }, CALL)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
    const line = server.log.find(({ code }) => code === 'INVALID_ARGUMENT');
    expect(JSON.stringify(line).length).toBeLessThan(1_000);
  });

  test('passes codes of handlers on, and answers INTERNAL when a handler throws anything else', async () => {
    await start({
      controller: {
        DeleteVolume: () => Promise.reject(new RpcError('FAILED_PRECONDITION', 'e1.1: still published to node-a')),
        ControllerGetVolume: () => Promise.reject(new TypeError('x is undefined')),
      },
    });
    await expect(client.call('DeleteVolume', { volumeId: 'e1.1@0' }, CALL)).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: 'e1.1: still published to node-a',
    });
    await expect(client.call('ControllerGetVolume', { volumeId: 'e1.1@0' }, CALL)).rejects.toMatchObject({ code: 'INTERNAL' });
    expect(server.outcomes).toMatchObject([
      { path: '/csi.v1.Controller/DeleteVolume', code: 'FAILED_PRECONDITION' },
      { path: '/csi.v1.Controller/ControllerGetVolume', code: 'INTERNAL' },
    ]);
    expect(server.log.filter((line) => line['code'] !== undefined)).toMatchObject([
      { level: 'warn', method: 'DeleteVolume', volume: 'e1.1@0', code: 'FAILED_PRECONDITION' },
      { level: 'error', method: 'ControllerGetVolume', volume: 'e1.1@0', code: 'INTERNAL', err: { type: 'TypeError' } },
    ]);
  });

  test('puts id, method, volume, node, code and duration into the log, and no secret', async () => {
    await start({
      controller: {
        ControllerPublishVolume: (_request, call) => {
          call.logger.info('in the middle');
          return Promise.resolve({ publishContext: { target: 'e1.1' } });
        },
      },
    });
    const volumeCapability = { block: {}, accessMode: { mode: 'SINGLE_NODE_WRITER' } };
    const request = { volumeId: 'e1.1@0', nodeId: 'node-a', volumeCapability, secrets: { password: SECRET } };
    expect(await client.call('ControllerPublishVolume', request, CALL)).toEqual({ publishContext: { target: 'e1.1' } });

    const about = { method: 'ControllerPublishVolume', volume: 'e1.1@0', node: 'node-a' };
    expect(server.log).toMatchObject([
      { level: 'debug', ...about, message: { nodeId: 'node-a', secrets: '(redacted)' } },
      { level: 'info', ...about, msg: 'in the middle' },
      { level: 'info', ...about, code: 'OK', durationMs: expect.any(Number) },
    ]);
    expect(new Set(server.log.map((line) => line['request'])).size).toBe(1);
    expect(JSON.stringify(server.log)).not.toContain(SECRET);
  });

  test('tells a handler when its caller has gone, and says so in the log', async () => {
    let gone = false;
    await start({
      node: {
        NodeGetInfo: (_request, call) =>
          new Promise((resolve) => {
            call.signal.addEventListener('abort', () => {
              gone = true;
              resolve({ nodeId: 'node-a' });
            });
          }),
      },
    });
    await expect(client.call('NodeGetInfo', {}, { timeoutMs: 200 })).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    while (server.outcomes.length === 0) await new Promise((resolve) => setTimeout(resolve, 10));
    expect(gone).toBe(true);
    expect(['DEADLINE_EXCEEDED', 'CANCELLED']).toContain(server.outcomes[0].code);
    expect(server.log.at(-1)).toMatchObject({ msg: 'done, but the caller did not wait for the answer' });
  });

  test('says nothing above debug when a probe succeeds', async () => {
    await start({ identity: identity() });
    await client.call('Probe', {}, CALL);
    expect(new Set(server.log.map((line) => line['level']))).toEqual(new Set(['debug']));
  });
});
