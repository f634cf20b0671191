import type { Loop } from '../../src/initiator/loop.ts';
import { callsSince, countSystemCalls, type SystemCalls } from './system-calls.ts';

/** What a stretch of work has cost our data path. */
export interface DataPathCosts {
  readonly seconds: number;
  /** Answered frames. */
  readonly frames: number;
  readonly framesResent: number;
  /** Of the whole process: JavaScript, the calls into C, and what V8 does beside. */
  readonly userSeconds: number;
  readonly systemSeconds: number;
  readonly systemCalls: SystemCalls;
}

/** Measures a loop that runs in this thread. Made before the loop, so that it sees every system call. */
export class DataPathMeter {
  readonly #calls = countSystemCalls();
  #callsBefore: SystemCalls = this.#calls;
  #atMs = 0;
  #cpu = process.cpuUsage();
  #frames = 0;
  #framesResent = 0;

  begin(loop: Loop): void {
    this.#frames = loop.engine.counters.answers;
    this.#framesResent = loop.engine.counters.framesResent;
    this.#callsBefore = { ...this.#calls };
    this.#cpu = process.cpuUsage();
    this.#atMs = performance.now();
  }

  end(loop: Loop): DataPathCosts {
    const { user, system } = process.cpuUsage(this.#cpu);
    return {
      seconds: (performance.now() - this.#atMs) / 1000,
      frames: loop.engine.counters.answers - this.#frames,
      framesResent: loop.engine.counters.framesResent - this.#framesResent,
      userSeconds: user / 1e6,
      systemSeconds: system / 1e6,
      systemCalls: callsSince(this.#callsBefore, this.#calls),
    };
  }
}
