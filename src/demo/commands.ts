import { runProgram } from '../system/programs.ts';
import { inNamespace, INTERFACE, type CableEnd } from './network.ts';
import type { DemoRun } from './run.ts';

/** The address of the demo's target. */
export const SHELF = 10;
export const SLOT = 3;
export const TARGET_NAME = `e${SHELF}.${SLOT}`;

/** What the node is called, and the cluster that it is in. */
export const NODE_ID = 'demo-node';
const CLUSTER_ID = 'demo';
/** A target that is silent for so long while its volume is taken down is given up. */
const DEAD_AFTER_SECONDS = '10';

const COMMAND_MS = 60_000;

/** This program, as it was started. */
const SELF = [process.execPath, process.argv[1]] as const;

/** The targets that the demo can use. */
export const TARGET_KINDS = ['aoe-csi', 'vblade'] as const;
export type TargetKind = (typeof TARGET_KINDS)[number];

/** Runs a command of this program against the demo's initiator, as a person would, and returns what it prints. */
export async function aoeCsi(run: DemoRun, args: readonly string[]): Promise<string> {
  const [program, ...words] = [...SELF, ...args, '--socket', run.socketPath];
  return (await runProgram(program, words, COMMAND_MS)).trim();
}

export function initiatorCommandLine(run: DemoRun, end: CableEnd, backend: string): string[] {
  const options = ['--interfaces', end.interface, ...initiatorMark(run), '--attach', backend, '--etherd-directory', 'none'];
  const words = [...SELF, 'initiator', ...options];
  return end.namespace === undefined ? words : inNamespace(end.namespace, words);
}

/** By these words its initiator is known among all processes of the machine. */
export function initiatorMark(run: DemoRun): string[] {
  return ['--socket', run.socketPath];
}

export function controllerCommandLine(run: DemoRun): string[] {
  return plugin(run, ['controller', '--endpoint', run.csiSocket('controller')]);
}

export function nodeCommandLine(run: DemoRun): string[] {
  const state = ['--initiator', run.socketPath, '--state-directory', run.stateDirectory, '--dead-after', DEAD_AFTER_SECONDS];
  return plugin(run, ['node', '--endpoint', run.csiSocket('node'), '--node-id', NODE_ID, ...state]);
}

function plugin(run: DemoRun, words: readonly string[]): string[] {
  return inNamespace(run.pluginNamespace, [...SELF, ...words, '--store', run.storeFolder, '--cluster-id', CLUSTER_ID]);
}

export function targetCommandLine(run: DemoRun, kind: TargetKind, disk: string): string[] {
  return inNamespace(run.targetNamespace, kind === 'vblade' ? vblade(disk) : ours(run, disk));
}

function ours(run: DemoRun, disk: string): string[] {
  return [...SELF, 'target', '--interfaces', INTERFACE, '--state-dir', run.folder, `${TARGET_NAME}=${disk}`];
}

/** `-b`: frames it takes at once; its own default of 16 would be the measure of everything. */
function vblade(disk: string): string[] {
  return ['vblade', '-b', '128', String(SHELF), String(SLOT), INTERFACE, disk];
}
