import type { Arena } from '../buffers/arena.ts';
import type { IoVector } from '../buffers/io-vector.ts';
import { MSG_DONTWAIT, MSG_NOSIGNAL } from './constants.ts';
import { IovecTable } from './iovec-table.ts';
import { orNegativeErrno, recvmsg, sendmsg } from './libc.ts';
import { MSGHDR_BYTES, MSGHDR_IOV, MSGHDR_IOVLEN, storeWord64 } from './structs.ts';

const WORD = 4;

/**
 * Scatter/gather on stream sockets: one `struct msghdr` and its iovecs in a region of the arena, refilled for each call. One
 * instance serves any number of sockets of a thread.
 */
export class StreamIo {
  readonly #vectors: IovecTable;
  readonly #words: Int32Array;
  readonly #headerAddress: number;

  /** Bytes of arena that an instance for up to `vectorsMax` ranges needs. */
  static sizeBytes(vectorsMax: number): number {
    return MSGHDR_BYTES + IovecTable.sizeBytes(vectorsMax);
  }

  /** `regionOffset` is a multiple of 8; the ranges of every IoVector lie in the same arena. */
  constructor(arena: Arena, regionOffset: number, vectorsMax: number) {
    this.#vectors = new IovecTable(arena, regionOffset + MSGHDR_BYTES, vectorsMax);
    this.#words = new Int32Array(arena.bytes.buffer, regionOffset, MSGHDR_BYTES / WORD);
    this.#words.fill(0);
    this.#headerAddress = arena.address + regionOffset;
    storeWord64(this.#words, MSGHDR_IOV / WORD, this.#vectors.address);
  }

  /**
   * Receives into the ranges of `vector`, in order, without waiting. Returns the number of bytes, 0 at the end of the stream,
   * or a negative errno (-EAGAIN: nothing there). An empty vector also returns 0: ask for at least one byte.
   */
  receive(fd: number, vector: IoVector): number {
    this.#words[MSGHDR_IOVLEN / WORD] = this.#vectors.fill(vector);
    return orNegativeErrno(recvmsg(fd, this.#headerAddress, MSG_DONTWAIT));
  }

  /**
   * Sends the ranges of `vector`, in order, without waiting. Returns the number of bytes that the socket took, possibly fewer
   * than given, or a negative errno (-EAGAIN: its buffer is full; -EPIPE: the peer has gone, without a signal).
   */
  send(fd: number, vector: IoVector): number {
    this.#words[MSGHDR_IOVLEN / WORD] = this.#vectors.fill(vector);
    return orNegativeErrno(sendmsg(fd, this.#headerAddress, MSG_DONTWAIT | MSG_NOSIGNAL));
  }
}
