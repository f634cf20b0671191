import { setTimeout as sleep } from 'node:timers/promises';
import { receiveDescriptors, sendDescriptors } from '../../system/descriptor-passing.ts';
import { EAGAIN } from '../../system/errno.ts';
import { closeFd, connectUnix, hangUp } from '../../system/unix-socket.ts';
import { decodeMessage, encodeMessage, RECORD_BYTES_MAX, type Message } from './protocol.ts';

/** A hand-over lasts milliseconds, and I/O stands still meanwhile: it is looked at this often. */
const LOOK_MS = 1;
/** Nothing waits for the end of a peer but the rest of cleaning up. */
const END_LOOK_MS = 20;
const DESCRIPTORS_MAX = 2;

export interface Received {
  readonly message: Message;
  readonly unread: Uint8Array;
  /** The receiver's own. */
  readonly descriptors: readonly number[];
}

/** The connection between two initiators. */
export class Channel {
  readonly #fd: number;

  /** @throws SystemError when nobody listens there */
  static connect(path: string): Channel {
    return new Channel(connectUnix(path, 'messages'));
  }

  /** `fd` belongs to the channel from now on. */
  constructor(fd: number) {
    this.#fd = fd;
  }

  /** @throws Error when the peer has gone, or takes nothing for so long */
  async send(message: Message, timeoutMs: number, descriptors: readonly number[] = [], unread?: Uint8Array): Promise<void> {
    const record = encodeMessage(message, unread);
    const end = performance.now() + timeoutMs;
    for (;;) {
      try {
        sendDescriptors(this.#fd, descriptors, record);
        return;
      } catch (error) {
        if ((error as { code?: string }).code !== 'EAGAIN' || performance.now() >= end) throw error;
      }
      await sleep(LOOK_MS);
    }
  }

  /**
   * The next message; undefined when there is none in time, or the peer has gone and will send none.
   * @throws Error when it is none of this protocol
   */
  async receive(timeoutMs: number): Promise<Received | undefined> {
    const end = performance.now() + timeoutMs;
    for (;;) {
      const received = receiveDescriptors(this.#fd, RECORD_BYTES_MAX, DESCRIPTORS_MAX);
      if (typeof received !== 'number') {
        if (received.payload.length === 0) return undefined;
        try {
          return { ...decodeMessage(received.payload), descriptors: received.descriptors };
        } catch (error) {
          for (const fd of received.descriptors) closeFd(fd);
          throw error;
        }
      }
      if (received !== -EAGAIN || performance.now() >= end) return undefined;
      await sleep(LOOK_MS);
    }
  }

  /** Lets nothing more through, in either direction; what has arrived by now can still be received. */
  cutOff(): void {
    hangUp(this.#fd);
  }

  /** Waits until the peer has closed its end, for as long as that takes. */
  async ended(): Promise<void> {
    for (;;) {
      const received = receiveDescriptors(this.#fd, RECORD_BYTES_MAX, DESCRIPTORS_MAX);
      if (typeof received === 'number' ? received !== -EAGAIN : received.payload.length === 0) return;
      if (typeof received !== 'number') for (const fd of received.descriptors) closeFd(fd);
      await sleep(END_LOOK_MS);
    }
  }

  close(): void {
    closeFd(this.#fd);
  }
}
