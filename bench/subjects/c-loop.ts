import type { Subject } from '../subject.ts';
import { SHELF, SLOT, VOLUME_BYTES } from '../support/laboratory.ts';
import { INTERFACE } from '../support/network.ts';

/** Frames in flight: our initiator's default for maxOutstanding. */
export const WINDOW_FRAMES = 128;

/** What bench/peers/aoe-loop.c prints. */
interface LoopReport {
  readonly seconds: number;
  readonly requests: number;
  readonly bytes: number;
  readonly userSeconds: number;
  readonly systemSeconds: number;
}

/** The limit of target and kernel: frames sent and received in C, with nothing above them. */
export const cLoop: Subject = {
  name: 'c-loop',
  commands: ['gcc'],
  start(laboratory) {
    const program = laboratory.compile('aoe-loop', 'aoe.c');
    const address = [INTERFACE, `${SHELF}`, `${SLOT}`, `${laboratory.sectorsPerFrame}`, `${WINDOW_FRAMES}`];
    return Promise.resolve({
      async run(workload, seconds) {
        const job = [workload.pattern, `${workload.blockBytes}`, `${workload.depth}`, `${VOLUME_BYTES}`, `${seconds}`];
        const report = JSON.parse(await laboratory.startOnInitiator([program, ...address, ...job]).finish()) as LoopReport;
        return {
          seconds: report.seconds,
          requests: report.requests,
          bytes: report.bytes,
          latencyP99Us: undefined,
          initiatorCpuSeconds: report.userSeconds + report.systemSeconds,
        };
      },
      async stop() {
        // Each run was a process of its own, which has ended.
      },
    });
  },
};
