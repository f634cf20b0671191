import { join } from 'node:path';
import type { DataPathCosts } from './hosts/data-path-meter.ts';
import type { EngineReport } from './hosts/engine-host.ts';
import type { NbdReport } from './hosts/nbd-meter-host.ts';
import { totalOf } from './hosts/system-calls.ts';
import type { Row } from './row.ts';
import { runFio } from './support/fio.ts';
import { hostProgram, SHELF, SLOT, VOLUME_BYTES, withLaboratory, type Laboratory } from './support/laboratory.ts';
import { INTERFACE, removeLeftovers } from './support/network.ts';
import { summarize } from './support/statistics.ts';
import { formatNumber, formatTable } from './support/table.ts';
import { vblade } from './targets.ts';
import type { Workload } from './workload.ts';

export interface CostsOptions {
  readonly seconds: number;
  readonly rounds: number;
  readonly mtus: readonly number[];
  readonly workloads: readonly Workload[];
  /** Where tables and progress go. */
  readonly print: (text: string) => void;
  readonly progress: (text: string) => void;
}

const WARM_UP_SECONDS = 1;
/** It connects once to ask for the size, and once to work. */
const CONNECTIONS_OF_FIO = 2;

type Costs = DataPathCosts & { readonly requests: number };

/** What is told of a run, and how it is made of what was counted. A frame is one that was sent and answered. */
const MEASURES: readonly { readonly unit: string; readonly of: (costs: Costs) => number }[] = [
  { unit: 'user us/frame', of: (costs) => (costs.userSeconds * 1e6) / costs.frames },
  { unit: 'system us/frame', of: (costs) => (costs.systemSeconds * 1e6) / costs.frames },
  { unit: 'system calls/request', of: (costs) => totalOf(costs.systemCalls) / costs.requests },
  { unit: 'frames/receive', of: (costs) => costs.frames / costs.systemCalls.frameReceives },
  { unit: 'frames/s', of: (costs) => costs.frames / costs.seconds },
  { unit: 'frames resent', of: (costs) => costs.framesResent },
];

/**
 * What our data path costs per frame and per request, driven directly and through NBD by fio, against vblade. Processor time is
 * the process' own, so it holds JavaScript, the calls into C and V8's work beside. Needs root, vblade and fio.
 */
export async function measureCosts(options: CostsOptions): Promise<Row[]> {
  for (const leftover of removeLeftovers()) options.progress(`removed what an earlier run left behind: ${leftover}`);
  const rows: Row[] = [];
  for (const mtu of options.mtus) {
    const lines: string[][] = [];
    await withLaboratory({ mtu, offload: true }, async (laboratory) => {
      await vblade.start(laboratory);
      for (const workload of options.workloads) {
        const name = `${workload.name} mtu${mtu}`;
        const engine: Costs[] = [];
        const nbd: Costs[] = [];
        for (let round = 0; round < options.rounds; round++) {
          engine.push(await engineCosts(laboratory, workload, options.seconds));
          nbd.push(await nbdCosts(laboratory, workload, options.seconds));
          options.progress(`costs ${name} round ${round + 1}/${options.rounds}`);
        }
        for (const [subject, runs] of [
          ['aoe-csi engine', engine],
          ['aoe-csi+nbd', nbd],
        ] as const) {
          const medians = MEASURES.map(({ unit, of }) => ({ unit, value: summarize(runs.map(of)).median }));
          for (const { unit, value } of medians) rows.push({ suite: 'costs', workload: name, subject, value, unit });
          lines.push([`${name}, ${subject}`, ...medians.map(({ value }) => formatNumber(value))]);
        }
      }
    });
    options.print(`\n${formatTable(['costs', ...MEASURES.map(({ unit }) => unit)], lines)}\n`);
  }
  return rows;
}

async function engineCosts(laboratory: Laboratory, workload: Workload, seconds: number): Promise<Costs> {
  const job = [workload.pattern, `${workload.blockBytes}`, `${workload.depth}`, `${seconds}`];
  const host = laboratory.startOnInitiator([...hostProgram('engine-host'), INTERFACE, `${SHELF}`, `${SLOT}`, ...job]);
  return JSON.parse(await host.finish()) as EngineReport;
}

async function nbdCosts(laboratory: Laboratory, workload: Workload, seconds: number): Promise<Costs> {
  const socket = join(laboratory.directory, 'meter.sock');
  const host = laboratory.startOnInitiator([...hostProgram('nbd-meter-host'), INTERFACE, `${SHELF}`, `${SLOT}`, socket]);
  await host.ready(() => host.output.includes('serving'));
  const uri = `nbd+unix:///e${SHELF}.${SLOT}?socket=${socket}`;
  for (const length of [WARM_UP_SECONDS, seconds]) await runFio(uri, workload, VOLUME_BYTES, length, laboratory.startOnInitiator);
  const reports = (): string[] => host.output.split('\n').filter((line) => line.startsWith('{'));
  await host.ready(() => reports().length >= 2 * CONNECTIONS_OF_FIO);
  await host.stop();
  const last = reports().at(-1);
  return JSON.parse(last ?? '') as NbdReport;
}
