import { mkdirSync } from 'node:fs';
import { join } from 'node:path';

/** sockaddr_un holds 108 bytes, the last of which ends the path. */
const SOCKET_PATH_BYTES_MAX = 107;
/** The longest file name made here. */
const LONGEST_NAME = 'nbd/e65534.254.sock';
const PRIVATE = 0o700;

/** Where a daemon keeps sockets and mount points. Holds nothing that must survive a reboot: best on a tmpfs. */
export class RunDirectory {
  readonly path: string;

  /** Makes it, for its owner only. @throws Error when its path is too long for sockets in it, or it can't be made */
  constructor(path: string) {
    this.path = path;
    const room = SOCKET_PATH_BYTES_MAX - Buffer.byteLength(LONGEST_NAME) - 1;
    if (Buffer.byteLength(path) > room) {
      throw new Error(
        `the run directory ${path} can't be used: sockets in it need a path of at most ${room} bytes; choose a shorter one`,
      );
    }
    for (const folder of [path, join(path, 'nbd'), join(path, 'fuse')]) mkdirSync(folder, { recursive: true, mode: PRIVATE });
  }

  /** The unix socket of a volume's NBD server. */
  nbdSocket(name: string): string {
    return join(this.path, 'nbd', `${name}.sock`);
  }

  /** Mount points of the fuse backend, and what it must remember. */
  get fuse(): string {
    return join(this.path, 'fuse');
  }
}
