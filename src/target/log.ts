import type { LogFields } from '../logging/logger.ts';

/** Where the target says what happened: the process' Logger, or a list in a test. Never called per frame. */
export interface TargetLog {
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
}

export const SILENT_LOG: TargetLog = { info: () => undefined, warn: () => undefined, error: () => undefined };
