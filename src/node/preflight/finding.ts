/** The checks there are, in the order in which they are told. */
export const CHECKS = [
  'kernel',
  'backend',
  'interfaces',
  'initiators',
  'privileges',
  'kubelet',
  'clock',
  'targets',
  'record',
] as const;
export type Check = (typeof CHECKS)[number];

/** What a check has found. */
export interface Finding {
  /** `failed`: no volume can be used on this node. `warning`: some can't, or less well. */
  readonly level: 'passed' | 'warning' | 'failed';
  /** What is wrong, and what to do about it; empty for one that has passed. */
  readonly message: string;
}

export const PASSED: Finding = { level: 'passed', message: '' };

export function warning(message: string): Finding {
  return { level: 'warning', message };
}

export function failed(message: string): Finding {
  return { level: 'failed', message };
}
