import koffi from 'koffi';
import { SystemError, type Advice } from './errno.ts';

/**
 * The C library as this folder uses it: every binding is here. Only anonymous types, because koffi's named ones live as long
 * as the process and Jest loads this file many times in one.
 *
 * Hot calls take addresses as plain numbers (`uintptr_t`: about 0.13 µs a call against 0.15 µs for `void *`); cold ones also
 * take Buffers (`void *`), which live through the call because the caller holds them.
 */
const libc = koffi.load(null);

if (process.platform !== 'linux' || (process.arch !== 'x64' && process.arch !== 'arm64')) {
  throw new Error(
    `aoe-csi runs on Linux on x64 or arm64, not on ${process.platform} ${process.arch}: its structure layouts are known there only`,
  );
}
export const ARCHITECTURE: 'x64' | 'arm64' = process.arch;

const FD = 'int';
const INT = 'int';
const UINT = 'uint32_t';
const ADDRESS = 'uintptr_t';
const SIZE = 'size_t';
const SSIZE = 'intptr_t';
const OFFSET = 'int64_t';
const BUFFER = 'void *';
const TEXT = 'str';
/** The last one is null. */
const TEXTS = 'const char **';
const UNSIGNED_LONG = 'uint64_t';

type Fd = number;
type Address = number;
type Memory = Uint8Array | number | null;

function bind<F>(name: string, result: string, ...parameters: string[]): F {
  return libc.func(name, result, parameters) as F;
}

// Hot: plain numbers only. All return -1 and leave the reason in errno.
export const recvmmsg = bind<(fd: Fd, messages: Address, count: number, flags: number, timeout: Address) => number>(
  'recvmmsg',
  INT,
  ...[FD, ADDRESS, UINT, INT, ADDRESS],
);
export const sendmmsg = bind<(fd: Fd, messages: Address, count: number, flags: number) => number>(
  'sendmmsg',
  INT,
  ...[FD, ADDRESS, UINT, INT],
);
export const recvmsg = bind<(fd: Fd, message: Address, flags: number) => number>('recvmsg', SSIZE, FD, ADDRESS, INT);
export const sendmsg = bind<(fd: Fd, message: Address, flags: number) => number>('sendmsg', SSIZE, FD, ADDRESS, INT);
export const epollWait = bind<(fd: Fd, events: Address, countMax: number, timeoutMs: number) => number>(
  'epoll_wait',
  INT,
  ...[FD, ADDRESS, INT, INT],
);
export const accept4 = bind<(fd: Fd, name: Address, length: Address, flags: number) => number>(
  'accept4',
  INT,
  ...[FD, ADDRESS, ADDRESS, INT],
);
export const eventfdWrite = bind<(fd: Fd, value: number) => number>('eventfd_write', INT, FD, 'uint64_t');
export const eventfdRead = bind<(fd: Fd, value: Address) => number>('eventfd_read', INT, FD, ADDRESS);
export const preadv = bind<(fd: Fd, vectors: Address, count: number, position: number) => number>(
  'preadv',
  SSIZE,
  ...[FD, ADDRESS, INT, OFFSET],
);
export const pwritev = bind<(fd: Fd, vectors: Address, count: number, position: number) => number>(
  'pwritev',
  SSIZE,
  ...[FD, ADDRESS, INT, OFFSET],
);
export const pread = bind<(fd: Fd, address: Address, sizeBytes: number, position: number) => number>(
  'pread',
  SSIZE,
  ...[FD, ADDRESS, SIZE, OFFSET],
);
export const pwrite = bind<(fd: Fd, address: Address, sizeBytes: number, position: number) => number>(
  'pwrite',
  SSIZE,
  ...[FD, ADDRESS, SIZE, OFFSET],
);
export const fdatasync = bind<(fd: Fd) => number>('fdatasync', INT, FD);
export const fallocate = bind<(fd: Fd, mode: number, position: number, sizeBytes: number) => number>(
  'fallocate',
  INT,
  ...[FD, INT, OFFSET, OFFSET],
);
export const close = bind<(fd: Fd) => number>('close', INT, FD);

