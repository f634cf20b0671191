import { DataPathReport } from './data-path-report.ts';
import { Sampler } from './sampler.ts';
import { Samples } from './samples.ts';
import type { Subject } from './subject.ts';
import { aoeCsiEngine } from './subjects/aoe-csi-engine.ts';
import { aoeCsiNbd } from './subjects/aoe-csi-nbd.ts';
import { cLoop } from './subjects/c-loop.ts';
import { cNbd } from './subjects/c-nbd.ts';
import { nbdkitTcp } from './subjects/nbdkit-tcp.ts';
import { qemuIscsi } from './subjects/qemu-iscsi.ts';
import { missingCommands } from './support/commands.ts';
import { withLaboratory } from './support/laboratory.ts';
import { removeLeftovers } from './support/network.ts';
import { nbdkit, tgt, vblade } from './targets.ts';
import type { Workload } from './workload.ts';

export const SUBJECTS: readonly Subject[] = [aoeCsiNbd, aoeCsiEngine, cLoop, cNbd, qemuIscsi, nbdkitTcp];
const TARGETS = [vblade, tgt, nbdkit];

export interface DataPathOptions {
  readonly seconds: number;
  readonly rounds: number;
  readonly patienceSeconds: number;
  readonly mtus: readonly number[];
  /** See Conditions. */
  readonly offload: boolean;
  readonly workloads: readonly Workload[];
  readonly subjects: readonly Subject[];
  readonly progress: (text: string) => void;
}

/**
 * Measures every subject on every workload, interleaved: within a round, one workload after the other, each by all subjects
 * in turn, so that two values of one ratio are taken seconds apart. Hands over a report for each MTU as soon as it is there.
 * Needs root. A subject whose commands are missing, or that fails, is named in the progress and left out.
 */
export async function* measureDataPath(options: DataPathOptions): AsyncGenerator<DataPathReport> {
  for (const leftover of removeLeftovers()) options.progress(`removed what an earlier run left behind: ${leftover}`);
  const subjects = options.subjects.filter((subject) => {
    const missing = missingCommands(subject.commands);
    if (missing.length > 0)
      options.progress(`${subject.name} left out: ${missing.join(', ')} not found; install it and run again`);
    return missing.length === 0;
  });
  for (const mtu of options.mtus) yield await measureAt(mtu, { ...options, subjects });
}

async function measureAt(mtu: number, options: DataPathOptions): Promise<DataPathReport> {
  return withLaboratory({ mtu, offload: options.offload }, async (laboratory) => {
    for (const target of TARGETS) {
      if (missingCommands(target.commands).length === 0) await target.start(laboratory);
    }
    const sampler = new Sampler({ ...options, laboratory });
    const samples = new Samples();
    for (let round = 1; round <= options.rounds; round++) {
      for (const workload of options.workloads) {
        for (const subject of options.subjects) {
          const label = `mtu ${mtu} round ${round}/${options.rounds} ${workload.name} ${subject.name}`;
          samples.add(workload, subject.name, await sampler.take(subject, workload, label));
        }
      }
    }
    const names = options.subjects.map((subject) => subject.name);
    return new DataPathReport(samples, mtu, options.workloads, names);
  });
}
