import { runProgram } from '../system/programs.ts';
import type { DemoRun } from './run.ts';

/** Name of the interface in both namespaces. */
export const INTERFACE = 'san0';
const IP_MS = 10_000;

/**
 * Two network namespaces, each a machine of its own, joined by a cable: a pair of virtual Ethernet interfaces; and one without any
 * network.
 */
export async function buildNetwork(run: DemoRun, mtu: number, signal: AbortSignal): Promise<void> {
  const { initiatorNamespace: here, targetNamespace: there } = run;
  for (const namespace of namespacesOf(run)) {
    signal.throwIfAborted();
    await ip(['netns', 'add', namespace]);
  }
  signal.throwIfAborted();
  await ip(['link', 'add', INTERFACE, 'netns', here, 'type', 'veth', 'peer', 'name', INTERFACE, 'netns', there]);
  for (const namespace of [here, there]) await ip(['-n', namespace, 'link', 'set', INTERFACE, 'mtu', String(mtu), 'up']);
}

/** Removes the namespaces, and with them the cable. Well when there are none. */
export async function removeNetwork(run: DemoRun): Promise<void> {
  const names = await namespaces();
  for (const name of namespacesOf(run)) if (names.has(name)) await ip(['netns', 'delete', name]);
}

/** All namespaces of the demo, whether they are there or not. */
export function namespacesOf({ initiatorNamespace, targetNamespace, pluginNamespace }: DemoRun): string[] {
  return [initiatorNamespace, targetNamespace, pluginNamespace];
}

/** Processes in some of the demo's namespaces; all of them are the demo's. */
export async function processesIn(wanted: readonly string[]): Promise<number[]> {
  const names = await namespaces();
  const pids: number[] = [];
  for (const name of wanted) {
    if (names.has(name)) pids.push(...(await ip(['netns', 'pids', name])).split('\n').filter(Boolean).map(Number));
  }
  return pids;
}

/**
 * A command line that runs `commandLine` in a namespace. Not with `ip netns exec`, which also gives it a mount namespace of its own:
 * what is mounted at that moment would stay in use there after it was unmounted here.
 */
export function inNamespace(name: string, commandLine: readonly string[]): string[] {
  return ['nsenter', `--net=/run/netns/${name}`, ...commandLine];
}

async function namespaces(): Promise<Set<string>> {
  const lines = (await ip(['netns', 'list'])).split('\n');
  return new Set(lines.map((line) => line.split(' ')[0]));
}

async function ip(args: readonly string[]): Promise<string> {
  return runProgram('ip', args, IP_MS);
}
