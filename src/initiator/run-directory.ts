import { mkdirSync, realpathSync, statSync } from 'node:fs';
import { join } from 'node:path';

/** sockaddr_un holds 108 bytes, the last of which ends the path. */
const SOCKET_PATH_BYTES_MAX = 107;
/** The longest file name made here. */
const LONGEST_NAME = 'nbd/e65534.254.sock';
const PRIVATE = 0o700;
const WRITABLE_BY_OTHERS = 0o022;

/** Where a daemon keeps sockets and mount points. Holds nothing that must survive a reboot: best on a tmpfs. */
export class RunDirectory {
  readonly path: string;

  /**
   * Makes it, for its owner only.
   * @throws Error when it can't be made, when others may write to it, or when its path leaves no room for sockets
   */
  constructor(path: string) {
    mkdirSync(path, { recursive: true, mode: PRIVATE });
    // As the kernel writes it in its lists of mounts and loop devices, which know nothing of symbolic links (/var/run is one).
    this.path = realpathSync(path);
    const room = SOCKET_PATH_BYTES_MAX - Buffer.byteLength(LONGEST_NAME) - 1;
    if (Buffer.byteLength(this.path) > room) {
      throw new Error(
        `the run directory ${this.path} can't be used: sockets in it need a path of at most ${room} bytes; choose a shorter one`,
      );
    }
    const { uid, mode } = statSync(this.path);
    if (uid !== process.geteuid?.() || (mode & WRITABLE_BY_OTHERS) !== 0) {
      throw new Error(
        `the run directory ${path} can't be used: others may write to it; name a folder of its own with --run-directory`,
      );
    }
    for (const folder of ['nbd', 'fuse']) mkdirSync(join(this.path, folder), { recursive: true, mode: PRIVATE });
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
