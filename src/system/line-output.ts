import { writeSync } from 'node:fs';
import { POLLOUT } from './constants.ts';
import { poll } from './libc.ts';
import { POLLFD_BYTES, POLLFD_EVENTS, POLLFD_FD } from './structs.ts';

/** A pipe that can be written to has room for a page, and takes as much at once (pipe(7), PIPE_BUF). */
const WRITE_BYTES_MAX = 4_096;
/** Text that waits for a slow reader; more is left out. */
const WAITING_BYTES_MAX = 1024 * 1024;
const RETRY_MS = 50;

/**
 * Lines to a descriptor whose reader may be slow, stuck or gone: a write never waits for him, what waits is bounded, and what does not
 * fit is left out and counted. As long as he reads, a line is written when `write` returns: also the last one of a dying process.
 *
 * The descriptor itself stays as it is: made non-blocking, it would be so for all processes that have it.
 */
export class LineOutput {
  readonly #fd: number;
  readonly #leftOut: (lines: number) => void;
  readonly #poll = Buffer.alloc(POLLFD_BYTES);
  #waiting: Buffer[] = [];
  #waitingBytes = 0;
  #lost = 0;
  #timer: NodeJS.Timeout | undefined;

  /** @param leftOut told how many lines were, when there is room again */
  constructor(fd: number, leftOut: (lines: number) => void) {
    this.#fd = fd;
    this.#leftOut = leftOut;
    this.#poll.writeInt32LE(fd, POLLFD_FD);
    this.#poll.writeInt16LE(POLLOUT, POLLFD_EVENTS);
  }

  write(line: string): void {
    const bytes = Buffer.from(line);
    if (this.#waitingBytes > 0 && this.#waitingBytes + bytes.length > WAITING_BYTES_MAX) {
      this.#lost++;
      return;
    }
    this.#waiting.push(bytes);
    this.#waitingBytes += bytes.length;
    this.#drain();
  }

  #drain(): void {
    while (this.#waiting.length > 0 && poll(this.#poll, 1, 0) === 1) if (!this.#writeSome()) break;
    if (this.#waiting.length > 0) {
      this.#timer ??= setInterval(() => this.#drain(), RETRY_MS).unref();
      return;
    }
    clearInterval(this.#timer);
    this.#timer = undefined;
    if (this.#lost === 0) return;
    const lost = this.#lost;
    this.#lost = 0;
    this.#leftOut(lost);
  }

  /** Writes a piece of the first line. Returns false when that must be tried later. */
  #writeSome(): boolean {
    const [first] = this.#waiting;
    let written: number;
    try {
      written = writeSync(this.#fd, first, 0, Math.min(first.length, WRITE_BYTES_MAX));
    } catch (error) {
      // Others have made it non-blocking, and filled it since.
      if ((error as { code?: string }).code === 'EAGAIN') return false;
      // Nobody reads any more, or the disk is full: there is nobody to tell.
      written = first.length;
    }
    this.#waitingBytes -= written;
    if (written === first.length) this.#waiting.shift();
    else this.#waiting[0] = first.subarray(written);
    return true;
  }
}
