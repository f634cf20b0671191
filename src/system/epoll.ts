import { EPOLL_CLOEXEC, EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD } from './constants.ts';
import { EINTR } from './errno.ts';
import { ARCHITECTURE, close, epollCreate1, epollCtl, epollWait, orNegativeErrno, orThrow } from './libc.ts';
import { mapArena } from './memory.ts';
import { EPOLL_EVENT_LAYOUTS } from './structs.ts';

const LAYOUT = EPOLL_EVENT_LAYOUTS[ARCHITECTURE];
const WORD = 4;
const STRIDE = LAYOUT.bytes / WORD;
const EVENTS = LAYOUT.events / WORD;
const DATA = LAYOUT.data / WORD;

/**
 * Waits for many descriptors at once, level-triggered. A descriptor is registered with a token, any 32-bit integer, by which
 * its owner knows it again: event `i` of the last `wait` is `token(i)` and `events(i)`.
 */
export class Epoll {
  readonly fd: number;
  readonly eventsMax: number;
  /** The kernel's answers, followed by one event for `epoll_ctl`. */
  readonly #words: Int32Array;
  readonly #address: number;

  /** `eventsMax`: most events that one `wait` reports; the others come with the next. Throws SystemError. */
  constructor(eventsMax: number) {
    const arena = mapArena((eventsMax + 1) * LAYOUT.bytes);
    this.eventsMax = eventsMax;
    this.#words = new Int32Array(arena.bytes.buffer, 0, (eventsMax + 1) * STRIDE);
    this.#address = arena.address;
    this.fd = orThrow(epollCreate1(EPOLL_CLOEXEC), 'epoll_create1', 'make an epoll set');
  }

  /** Starts to watch `fd` for `events` (EPOLLIN | EPOLLOUT …; EPOLLERR and EPOLLHUP always count). Throws SystemError. */
  add(fd: number, events: number, token: number): void {
    this.#control(EPOLL_CTL_ADD, fd, events, token, 'watch');
  }

  /** Changes what a watched descriptor is watched for. Throws SystemError. */
  modify(fd: number, events: number, token: number): void {
    this.#control(EPOLL_CTL_MOD, fd, events, token, 'change the watch on');
  }

  /** Stops to watch a descriptor; to be called before it is closed. Throws SystemError. */
  remove(fd: number): void {
    this.#control(EPOLL_CTL_DEL, fd, 0, 0, 'stop watching');
  }

  /** Waits up to `timeoutMs` whole milliseconds (-1: for ever). Returns the number of events, 0 when a signal came, or a negative errno. */
  wait(timeoutMs: number): number {
    const count = orNegativeErrno(epollWait(this.fd, this.#address, this.eventsMax, timeoutMs));
    return count === -EINTR ? 0 : count;
  }

  token(event: number): number {
    return this.#words[event * STRIDE + DATA];
  }

  events(event: number): number {
    return this.#words[event * STRIDE + EVENTS];
  }

  close(): void {
    close(this.fd);
  }

  #control(operation: number, fd: number, events: number, token: number, verb: string): void {
    const scratch = this.eventsMax * STRIDE;
    this.#words[scratch + EVENTS] = events;
    this.#words[scratch + DATA] = token;
    const result = epollCtl(this.fd, operation, fd, this.#address + scratch * WORD);
    if (result < 0) orThrow(result, 'epoll_ctl', `${verb} descriptor ${fd}`);
  }
}
