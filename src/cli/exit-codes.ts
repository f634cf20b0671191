/** What every command of aoe-csi ends with. Documented in docs/cli.md and in each --help. */
export const EXIT_OK = 0;
/** It was tried and did not work. */
export const EXIT_FAILED = 1;
/** The command line makes no sense. */
export const EXIT_USAGE = 2;
/** No initiator answers at the socket. */
export const EXIT_UNREACHABLE = 3;
/** It was given up when the time was over: the target did not answer, or I/O did not end. */
export const EXIT_TIMEOUT = 4;
/** In use, or attached with other parameters. */
export const EXIT_BUSY = 5;

export const EXIT_CODES_HELP = `
Exit codes:
  0  done
  1  failed
  2  wrong usage
  3  no initiator answers at the socket
  4  timed out
  5  in use, or attached with other parameters`;

/** An end that a person has to do something about: printed without a stack trace. */
export class CommandFailure extends Error {
  override readonly name = 'CommandFailure';
  readonly exitCode: number;

  constructor(exitCode: number, message: string) {
    super(message);
    this.exitCode = exitCode;
  }
}
