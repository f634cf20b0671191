import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, rmSync } from 'node:fs';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { isMountPoint } from '../../system/mounts.ts';
import { identifyProcess, type ProcessIdentity } from '../../system/process-identity.ts';
import { findProgram, runProgram } from '../../system/programs.ts';
import { waitUntil } from '../../system/waiting.ts';
import { DeviceError, type ServedVolume } from './backend.ts';

const READY_MS = 10_000;
const UNMOUNTED_EXIT_MS = 1_000;
const EXIT_MS = 3_000;
const UNMOUNT_MS = 10_000;
const ERROR_TEXT_MAX = 4_096;

/** A running nbdfuse, which shows a volume's NBD server as a file. */
export class NbdFuse {
  /** The file that has the volume's bytes. */
  readonly file: string;
  readonly #mountPoint: string;
  readonly #child: ChildProcess;
  #errors = '';
  /** It was asked to end: its end is no news. */
  #stopping = false;

  /**
   * Starts it and waits until the file is there.
   * @param mountPoint an empty folder
   * @param ended called when it ends without having been asked to
   * @throws DeviceError with what nbdfuse said
   */
  static async start(mountPoint: string, volume: ServedVolume, ended: (how: string) => void): Promise<NbdFuse> {
    const pidFile = `${mountPoint}.pid`;
    // One that was left by a killed initiator would say that this nbdfuse is ready before it is.
    rmSync(pidFile, { force: true });
    const fuse = new NbdFuse(mountPoint, volume);
    const ready = await waitUntil(() => fuse.hasEnded || existsSync(pidFile), READY_MS);
    rmSync(pidFile, { force: true });
    if (!ready || fuse.hasEnded) {
      const how = fuse.hasEnded ? 'ended at once' : `was not ready after ${READY_MS / 1000} s`;
      const said = fuse.#errors.trim();
      await fuse.stop(true);
      throw new DeviceError('unavailable', `nbdfuse ${how} for ${volume.name}: ${said === '' ? 'it said nothing' : said}`);
    }
    fuse.#child.once('exit', (code, signal) => {
      if (!fuse.#stopping) ended(signal ?? `exit code ${String(code)}`);
    });
    return fuse;
  }

  private constructor(mountPoint: string, volume: ServedVolume) {
    this.#mountPoint = mountPoint;
    this.file = join(mountPoint, volume.name);
    const args = ['--pidfile', `${mountPoint}.pid`, ...(volume.request.readOnly ? ['--readonly'] : [])];
    // In a session of its own, so that Ctrl-C on our terminal does not take the volume from under its users.
    this.#child = spawn(findProgram('nbdfuse') ?? 'nbdfuse', [...args, this.file, '--unix', volume.request.socketPath], {
      detached: true,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    // Where a device in use is left behind, its nbdfuse must not keep the initiator from ending.
    this.#child.unref();
    (this.#child.stderr as Socket | null)?.unref();
    this.#child.on('error', (error) => (this.#errors += error.message));
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#errors = (this.#errors + text).slice(-ERROR_TEXT_MAX);
    });
  }

  get identity(): ProcessIdentity | undefined {
    return this.#child.pid === undefined ? undefined : identifyProcess(this.#child.pid);
  }

  get hasEnded(): boolean {
    return this.#child.pid === undefined || this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  /**
   * Takes the file away and waits for the end of the process.
   * @param force also while the file is in use: its users get I/O errors
   * @throws ProgramError when the file is in use
   */
  async stop(force: boolean): Promise<void> {
    this.#stopping = true;
    await unmountFuse(this.#mountPoint, force);
    if (await waitUntil(() => this.hasEnded, UNMOUNTED_EXIT_MS)) return;
    // A container started meanwhile may have a copy of the mount, which keeps it going.
    for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
      this.#child.kill(signal);
      if (await waitUntil(() => this.hasEnded, EXIT_MS)) return;
    }
  }
}

/** Unmounts a file system below the run directory; well when none is mounted. @throws ProgramError when it is in use */
export async function unmountFuse(mountPoint: string, force: boolean): Promise<void> {
  if (isMountPoint(mountPoint)) await runProgram('umount', force ? ['--lazy', mountPoint] : [mountPoint], UNMOUNT_MS);
}
