import type { EngineReport } from '../hosts/engine-host.ts';
import type { Subject } from '../subject.ts';
import { hostProgram, SHELF, SLOT } from '../support/laboratory.ts';
import { INTERFACE } from '../support/network.ts';

/** Ours without NBD: requests are made in the loop's own process, as the C loop makes them in its. */
export const aoeCsiEngine: Subject = {
  name: 'aoe-csi engine',
  commands: [],
  start: (laboratory) =>
    Promise.resolve({
      async run(workload, seconds) {
        const job = [workload.pattern, `${workload.blockBytes}`, `${workload.depth}`, `${seconds}`];
        const host = laboratory.startOnInitiator([...hostProgram('engine-host'), INTERFACE, `${SHELF}`, `${SLOT}`, ...job]);
        const report = JSON.parse(await host.finish()) as EngineReport;
        return { ...report, latencyP99Us: undefined, initiatorCpuSeconds: report.userSeconds + report.systemSeconds };
      },
      async stop() {
        // Each run was a process of its own, which has ended.
      },
    }),
};
