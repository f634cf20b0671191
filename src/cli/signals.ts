import type { Logger, LogLevel } from '../logging/logger.ts';
import { EXIT_FAILED } from './exit-codes.ts';

/** The first signal that asks a daemon to end; a second one does not wait for it. */
export async function stopSignal(): Promise<string> {
  return new Promise((done) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      process.once(signal, () => {
        done(signal);
        process.once(signal, () => process.exit(EXIT_FAILED));
      });
    }
  });
}

/** Lets SIGUSR2 switch between the level that a daemon was started with and `debug`; `info` where it was started with that. */
export function switchLevelOnSignal(logger: Logger, level: LogLevel): void {
  const other = level === 'debug' ? 'info' : 'debug';
  process.on('SIGUSR2', () => {
    const next = logger.level === level ? other : level;
    const message = `SIGUSR2: the log level is ${next} now`;
    // Said while it is heard: a quieter level may keep it back.
    if (next !== 'debug') logger.info(message);
    logger.level = next;
    if (next === 'debug') logger.info(message);
  });
}
