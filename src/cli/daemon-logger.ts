import { Logger, type LogLevel } from '../logging/logger.ts';
import { LineOutput } from '../system/line-output.ts';

const STANDARD_ERROR = 2;

/** A daemon's log: lines of JSON to standard error, which never wait for whoever reads them. */
export function daemonLogger(level: LogLevel): Logger {
  const output = new LineOutput(STANDARD_ERROR, (lines) => {
    logger.warn(`standard error was not read fast enough: ${lines} lines of the log were left out`, { count: lines });
  });
  const logger = Logger.create(level, output);
  return logger;
}
