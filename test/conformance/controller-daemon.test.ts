import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { RpcClient } from '../../src/rpc/client.ts';
import { loadService } from '../../src/rpc/service.ts';
import { WRITER, ControllerClient, ControllerLaboratory } from '../support/controller-service.ts';
import { CLUSTER_ID } from '../support/controller-node.ts';
import { eventually, TestProcess, within } from '../support/faults-process.ts';
import { MAIN } from '../support/program.ts';

const START_MS = 15_000;
const END_MS = 10_000;
const CALL = { timeoutMs: 10_000 };

let lab: ControllerLaboratory;
let socketPath: string;
const processes: TestProcess[] = [];
const clients: { close(): void }[] = [];

beforeEach(async () => {
  lab = await ControllerLaboratory.open();
  socketPath = join(lab.embedded.directory, 'csi', 'csi.sock');
});

afterEach(async () => {
  for (const each of clients.splice(0)) each.close();
  for (const each of processes.splice(0)) await each.end();
  await lab.close();
});

/** Runs `aoe-csi controller` on the laboratory's store. */
function run(...words: readonly string[]): TestProcess {
  const common = ['--endpoint', `unix://${socketPath}`, '--store', lab.embedded.directory, '--cluster-id', CLUSTER_ID];
  const started = new TestProcess(
    'controller',
    [process.execPath, MAIN, 'controller', ...common, ...words],
    lab.embedded.directory,
  );
  processes.push(started);
  return started;
}

async function start(...words: readonly string[]): Promise<TestProcess> {
  const started = run(...words);
  await eventually('the controller to serve', START_MS, () => {
    if (!started.running) throw new Error(started.report);
    return existsSync(socketPath);
  });
  return started;
}

/** The first line of the log that holds these words. */
async function heard(daemon: TestProcess, words: string): Promise<string> {
  return eventually(`the words '${words}'`, START_MS, () => {
    const line = daemon.errors.find((each) => each.includes(words));
    if (line === undefined && !daemon.running) throw new Error(daemon.report);
    return line;
  });
}

async function exitCode({ child }: TestProcess): Promise<number | null> {
  return within(
    'the end of the process',
    END_MS,
    new Promise((done) => {
      if (child.exitCode !== null) done(child.exitCode);
      else child.once('exit', done);
    }),
  );
}

function client(): ControllerClient {
  const made = new ControllerClient(socketPath);
  clients.push(made);
  return made;
}

async function probe(): Promise<void> {
  const identity = new RpcClient(loadService('csi.proto', 'csi.v1.Identity'), socketPath);
  clients.push(identity);
  expect(await identity.call('Probe', {}, CALL)).toEqual({ ready: { value: true } });
}

describe('aoe-csi controller', () => {
  test('serves how its calls ended as metrics, and refused ones with their code', async () => {
    const daemon = await start('--metrics', '127.0.0.1:0');
    const port = /metrics on port (\d+)/.exec(await heard(daemon, 'metrics on port'))?.[1];
    await probe();
    expect(await client().outcome('DeleteVolume', { volumeId: '' })).toMatch(/^INVALID_ARGUMENT: /);
    const read = async (): Promise<string> => (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
    await eventually('targets to be counted', START_MS, async () => (await read()).includes('aoe_csi_controller_targets{'));
    const text = await read();
    const count = (method: string, code: string): string =>
      `csi_plugin_operations_seconds_count{driver_name="aoe.csi.dev",method_name="/csi.v1.${method}",grpc_status_code="${code}"} 1`;
    expect(text).toContain('aoe_csi_controller_targets{state="Available"} 0\n');
    expect(text).toContain(count('Identity/Probe', 'OK'));
    expect(text).toContain(count('Controller/DeleteVolume', 'InvalidArgument'));
  });

  test('shows calls in its log from one SIGUSR2 to the next, and none of their secrets', async () => {
    const daemon = await start('--log-level', 'warn');
    const [calls, secrets] = [client(), { password: 'hunter2' }];
    await calls.call('DeleteVolume', { volumeId: 'before', secrets });
    daemon.signal('SIGUSR2');
    await heard(daemon, 'the log level is debug now');
    await calls.call('DeleteVolume', { volumeId: 'between', secrets });
    await heard(daemon, '"volume":"between"');
    daemon.signal('SIGUSR2');
    await heard(daemon, 'the log level is warn now');
    await calls.call('DeleteVolume', { volumeId: 'after', secrets });
    const log = daemon.errors.join('\n');
    expect(log).toContain('(redacted)');
    expect(log).not.toMatch(/before|after|hunter2/);
  });

  test('ends at once with what to do when its socket is served already; that its metrics’ port is taken ends nothing', async () => {
    const first = await start('--metrics', '127.0.0.1:0');
    const port = /metrics on port (\d+)/.exec(await heard(first, 'metrics on port'))?.[1] ?? '';
    const second = run('--metrics', '127.0.0.1:0');
    expect(await exitCode(second)).toBe(1);
    expect(second.report).toMatch(/another process serves this socket/);
    socketPath = join(lab.embedded.directory, 'other', 'csi.sock');
    const third = await start('--metrics', `127.0.0.1:${port}`);
    expect(await heard(third, 'cannot serve metrics')).toMatch(/"level":"warn".* on 127\.0\.0\.1:\d+: .*EADDRINUSE/);
    await probe();
  });

  test('ends at once when the store is another cluster’s', async () => {
    await start();
    const other = run('--cluster-id', 'another');
    expect(await exitCode(other)).toBe(1);
    expect(other.report).toMatch(/for cluster another: it is cluster test-cluster's, .* give --cluster-id test-cluster/);
  });

  test('answers calls under way before it ends, and leaves a successor’s socket alone', async () => {
    const node = await lab.node({ nodeId: 'node-1', addresses: ['e1.0'] });
    node.held.add('claim');
    const daemon = await start();
    const calls = client();
    await eventually('a free target', START_MS, async () => (await calls.call('GetCapacity', {})).availableCapacity > 0);
    const creating = calls.outcome('CreateVolume', { name: 'a', volumeCapabilities: [WRITER] });
    await lab.settled(({ task }) => task?.kind === 'claim', 'e1.0');
    daemon.signal('SIGTERM');
    await heard(daemon, 'SIGTERM: stopping');
    await eventually('the socket to be gone', END_MS, () => !existsSync(socketPath));
    const successor = await start();
    // In good time, as Kubernetes has it.
    node.held.clear();
    node.look();
    expect(await within('the answer', END_MS, creating)).toMatch(/^(OK|CANCELLED|UNAVAILABLE)/);
    expect(await exitCode(daemon)).toBe(0);
    expect(successor.running).toBe(true);
    expect(existsSync(socketPath)).toBe(true);
    expect(await client().create('a')).toMatch(/^e1\.0@/);
  });
});
