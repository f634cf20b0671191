import { destination, pino, stdTimeFunctions, type DestinationStream, type Logger as Pino } from 'pino';

/** From most to least talkative, as `--log-level` takes them. */
export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export function isLogLevel(text: string): text is LogLevel {
  return (LOG_LEVELS as readonly string[]).includes(text);
}

/**
 * The names under which a log line says what it is about. Every process uses these and no others, so that one search finds all
 * that happened to a volume.
 */
export interface LogFields {
  /** Which part speaks, e.g. `discovery`. */
  readonly component?: string;
  /** Volume id, e.g. `e10.3@6f1c`. */
  readonly volume?: string;
  /** AoE address, e.g. `e10.3`. */
  readonly target?: string;
  /** Node id, as CSI has it. */
  readonly node?: string;
  /** One call of a gRPC method: the same on every line that it caused. */
  readonly request?: string;
  /** The gRPC method, e.g. `CreateVolume`. */
  readonly method?: string;
  /** How a call ended: `OK` or gRPC's name of what went wrong, e.g. `NOT_FOUND`. */
  readonly code?: string;
  /** A message of a call, without its secrets. */
  readonly message?: object;
  /** Local network interface, e.g. `eth1`. */
  readonly interface?: string;
  /** MAC address of the target's port, e.g. `02:00:00:00:00:01`. */
  readonly mac?: string;
  /** Block device or socket through which the volume is used, e.g. `/dev/loop3`. */
  readonly device?: string;
  readonly durationMs?: number;
  readonly sizeBytes?: number;
  readonly count?: number;
  /** What went wrong: type, message, code and stack are written. */
  readonly err?: unknown;
}

/**
 * Lines of JSON, one per message. Writes synchronously, so that the last words of a dying process are not lost; for that reason
 * it is not for the data path, which counts what happens and leaves the telling to the control thread.
 */
export class Logger {
  readonly #pino: Pino;
  readonly #fields: LogFields;

  private constructor(writer: Pino, fields: LogFields) {
    this.#pino = writer;
    this.#fields = fields;
  }

  /** To standard error (never a file: a full disk or a held volume must not stop a storage daemon), unless a test says otherwise. */
  static create(level: LogLevel, stream: DestinationStream = destination({ dest: 2, sync: true })): Logger {
    const options = { level, base: null, timestamp: stdTimeFunctions.isoTime, formatters: { level: levelByName } };
    return new Logger(pino(options, stream), {});
  }

  /** A logger that puts `fields` on each of its lines. It shares this one's level. */
  with(fields: LogFields): Logger {
    return new Logger(this.#pino, { ...this.#fields, ...fields });
  }

  get level(): LogLevel {
    return this.#pino.level as LogLevel;
  }

  /** Takes effect at once for this logger and all that share its level. */
  set level(level: LogLevel) {
    this.#pino.level = level;
  }

  trace(message: string, fields?: LogFields): void {
    this.#pino.trace({ ...this.#fields, ...fields }, message);
  }

  debug(message: string, fields?: LogFields): void {
    this.#pino.debug({ ...this.#fields, ...fields }, message);
  }

  info(message: string, fields?: LogFields): void {
    this.#pino.info({ ...this.#fields, ...fields }, message);
  }

  warn(message: string, fields?: LogFields): void {
    this.#pino.warn({ ...this.#fields, ...fields }, message);
  }

  error(message: string, fields?: LogFields): void {
    this.#pino.error({ ...this.#fields, ...fields }, message);
  }
}

/** `"level":"info"` instead of pino's numbers. */
function levelByName(label: string): { level: string } {
  return { level: label };
}
