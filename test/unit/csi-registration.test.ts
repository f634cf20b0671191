import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { KubeletRegistration } from '../../src/csi/kubelet-registration.ts';
import { Logger } from '../../src/logging/logger.ts';
import { RpcError } from '../../src/rpc/status.ts';
import { listenUnix } from '../../src/system/unix-socket.ts';
import { PluginWatcher } from '../support/csi-plugin-watcher.ts';
import { serveCsi, type CsiTestServer } from '../support/csi-server.ts';

const DRIVER = 'aoe.csi.dev';

let folder: string;
let watcher: PluginWatcher;
let node: CsiTestServer;
let registration: KubeletRegistration | undefined;
let isHealthy: boolean;

beforeEach(async () => {
  isHealthy = true;
  folder = mkdtempSync(join(tmpdir(), 'aoe-csi-registry-'));
  watcher = new PluginWatcher(folder);
  node = await serveCsi({
    node: {
      NodeGetInfo: () =>
        isHealthy
          ? Promise.resolve({ nodeId: 'node-a', maxVolumesPerNode: 16 })
          : Promise.reject(new RpcError('UNAVAILABLE', 'no initiator yet')),
    },
  });
});

afterEach(async () => {
  await registration?.stop();
  registration = undefined;
  await watcher.stop();
  await node.stop();
  rmSync(folder, { recursive: true, force: true });
});

const socketPath = (): string => join(folder, `${DRIVER}-reg.sock`);

function kinds(): string[] {
  return watcher.events.map(({ kind }) => kind);
}

async function start(endpoint = node.socketPath): Promise<KubeletRegistration> {
  return KubeletRegistration.start({
    driverName: DRIVER,
    endpoint,
    folder,
    listen: (path) => listenUnix(path, { backlog: 4, mode: 0o600 }),
    logger: Logger.create('silent'),
    checkMs: 300,
  });
}

describe('KubeletRegistration', () => {
  test('is taken by the kubelet when its socket appears in plugins_registry', async () => {
    writeFileSync(join(folder, '.hidden.sock'), '');
    writeFileSync(join(folder, 'file.sock'), '');
    registration = await start();
    expect(await watcher.next('registered')).toEqual({
      kind: 'registered',
      socket: socketPath(),
      info: { type: 'CSIPlugin', name: DRIVER, endpoint: node.socketPath, supportedVersions: ['1.0.0'] },
      node: { nodeId: 'node-a', maxVolumesPerNode: 16, accessibleTopology: null },
    });
    expect(registration.state).toBe('registered');
    await registration.stop();
    registration = undefined;
    await watcher.next('removed');
    expect(kinds()).toEqual(['registered', 'removed']);
  });

  test('makes its socket anew when the kubelet has refused it, until it is taken', async () => {
    isHealthy = false;
    registration = await start();
    expect(await watcher.next('refused')).toMatchObject({ reason: expect.stringContaining('no initiator yet') });
    await watcher.next('refused', 2);
    expect(registration.refusal).toContain('no initiator yet');
    isHealthy = true;
    await watcher.next('registered');
    expect(registration.state).toBe('registered');
    expect(registration.refusal).toBeUndefined();
    expect(kinds().slice(0, 3)).toEqual(['refused', 'removed', 'refused']);
  });

  test('makes its socket anew when somebody has taken it away', async () => {
    registration = await start();
    await watcher.next('registered');
    rmSync(socketPath());
    await watcher.next('registered', 1);
    expect(kinds()).toEqual(['registered', 'removed', 'registered']);
  });

  test('leaves the socket of a successor alone when it stops', async () => {
    registration = await start();
    await watcher.next('registered');
    rmSync(socketPath());
    const successor = await start();
    try {
      await watcher.next('registered', 1);
      await registration.stop();
      registration = undefined;
      await new Promise((resolve) => setTimeout(resolve, 300));
      expect(kinds()).toEqual(['registered', 'removed', 'registered']);
    } finally {
      await successor.stop();
    }
  });

  test('is refused by start() when there is no plugins_registry', async () => {
    rmSync(folder, { recursive: true });
    await expect(start()).rejects.toMatchObject({ code: 'ENOENT' });
  });
});
