import type { Laboratory } from './support/laboratory.ts';
import type { Measurement, Workload } from './workload.ts';

/** One of those compared: a way from an application to the bytes behind the veth pair. */
export interface Subject {
  readonly name: string;
  /** Commands it is made of; without one of them the bench says so and leaves the subject out. */
  readonly commands: readonly string[];
  /** Brings up its initiator. The laboratory stops the processes it starts, also when this throws. */
  start(laboratory: Laboratory): Promise<RunningSubject>;
}

/** A subject that is ready for work. One workload at a time. */
export interface RunningSubject {
  run(workload: Workload, seconds: number): Promise<Measurement>;
  stop(): Promise<void>;
}
