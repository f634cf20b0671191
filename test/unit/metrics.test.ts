import { afterEach, describe, expect, test } from '@jest/globals';
import { Registry } from 'prom-client';
import { CsiOperations } from '../../src/metrics/csi-operations.ts';
import { MetricsEndpoint, parseAddress } from '../../src/metrics/endpoint.ts';

let endpoint: MetricsEndpoint | undefined;

afterEach(async () => {
  await endpoint?.stop();
  endpoint = undefined;
});

describe('MetricsEndpoint', () => {
  test('serves how long CSI calls took, under the names that all CSI plugins have', async () => {
    const registry = new Registry();
    const operations = new CsiOperations(registry, 'aoe.csi.dev');
    operations.record({ path: '/csi.v1.Node/NodeStageVolume', code: 'OK', durationMs: 700 });
    operations.record({ path: '/csi.v1.Node/NodeStageVolume', code: 'FAILED_PRECONDITION', durationMs: 20 });
    endpoint = await MetricsEndpoint.start(registry, '127.0.0.1:0');

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
    endpoint = await MetricsEndpoint.start(new Registry(), '127.0.0.1:0');
    const url = `http://127.0.0.1:${endpoint.port}`;
    expect((await fetch(url)).status).toBe(404);
    expect((await fetch(`${url}/metrics`, { method: 'POST' })).status).toBe(405);
  });

  test('start() says on what it can not listen', async () => {
    endpoint = await MetricsEndpoint.start(new Registry(), '127.0.0.1:0');
    await expect(MetricsEndpoint.start(new Registry(), `127.0.0.1:${endpoint.port}`)).rejects.toThrow(
      /cannot serve metrics on 127\.0\.0\.1:\d+: .*EADDRINUSE/,
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
