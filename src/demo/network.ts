import { existsSync } from 'node:fs';
import { runProgram } from '../system/programs.ts';
import type { DemoRun } from './run.ts';

/** Name of the interface in namespaces of the demo. */
export const INTERFACE = 'san0';
const IP_MS = 10_000;

/** One end of the cable. */
export interface CableEnd {
  /** undefined: the network that this process is in. */
  readonly namespace: string | undefined;
  readonly interface: string;
}

/** Where the initiator is: a machine of its own, or this one. */
export function initiatorEnd(run: DemoRun, inMachine: boolean): CableEnd {
  if (inMachine) return { namespace: undefined, interface: run.machineInterface };
  return { namespace: run.initiatorNamespace, interface: INTERFACE };
}

/**
 * Network namespaces, each a machine of its own: one for the target, one for the initiator unless that is in this machine's network,
 * joined by a cable, which is a pair of virtual Ethernet interfaces; and one without any network.
 */
export async function buildNetwork(run: DemoRun, here: CableEnd, mtu: number, signal: AbortSignal): Promise<void> {
  const there = { namespace: run.targetNamespace, interface: INTERFACE };
  for (const namespace of [here.namespace, there.namespace, run.pluginNamespace]) {
    signal.throwIfAborted();
    if (namespace !== undefined) await ip(['netns', 'add', namespace]);
  }
  signal.throwIfAborted();
  const place = here.namespace === undefined ? [] : ['netns', here.namespace];
  const peer = ['peer', 'name', there.interface, 'netns', there.namespace];
  await ip(['link', 'add', here.interface, ...place, 'type', 'veth', ...peer]);
  for (const end of [here, there]) {
    const where = end.namespace === undefined ? [] : ['-n', end.namespace];
    await ip([...where, 'link', 'set', end.interface, 'mtu', String(mtu), 'up']);
  }
}

/** Removes the cable and the namespaces. Well when there are none. */
export async function removeNetwork(run: DemoRun): Promise<void> {
  if (existsSync(`/sys/class/net/${run.machineInterface}`)) await ip(['link', 'delete', run.machineInterface]);
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