// Cold.
export const mmap = bind<(hint: number, sizeBytes: number, protection: number, flags: number, fd: Fd, offset: number) => number>(
  'mmap',
  SSIZE,
  ...[ADDRESS, SIZE, INT, INT, FD, OFFSET],
);
export const munmap = bind<(address: number, sizeBytes: number) => number>('munmap', INT, ADDRESS, SIZE);
export const socket = bind<(domain: number, type: number, protocol: number) => Fd>('socket', FD, INT, INT, INT);
export const socketpair = bind<(domain: number, type: number, protocol: number, pair: Memory) => number>(
  'socketpair',
  INT,
  ...[INT, INT, INT, BUFFER],
);
export const bindSocket = bind<(fd: Fd, name: Memory, lengthBytes: number) => number>('bind', INT, FD, BUFFER, UINT);
export const connect = bind<(fd: Fd, name: Memory, lengthBytes: number) => number>('connect', INT, FD, BUFFER, UINT);
export const listen = bind<(fd: Fd, backlog: number) => number>('listen', INT, FD, INT);
export const shutdown = bind<(fd: Fd, how: number) => number>('shutdown', INT, FD, INT);
export const setsockopt = bind<(fd: Fd, level: number, option: number, value: Memory, lengthBytes: number) => number>(
  'setsockopt',
  INT,
  ...[FD, INT, INT, BUFFER, UINT],
);
export const getsockopt = bind<(fd: Fd, level: number, option: number, value: Memory, lengthBytes: Memory) => number>(
  'getsockopt',
  INT,
  ...[FD, INT, INT, BUFFER, BUFFER],
);
export const sendto = bind<(fd: Fd, bytes: Memory, sizeBytes: number, flags: number, name: Memory, nameBytes: number) => number>(
  'sendto',
  SSIZE,
  FD,
  BUFFER,
  SIZE,
  INT,
  BUFFER,
  UINT,
);
export const recvfrom = bind<
  (fd: Fd, bytes: Memory, sizeBytes: number, flags: number, name: Memory, nameBytes: Memory) => number
>('recvfrom', SSIZE, FD, BUFFER, SIZE, INT, BUFFER, BUFFER);
/** As `sendmsg` and `recvmsg`, on a Buffer that holds the message header and all that it points to. */
export const sendmsgBuffer = bind<(fd: Fd, message: Memory, flags: number) => number>('sendmsg', SSIZE, FD, BUFFER, INT);
export const recvmsgBuffer = bind<(fd: Fd, message: Memory, flags: number) => number>('recvmsg', SSIZE, FD, BUFFER, INT);
export const epollCreate1 = bind<(flags: number) => Fd>('epoll_create1', FD, INT);
export const epollCtl = bind<(fd: Fd, operation: number, target: Fd, event: Address) => number>(
  'epoll_ctl',
  INT,
  ...[FD, INT, FD, ADDRESS],
);
export const eventfd = bind<(initial: number, flags: number) => Fd>('eventfd', FD, UINT, INT);
// ioctl is variadic in C; for integer and pointer arguments the calling conventions of x64 and arm64 Linux make no difference.
export const ioctl = bind<(fd: Fd, request: number, argument: Memory) => number>('ioctl', INT, FD, 'uint64_t', BUFFER);
export const fcntl = bind<(fd: Fd, command: number, argument: number) => number>('fcntl', INT, FD, INT, INT);
export const execve = bind<(path: string, args: readonly (string | null)[], environment: readonly (string | null)[]) => number>(
  'execve',
  INT,
  ...[TEXT, TEXTS, TEXTS],
);
export const prctl = bind<(option: number, ...more: readonly [number, number, number, number]) => number>(
  'prctl',
  INT,
  ...[INT, UNSIGNED_LONG, UNSIGNED_LONG, UNSIGNED_LONG, UNSIGNED_LONG],
);
export const mlock2 = bind<(address: Address, sizeBytes: number, flags: number) => number>('mlock2', INT, ADDRESS, SIZE, UINT);
export const waitpid = bind<(pid: number, status: Memory, options: number) => number>('waitpid', INT, INT, BUFFER, INT);
export const poll = bind<(descriptors: Memory, count: number, timeoutMs: number) => number>(
  'poll',
  INT,
  ...[BUFFER, UNSIGNED_LONG, INT],
);
export const flock = bind<(fd: Fd, operation: number) => number>('flock', INT, FD, INT);
export const chmod = bind<(path: string, mode: number) => number>('chmod', INT, TEXT, UINT);

/** Memory of the process as an ArrayBuffer that shares it. Nothing keeps the memory alive: only for what is never unmapped. */
export function viewMemory(address: number, sizeBytes: number): ArrayBuffer {
  return koffi.view(address, sizeBytes);
}

/**
 * Address of a Buffer's first byte, for a pointer from one place in a Buffer to another: pass that same Buffer to the call, so that
 * it lives through it. Memory of a Buffer never moves.
 */
export function addressOf(memory: Uint8Array): number {
  return Number(koffi.address(memory));
}

/** errno of this thread's last failed call. */
export function lastErrno(): number {
  return koffi.errno();
}

/** A hot call's answer: what it returned, or the negative errno. */
export function orNegativeErrno(result: number): number {
  return result < 0 ? -koffi.errno() : result;
}

/** A cold call's answer: what it returned, or a SystemError. `attempt` completes "cannot …". */
export function orThrow(result: number, syscall: string, attempt: string, advice?: Advice): number {
  if (result < 0) throw new SystemError({ attempt, syscall, errno: koffi.errno(), advice });
  return result;
}
