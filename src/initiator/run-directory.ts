import { closeSync, mkdirSync, openSync, realpathSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { lockExclusively } from '../system/file-io.ts';
import { waitUntil } from '../system/waiting.ts';

/** sockaddr_un holds 108 bytes, the last of which ends the path. */
const SOCKET_PATH_BYTES_MAX = 107;
/** The longest file name made here. */
const LONGEST_NAME = 'nbd/e65534.254.sock';
const PRIVATE = 0o700;
const WRITABLE_BY_OTHERS = 0o022;
const LOCK_MODE = 0o600;
/** One that was killed needs a moment to be dead. */
const LOCK_MS = 3_000;

/** Where a daemon keeps sockets and mount points. Holds nothing that must survive a reboot: best on a tmpfs. */
export class RunDirectory {
  readonly path: string;
  #lock: number | undefined;

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
    for (const folder of ['nbd', 'fuse', 'kernel', 'etherd'])
      mkdirSync(join(this.path, folder), { recursive: true, mode: PRIVATE });
  }

  /**
   * Makes sure that no other initiator has this directory, from now on until this process is dead: the kernel takes the lock back when
   * the last of its threads has gone, and not before.
   * @throws Error when another one has it
   */
  async lock(): Promise<void> {
    if (await waitUntil(() => this.tryLock(), LOCK_MS)) return;
    throw new Error(
      `the run directory ${this.path} belongs to another initiator that runs; stop that one, or name another with ` +
        `--run-directory; to go on with its devices while they are in use, start this one with --replace`,
    );
  }

  /** A file that is there when a volume has ever been used. */
  get used(): string {
    return join(this.path, 'used');
  }

  /** The same without waiting: whether it is ours now. */
  tryLock(): boolean {
    const fd = openSync(join(this.path, 'lock'), 'a', LOCK_MODE);
    if (lockExclusively(fd) === 0) {
      this.#lock = fd;
      return true;
    }
    closeSync(fd);
    return false;
  }

  /** Whether no initiator has it now. */
  isFree(): boolean {
    const isFree = this.tryLock();
    this.leave();
    return isFree;
  }

  /** The lock comes from the initiator that had it: it is one and the same, and was not free in between. */
  inheritLock(fd: number): void {
    this.#lock = fd;
  }

  /** The descriptor that holds the lock. */
  get lockDescriptor(): number {
    if (this.#lock === undefined) throw new Error(`the run directory ${this.path} is not locked`);
    return this.#lock;
  }

  /** Holds the lock no longer, and has nothing to do with the directory any more. */
  leave(): void {
    if (this.#lock !== undefined) closeSync(this.#lock);
    this.#lock = undefined;
  }

  /** Where one that is to go on with the devices listens for them. */
  get handOver(): string {
    return join(this.path, 'hand-over.sock');
  }

  /** The unix socket of a volume's NBD server. */
  nbdSocket(name: string): string {
    return join(this.path, 'nbd', `${name}.sock`);
  }

  /** What must be known of the kernel's NBD devices, which outlive this process. */
  get kernel(): string {
    return join(this.path, 'kernel');
  }

  /** Mount points of the fuse backend, and what it must remember. */
  get fuse(): string {
    return join(this.path, 'fuse');
  }

  /** Which links to devices have been made, elsewhere. */
  get etherd(): string {
    return join(this.path, 'etherd');
  }
}
