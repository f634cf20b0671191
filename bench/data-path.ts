import { setTimeout as sleep } from 'node:timers/promises';
import { DataPathReport } from './data-path-report.ts';
import type { Row } from './row.ts';
import { Samples } from './samples.ts';
import type { Subject } from './subject.ts';
import { aoeCsiEngine } from './subjects/aoe-csi-engine.ts';
import { aoeCsiNbd } from './subjects/aoe-csi-nbd.ts';
import { cLoop } from './subjects/c-loop.ts';
import { cNbd } from './subjects/c-nbd.ts';
import { nbdkitTcp } from './subjects/nbdkit-tcp.ts';
import { qemuIscsi } from './subjects/qemu-iscsi.ts';
import { missingCommands } from './support/commands.ts';
import { Disturbance } from './support/disturbance.ts';
import { withLaboratory, type Laboratory } from './support/laboratory.ts';
import { removeLeftovers } from './support/network.ts';
import { formatNumber } from './support/table.ts';
import { nbdkit, tgt, vblade } from './targets.ts';
import { resultOf, type Sample, type Workload } from './workload.ts';

export const SUBJECTS: readonly Subject[] = [aoeCsiNbd, aoeCsiEngine, cLoop, cNbd, qemuIscsi, nbdkitTcp];
const TARGETS = [vblade, tgt, nbdkit];
const WARM_UP_SECONDS = 0.5;
/** A sample beside which others kept this much of a processor busy is taken again … */
const DISTURBANCE_MAX = 0.15;
/** … this many times at most; then the least disturbed one counts. */
const ATTEMPTS_MAX = 2;
const CALM_PROBE_MS = 200;
const CALM_TIMEOUT_MS = 3_000;

export interface DataPathOptions {
  readonly seconds: number;
  readonly rounds: number;
  readonly mtus: readonly number[];
  /** See Conditions. */
  readonly offload: boolean;
  readonly workloads: readonly Workload[];
  readonly subjects: readonly Subject[];
  /** Where progress and tables go. */
  readonly say: (text: string) => void;
}

/**
 * Measures every subject on every workload, interleaved: within a round, one workload after the other, each by all subjects
 * in turn, so that two values of one ratio are taken seconds apart. Returns the rows; the tables go to `say`.
 * Needs root. A subject whose commands are missing, or that fails, is named and left out.
 */
export async function measureDataPath(options: DataPathOptions): Promise<Row[]> {
  for (const leftover of removeLeftovers()) options.say(`removed what an earlier run left behind: ${leftover}`);
  const subjects = options.subjects.filter((subject) => {
    const missing = missingCommands(subject.commands);
    if (missing.length > 0) options.say(`${subject.name} left out: ${missing.join(', ')} not found; install it and run again`);
    return missing.length === 0;
  });
  const rows: Row[] = [];
  for (const mtu of options.mtus) {
    const report = await measureAt(mtu, { ...options, subjects });
    options.say(`\n${report.text()}\n`);
    rows.push(...report.rows());
  }
  return rows;
}

async function measureAt(mtu: number, options: DataPathOptions): Promise<DataPathReport> {
  return withLaboratory({ mtu, offload: options.offload }, async (laboratory) => {
    for (const target of TARGETS) {
      if (missingCommands(target.commands).length === 0) await target.start(laboratory);
    }
    const samples = new Samples();
    for (let round = 1; round <= options.rounds; round++) {
      for (const workload of options.workloads) {
        for (const subject of options.subjects) {
          const label = `mtu ${mtu} round ${round}/${options.rounds} ${workload.name} ${subject.name}`;
          samples.add(workload, subject.name, await calmSample(laboratory, subject, workload, options, label));
        }
      }
    }
    const names = options.subjects.map((subject) => subject.name);
    return new DataPathReport(samples, mtu, options.workloads, names);
  });
}

/** A sample taken while the machine was ours, or the least disturbed of a few; undefined when the subject failed. */
async function calmSample(
  laboratory: Laboratory,
  subject: Subject,
  workload: Workload,
  options: DataPathOptions,
  label: string,
): Promise<Sample | undefined> {
  let best: Sample | undefined;
  let leastDisturbance = Number.POSITIVE_INFINITY;
  for (let attempt = 1; attempt <= ATTEMPTS_MAX && leastDisturbance > DISTURBANCE_MAX; attempt++) {
    await calm(laboratory);
    try {
      const { sample, disturbance } = await takeSample(laboratory, subject, workload, options.seconds);
      options.say(
        `${label}: ${formatNumber(resultOf(workload, sample))} ${workload.unit}` +
          (disturbance > DISTURBANCE_MAX ? ` (others kept ${disturbance.toFixed(2)} processors busy)` : ''),
      );
      if (disturbance < leastDisturbance) {
        best = sample;
        leastDisturbance = disturbance;
      }
    } catch (error) {
      options.say(`${label}: failed: ${error instanceof Error ? error.message : String(error)}`);
      return best;
    }
  }
  return best;
}

/** Waits, but not for ever, until others leave the machine alone: cheaper than a sample that has to be taken again. */
async function calm(laboratory: Laboratory): Promise<void> {
  for (let waitedMs = 0; waitedMs < CALM_TIMEOUT_MS; waitedMs += CALM_PROBE_MS) {
    const disturbance = new Disturbance(() => laboratory.pids());
    await sleep(CALM_PROBE_MS);
    if (disturbance.processors() <= DISTURBANCE_MAX) return;
  }
}

/** The initiator lives for one sample only: on one wire, idle ones would be woken by every frame of the one at work. */
async function takeSample(
  laboratory: Laboratory,
  subject: Subject,
  workload: Workload,
  seconds: number,
): Promise<{ sample: Sample; disturbance: number }> {
  const running = await subject.start(laboratory);
  try {
    await running.run(workload, WARM_UP_SECONDS);
    const disturbance = new Disturbance(() => laboratory.pids());
    const sample = await running.run(workload, seconds);
    return { sample, disturbance: disturbance.processors() };
  } finally {
    await running.stop();
  }
}
