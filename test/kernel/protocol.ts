import type { Speed } from './speed.ts';

/**
 * What host and guest tell each other, through a folder that both see: the host writes `job.json` before the guest starts, the guest
 * appends one event a line to `events.jsonl`.
 */
export interface Job {
  /** Files with cases, as paths of emitted JavaScript from the top folder. */
  readonly files: readonly string[];
  readonly hostSpeed: Speed;
  /** Environment of the cases, for what somebody sets by hand. */
  readonly environment: Readonly<Record<string, string>>;
}

export const JOB_FILE = 'job.json';
export const EVENTS_FILE = 'events.jsonl';

export type CaseStatus = 'passed' | 'failed' | 'skipped';

export interface CaseResult {
  readonly file: string;
  readonly name: string;
  readonly status: CaseStatus;
  readonly durationMs: number;
  /** Why it failed or was skipped. */
  readonly reason: string;
}

export type GuestEvent =
  | { readonly type: 'ready'; readonly kernel: string; readonly speedFactor: number; readonly uptimeMs: number }
  | { readonly type: 'file'; readonly file: string }
  /** `limitMs` is real time in this guest: stretched already. */
  | { readonly type: 'case'; readonly file: string; readonly name: string; readonly limitMs: number }
  | { readonly type: 'figure'; readonly file: string; readonly text: string }
  | ({ readonly type: 'result' } & CaseResult)
  | { readonly type: 'file-end'; readonly file: string; readonly durationMs: number }
  /** After this the guest powers off. `stuck`: a case went past its limit, and what follows wants a fresh guest. */
  | { readonly type: 'end'; readonly stuck: boolean };
