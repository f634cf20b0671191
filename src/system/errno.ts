import { getSystemErrorMap } from 'node:util';

/**
 * Linux error numbers. One table serves x64 and arm64: both use the kernel's generic numbers. Hot calls of this folder return
 * them negative (`-EAGAIN`); cold calls throw a SystemError.
 */
export const EPERM = 1;
export const ENOENT = 2;
export const EINTR = 4;
export const EIO = 5;
export const ENXIO = 6;
export const EBADF = 9;
export const EAGAIN = 11;
export const ENOMEM = 12;
export const EACCES = 13;
export const EFAULT = 14;
export const EBUSY = 16;
export const EEXIST = 17;
export const ENODEV = 19;
export const EINVAL = 22;
export const EFBIG = 27;
export const ENOSPC = 28;
export const EROFS = 30;
export const EPIPE = 32;
export const ENAMETOOLONG = 36;
export const EPROTO = 71;
export const ENOTSOCK = 88;
export const EMSGSIZE = 90;
export const EOPNOTSUPP = 95;
export const EADDRINUSE = 98;
export const ENETDOWN = 100;
export const ECONNRESET = 104;
export const ENOBUFS = 105;
export const ETIMEDOUT = 110;
export const ECONNREFUSED = 111;

/** Names by number, from errno 1. The kernel has no 41 and no 58: they were EWOULDBLOCK and EDEADLOCK before those became aliases. */
const NAMES = [
  ...['EPERM', 'ENOENT', 'ESRCH', 'EINTR', 'EIO', 'ENXIO', 'E2BIG', 'ENOEXEC', 'EBADF', 'ECHILD'],
  ...['EAGAIN', 'ENOMEM', 'EACCES', 'EFAULT', 'ENOTBLK', 'EBUSY', 'EEXIST', 'EXDEV', 'ENODEV', 'ENOTDIR'],
  ...['EISDIR', 'EINVAL', 'ENFILE', 'EMFILE', 'ENOTTY', 'ETXTBSY', 'EFBIG', 'ENOSPC', 'ESPIPE', 'EROFS'],
  ...['EMLINK', 'EPIPE', 'EDOM', 'ERANGE', 'EDEADLK', 'ENAMETOOLONG', 'ENOLCK', 'ENOSYS', 'ENOTEMPTY', 'ELOOP'],
  ...['', 'ENOMSG', 'EIDRM', 'ECHRNG', 'EL2NSYNC', 'EL3HLT', 'EL3RST', 'ELNRNG', 'EUNATCH', 'ENOCSI'],
  ...['EL2HLT', 'EBADE', 'EBADR', 'EXFULL', 'ENOANO', 'EBADRQC', 'EBADSLT', '', 'EBFONT', 'ENOSTR'],
  ...['ENODATA', 'ETIME', 'ENOSR', 'ENONET', 'ENOPKG', 'EREMOTE', 'ENOLINK', 'EADV', 'ESRMNT', 'ECOMM'],
  ...['EPROTO', 'EMULTIHOP', 'EDOTDOT', 'EBADMSG', 'EOVERFLOW', 'ENOTUNIQ', 'EBADFD', 'EREMCHG', 'ELIBACC', 'ELIBBAD'],
  ...['ELIBSCN', 'ELIBMAX', 'ELIBEXEC', 'EILSEQ', 'ERESTART', 'ESTRPIPE', 'EUSERS', 'ENOTSOCK', 'EDESTADDRREQ', 'EMSGSIZE'],
  ...['EPROTOTYPE', 'ENOPROTOOPT', 'EPROTONOSUPPORT', 'ESOCKTNOSUPPORT', 'EOPNOTSUPP', 'EPFNOSUPPORT', 'EAFNOSUPPORT'],
  ...['EADDRINUSE', 'EADDRNOTAVAIL', 'ENETDOWN', 'ENETUNREACH', 'ENETRESET', 'ECONNABORTED', 'ECONNRESET', 'ENOBUFS'],
  ...['EISCONN', 'ENOTCONN', 'ESHUTDOWN', 'ETOOMANYREFS', 'ETIMEDOUT', 'ECONNREFUSED', 'EHOSTDOWN', 'EHOSTUNREACH'],
  ...['EALREADY', 'EINPROGRESS', 'ESTALE', 'EUCLEAN', 'ENOTNAM', 'ENAVAIL', 'EISNAM', 'EREMOTEIO', 'EDQUOT', 'ENOMEDIUM'],
  ...['EMEDIUMTYPE', 'ECANCELED', 'ENOKEY', 'EKEYEXPIRED', 'EKEYREVOKED', 'EKEYREJECTED', 'EOWNERDEAD', 'ENOTRECOVERABLE'],
  ...['ERFKILL', 'EHWPOISON'],
];

/** Highest error number that has a name. */
export const ERRNO_MAX = NAMES.length;

/** The name of an error number, given as the kernel's positive or a hot call's negative one. Total: unknown ones read `errno 4095`. */
export function errnoName(errno: number): string {
  const number = Math.abs(errno);
  return NAMES[number - 1] || `errno ${number}`;
}

/** What failed, for a SystemError. */
export interface SystemFailure {
  /** Completes "cannot …": what was attempted and on what. */
  readonly attempt: string;
  readonly syscall: string;
  /** Positive error number. */
  readonly errno: number;
  /** What to do about it: one sentence, or one per error name. */
  readonly advice?: Advice | undefined;
}

export type Advice = string | Readonly<Record<string, string>>;

/** A failed system call. Told apart by `code`, as Node's own are, never by `instanceof`. */
export class SystemError extends Error {
  /** The error's name, e.g. `ENODEV`. */
  readonly code: string;
  /** Positive error number. */
  readonly errno: number;
  readonly syscall: string;

  constructor(failure: SystemFailure) {
    const code = errnoName(failure.errno);
    // Node's table has numbers of its own making, too: only what both call by the same name is meant.
    const [name, meaning] = getSystemErrorMap().get(-failure.errno) ?? [];
    const advice = typeof failure.advice === 'object' ? failure.advice[code] : failure.advice;
    super(
      `cannot ${failure.attempt}: ${failure.syscall}: ${code}` +
        (name === code ? ` (${meaning})` : '') +
        (advice === undefined ? '' : `; ${advice}`),
    );
    this.name = 'SystemError';
    this.code = code;
    this.errno = failure.errno;
    this.syscall = failure.syscall;
  }
}
