import {
  MSG_CMSG_CLOEXEC,
  MSG_CTRUNC,
  MSG_DONTWAIT,
  MSG_NOSIGNAL,
  MSG_TRUNC,
  SCM_MAX_FD,
  SCM_RIGHTS,
  SOL_SOCKET,
} from './constants.ts';
import { EINVAL, EMSGSIZE, SystemError } from './errno.ts';
import { addressOf, close, orNegativeErrno, orThrow, recvmsgBuffer, sendmsgBuffer } from './libc.ts';
import {
  CMSGHDR_BYTES,
  CMSGHDR_LEN,
  CMSGHDR_LEVEL,
  CMSGHDR_TYPE,
  IOVEC_BASE,
  IOVEC_BYTES,
  IOVEC_LEN,
  MSGHDR_BYTES,
  MSGHDR_CONTROL,
  MSGHDR_CONTROLLEN,
  MSGHDR_FLAGS,
  MSGHDR_IOV,
  MSGHDR_IOVLEN,
} from './structs.ts';

/** Open descriptors handed from process to process over a unix socket, with the bytes they came with. */
export interface ReceivedDescriptors {
  /** Empty at the end of the stream. */
  readonly payload: Buffer;
  /** The receiver's own from now on, to be closed by it; closed on exec. */
  readonly descriptors: readonly number[];
}

const DESCRIPTOR_BYTES = 4;
const CONTROL_ALIGNMENT = 8;
/** Where the parts of a RightsMessage stand. */
const IOVEC = MSGHDR_BYTES;
const CONTROL = IOVEC + IOVEC_BYTES;

/**
 * Sends `payload` (at least one byte: a stream carries descriptors only on data) and copies of `descriptors` (at most SCM_MAX_FD).
 * The caller's descriptors stay open. Returns the number of payload bytes sent; the descriptors went with the first.
 * Throws SystemError (EAGAIN when the socket's buffer is full).
 */
export function sendDescriptors(fd: number, descriptors: readonly number[], payload: Uint8Array): number {
  const attempt = `send ${descriptors.length} descriptors over socket ${fd}`;
  if (payload.length === 0 || descriptors.length > SCM_MAX_FD) {
    const advice = `send at most ${SCM_MAX_FD} descriptors with at least one byte of payload`;
    throw new SystemError({ attempt, syscall: 'sendmsg', errno: EINVAL, advice });
  }
  const message = new RightsMessage(payload.length, descriptors.length);
  message.payload.set(payload);
  message.setDescriptors(descriptors);
  return orThrow(sendmsgBuffer(fd, message.bytes, MSG_DONTWAIT | MSG_NOSIGNAL), 'sendmsg', attempt);
}

/**
 * Receives up to `payloadBytesMax` bytes and the descriptors that came with them, without waiting. Returns -EAGAIN (or another
 * negative errno) when there is nothing. When more than `descriptorsMax` were sent, or a message of more bytes, all are closed again
 * and SystemError EMSGSIZE is thrown.
 */
export function receiveDescriptors(fd: number, payloadBytesMax: number, descriptorsMax: number): ReceivedDescriptors | number {
  const message = new RightsMessage(payloadBytesMax, descriptorsMax);
  const received = orNegativeErrno(recvmsgBuffer(fd, message.bytes, MSG_DONTWAIT | MSG_CMSG_CLOEXEC));
  if (received < 0) return received;
  const descriptors = message.descriptors();
  // The control area is rounded up to 8 bytes, so that one descriptor more than asked for may have found room.
  if (message.truncated || descriptors.length > descriptorsMax) {
    for (const descriptor of descriptors) close(descriptor);
    throw new SystemError({
      attempt: `receive at most ${descriptorsMax} descriptors over socket ${fd}`,
      syscall: 'recvmsg',
      errno: EMSGSIZE,
      advice: 'the sender sent more, or this process may open no more (ulimit -n); what came has been closed',
    });
  }
  return { payload: message.payload.subarray(0, received), descriptors };
}

/**
 * One message with descriptors, in one Buffer, so that all of it lives through the call:
 *
 * ```
 * | msghdr | iovec | cmsg_len (8) | level (4) | type (4) | descriptor (4) × n | padding to 8 | payload |
 * ```
 */
class RightsMessage {
  readonly bytes: Buffer;
  readonly payload: Buffer;

  constructor(payloadBytes: number, descriptorsMax: number) {
    const controlBytes = CMSGHDR_BYTES + Math.ceil((descriptorsMax * DESCRIPTOR_BYTES) / CONTROL_ALIGNMENT) * CONTROL_ALIGNMENT;
    this.bytes = Buffer.alloc(CONTROL + controlBytes + payloadBytes);
    this.payload = this.bytes.subarray(CONTROL + controlBytes);
    const address = addressOf(this.bytes);
    this.#store64(MSGHDR_IOV, address + IOVEC);
    this.#store64(MSGHDR_IOVLEN, 1);
    this.#store64(MSGHDR_CONTROL, address + CONTROL);
    this.#store64(MSGHDR_CONTROLLEN, controlBytes);
    this.#store64(IOVEC + IOVEC_BASE, address + CONTROL + controlBytes);
    this.#store64(IOVEC + IOVEC_LEN, payloadBytes);
  }

  setDescriptors(descriptors: readonly number[]): void {
    if (descriptors.length === 0) {
      this.#store64(MSGHDR_CONTROLLEN, 0);
      return;
    }
    this.#store64(CONTROL + CMSGHDR_LEN, CMSGHDR_BYTES + descriptors.length * DESCRIPTOR_BYTES);
    this.bytes.writeInt32LE(SOL_SOCKET, CONTROL + CMSGHDR_LEVEL);
    this.bytes.writeInt32LE(SCM_RIGHTS, CONTROL + CMSGHDR_TYPE);
    for (const [index, descriptor] of descriptors.entries()) {
      this.bytes.writeInt32LE(descriptor, CONTROL + CMSGHDR_BYTES + index * DESCRIPTOR_BYTES);
    }
  }

  /** What the kernel has put into the control area: at most one header, as only descriptors are asked for. */
  descriptors(): number[] {
    if (this.#load64(MSGHDR_CONTROLLEN) < CMSGHDR_BYTES) return [];
    const end = CONTROL + this.#load64(CONTROL + CMSGHDR_LEN);
    const descriptors = [];
    for (let at = CONTROL + CMSGHDR_BYTES; at < end; at += DESCRIPTOR_BYTES) descriptors.push(this.bytes.readInt32LE(at));
    return descriptors;
  }

  /** More descriptors were sent than the control area holds, or a message is longer than there was room for. */
  get truncated(): boolean {
    return (this.bytes.readInt32LE(MSGHDR_FLAGS) & (MSG_CTRUNC | MSG_TRUNC)) !== 0;
  }

  #store64(offset: number, value: number): void {
    this.bytes.writeBigUInt64LE(BigInt(value), offset);
  }

  #load64(offset: number): number {
    return Number(this.bytes.readBigUInt64LE(offset));
  }
}
