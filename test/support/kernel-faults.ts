import { execFileSync } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { SAN } from './faults-laboratory.ts';
import type { KernelLoad, LoadReport } from './kernel-load.ts';
import type { KernelNbd } from './kernel-nbd.ts';
import type { LoadTargets } from './load-targets.ts';

/** What goes wrong for a while, and then is well again. */
export interface Fault {
  readonly name: string;
  readonly inflict: (host: KernelNbd, targets: LoadTargets) => Promise<void>;
}

/** Times in seconds. */
export const targetsRestarted: Fault = {
  name: 'target restarted',
  inflict: async (_host, targets) => {
    await targets.kill();
    await targets.start();
  },
};

export function targetsAway(seconds: number): Fault {
  return {
    name: `target away for ${String(seconds)} s`,
    inflict: async (_host, targets) => {
      await targets.kill();
      await sleep(seconds * 1000);
      await targets.start();
    },
  };
}

export function interfaceDown(seconds: number): Fault {
  return {
    name: `interface down for ${String(seconds)} s`,
    inflict: async (_host, targets) => {
      execFileSync('ip', ['link', 'set', SAN, 'down']);
      await sleep(seconds * 1000);
      await targets.revive();
      execFileSync('ip', ['link', 'set', SAN, 'up']);
    },
  };
}

export function initiatorStopped(seconds: number): Fault {
  return {
    name: `initiator stopped for ${String(seconds)} s`,
    inflict: async (host) => {
      host.initiator.process.signal('SIGSTOP');
      await sleep(seconds * 1000);
      host.initiator.process.signal('SIGCONT');
    },
  };
}

/** For comparison: what writers wait where nothing happens. */
export const nothing: Fault = { name: 'nothing, for 5 s', inflict: async () => sleep(5_000) };

/** A row of the table of all faults; docs/benchmarks.md has it. */
export function faultRow(subject: string, fault: string, longestMs: number, errors: number, lost: number): string {
  const cells = [subject, fault, `${(longestMs / 1000).toFixed(1)} s`, `${String(errors)} errors`, `${String(lost)} lost`];
  return `| ${cells.join(' | ')} |`;
}

/**
 * Inflicts faults one after the other under a load, and prints a row for each.
 * @returns what was wrong afterwards, a line each
 */
export async function suffer(
  subject: string,
  { host, targets, load }: { readonly host: KernelNbd; readonly targets: LoadTargets; readonly load: KernelLoad },
  faults: readonly Fault[],
  figure: (text: string) => void,
): Promise<string[]> {
  await load.progress();
  await load.look();
  const found: string[] = [];
  for (const { name, inflict } of faults) {
    await inflict(host, targets);
    await load.progress();
    const report = await load.look();
    figure(rowOf(subject, name, report));
    found.push(...[...report.errors, ...report.lost].map((text) => `${name}: ${text}`));
  }
  return found;
}

function rowOf(subject: string, fault: string, { longestMs, errors, lost }: LoadReport): string {
  return faultRow(subject, fault, longestMs, errors.length, lost.length);
}
