import { EFD_CLOEXEC, EFD_NONBLOCK } from './constants.ts';
import { close, eventfd, eventfdRead, eventfdWrite, orNegativeErrno, orThrow } from './libc.ts';
import { mapArena } from './memory.ts';

/** Where drained counts go: nobody reads them. One per thread, as this module is loaded once in each. */
const drained = mapArena(8);

/**
 * Wakes another thread's epoll. `fd` may be sent to that thread, which wraps it with `new EventFd(fd)`; signals given before
 * it looks merge into one. Whoever made it closes it, after the other thread has stopped using it.
 */
export class EventFd {
  readonly fd: number;

  /** Throws SystemError (EMFILE). */
  static create(): EventFd {
    return new EventFd(orThrow(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), 'eventfd', 'make an event descriptor'));
  }

  constructor(fd: number) {
    this.fd = fd;
  }

  /** Makes the descriptor readable. Returns 0 or a negative errno. */
  signal(): number {
    return orNegativeErrno(eventfdWrite(this.fd, 1));
  }

  /** Makes it unreadable until the next signal. Returns 0, or -EAGAIN when it was not signalled. */
  drain(): number {
    return orNegativeErrno(eventfdRead(this.fd, drained.address));
  }

  close(): void {
    close(this.fd);
  }
}
