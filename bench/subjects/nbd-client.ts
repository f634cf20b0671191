import type { RunningSubject } from '../subject.ts';
import { runFio } from '../support/fio.ts';
import { VOLUME_BYTES, type Laboratory } from '../support/laboratory.ts';
import type { RunningProcess } from '../support/processes.ts';

/**
 * fio on an NBD server: the client of every subject that has one, so that its cost is the same for all.
 * `initiator` is the process whose time is stated: the one between fio and the veth pair; undefined where fio itself is it.
 */
export function fioOn(laboratory: Laboratory, uri: string, initiator: RunningProcess | undefined): RunningSubject {
  return {
    async run(workload, seconds) {
      const before = initiator?.cpuSeconds() ?? 0;
      const sample = await runFio(uri, workload, VOLUME_BYTES, seconds, laboratory.startOnInitiator);
      return { ...sample, initiatorCpuSeconds: (initiator?.cpuSeconds() ?? Number.NaN) - before };
    },
    async stop() {
      await initiator?.stop();
    },
  };
}
