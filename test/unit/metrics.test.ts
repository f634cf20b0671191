import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, test } from '@jest/globals';
import { Registry } from 'prom-client';
import { CsiOperations } from '../../src/metrics/csi-operations.ts';
import { MetricsEndpoint, parseAddress, type Teller } from '../../src/metrics/endpoint.ts';
import { eventually } from '../support/faults-process.ts';

let endpoint: MetricsEndpoint | undefined;
const said: string[] = [];
const teller: Teller = {
  info: (message) => void said.push(`info ${message}`),
  warn: (message) => void said.push(`warn ${message}`),
};

afterEach(async () => {
  await endpoint?.stop();
  endpoint = undefined;
  said.length = 0;
});

describe('MetricsEndpoint', () => {
  test('serves how long CSI calls took, under the names that all CSI plugins have', async () => {
    const registry = new Registry();
    const operations = new CsiOperations(registry, 'aoe.csi.dev');
    operations.record({ path: '/csi.v1.Node/NodeStageVolume', code: 'OK', durationMs: 700 });
    operations.record({ path: '/csi.v1.Node/NodeStageVolume', code: 'FAILED_PRECONDITION', durationMs: 20 });
    endpoint = await MetricsEndpoint.start(registry, '127.0.0.1:0', teller);

    const response = await fetch(`http://127.0.0.1:${endpoint.port}/metrics`);
    expect(response.headers.get('content-type')).toContain('text/plain; version=0.0.4');
    const lines = (await response.text()).split('\n');
    const labels = 'driver_name="aoe.csi.dev",method_name="/csi.v1.Node/NodeStageVolume",grpc_status_code="OK"';
    const bucket = (le: string): string => `csi_plugin_operations_seconds_bucket{le="${le}",${labels}}`;
    expect(lines).toContain(`${bucket('0.5')} 0`);
    expect(lines).toContain(`${bucket('1')} 1`);
    expect(lines).toContain(`csi_plugin_operations_seconds_count{${labels}} 1`);
    expect(lines).toContain(`csi_plugin_operations_seconds_count{${labels.replace('"OK"', '"FailedPrecondition"')}} 1`);
  });

  test('refuses what is not GET /metrics', async () => {
    endpoint = await MetricsEndpoint.start(new Registry(), '127.0.0.1:0', teller);
    const url = `http://127.0.0.1:${endpoint.port}`;
    expect((await fetch(url)).status).toBe(404);
    expect((await fetch(`${url}/metrics`, { method: 'POST' })).status).toBe(405);
  });

  test('start() says who has to make room where another process has the port, and serves when it is free', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const { port } = other.address() as AddressInfo;
    endpoint = await MetricsEndpoint.start(new Registry(), `127.0.0.1:${port}`, teller, 1);
    expect(endpoint.port).toBeUndefined();
    // It has been tried again by then, and is told once.
    await sleep(50);
    expect(said).toEqual([
      expect.stringMatching(
        /^warn cannot serve metrics on 127\.0\.0\.1:\d+: .*EADDRINUSE.*; .*tried again: .*another port.*metrics\.port/,
      ),
    ]);
    other.close();
    await once(other, 'close');
    await eventually('the port', 5_000, () => endpoint?.port !== undefined);
    expect(said.at(-1)).toBe(`info metrics on port ${port}`);
    expect((await fetch(`http://127.0.0.1:${port}/metrics`)).status).toBe(200);
  });

  test('stop() does not wait for a port that another process has', async () => {
    const first = await MetricsEndpoint.start(new Registry(), '127.0.0.1:0', teller);
    const second = await MetricsEndpoint.start(new Registry(), `127.0.0.1:${first.port}`, teller, 3_600_000);
    await second.stop();
    await first.stop();
    expect(second.port).toBeUndefined();
  });

  test('start() refuses an address that nobody can listen on', async () => {
    await expect(MetricsEndpoint.start(new Registry(), 'no.such.host.invalid:1', teller)).rejects.toThrow(
      /cannot serve metrics on no\.such\.host\.invalid:1: /,
    );
  });
});

test('parseAddress() takes host and port and refuses the rest', () => {
  expect(parseAddress(':9810')).toEqual({ host: '', port: 9810 });
  expect(parseAddress('10.0.0.1:80')).toEqual({ host: '10.0.0.1', port: 80 });
  expect(parseAddress('[::1]:80')).toEqual({ host: '::1', port: 80 });
  for (const address of ['9810', 'host', ':99999', '::1:80', 'http://x:80']) {
    expect(() => parseAddress(address)).toThrow('no address to serve metrics on');
  }
});
