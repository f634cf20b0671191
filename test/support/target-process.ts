import { join } from 'node:path';
import { inLaboratory, SAN, TARGET, type Laboratory } from './faults-laboratory.ts';
import { eventually, type TestProcess } from './faults-process.ts';
import { MAIN } from './program.ts';
import { TargetProber } from './target-prober-client.ts';

const START_MS = 5_000;

/** Starts `aoe-csi target` on the laboratory's target host; returns when it serves. */
export async function startTarget(laboratory: Laboratory, ...words: string[]): Promise<TestProcess> {
  const process = runTarget(laboratory, '--interfaces', TARGET, ...words);
  await eventually('the target to start', START_MS, () => {
    if (!process.running) throw new Error(process.report);
    return process.lines.some((line) => line.startsWith('serving '));
  });
  return process;
}

/** Starts `aoe-csi target` with words that may be wrong. */
export function runTarget(laboratory: Laboratory, ...words: string[]): TestProcess {
  return laboratory.start('aoe-csi target', laboratory.target, ...targetWords(...words));
}

/** The command line of `aoe-csi target`. */
export function targetWords(...words: string[]): string[] {
  return [process.execPath, MAIN, 'target', ...words];
}

/** How a target that was started wrongly ended: its exit code and what it said. */
export async function refusal(laboratory: Laboratory, ...words: string[]): Promise<string> {
  const target = runTarget(laboratory, ...words);
  await eventually('the target to give up', START_MS, () => !target.running);
  return `${String(target.child.exitCode)}: ${target.errors.join(' ')}`;
}

export interface TargetLaboratory {
  readonly laboratory: Laboratory;
  readonly prober: TargetProber;
  /** Path of a disk of 1,024 sectors, not exported yet. */
  readonly disk: string;
}

/** Two hosts, a wire of this MTU, and a prober at its other end. */
export async function withProber(mtu: number, run: (given: TargetLaboratory) => Promise<void>): Promise<void> {
  await inLaboratory(async (laboratory) => {
    laboratory.wire(mtu);
    const disk = laboratory.disk('disk', DISK_SECTORS * 512);
    const prober = await new TargetProber(laboratory.script('target-prober', laboratory.initiator, [SAN])).ready();
    await run({ laboratory, prober, disk });
  });
}

export const DISK_SECTORS = 1024;

/** Where a target keeps the state of a file. */
export function stateOf(disk: string): string {
  return `${disk}.aoe`;
}

/** A path in the laboratory's own folder. */
export function pathIn(laboratory: Laboratory, name: string): string {
  return join(laboratory.folder, name);
}
