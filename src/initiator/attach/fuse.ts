import { closeSync, existsSync, mkdirSync, openSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { identifyProcess, isRunning } from '../../system/process-identity.ts';
import { findProgram } from '../../system/programs.ts';
import { DeviceError, type AttachBackend, type ServedVolume } from './backend.ts';
import { deviceUsers } from './device-users.ts';
import { readRecords, removeRecord, writeRecord, type FuseRecord } from './fuse-record.ts';
import { bindLoopDevice, loopDevicesOf, unbindLoopDevice } from './loop-device.ts';
import { NbdFuse, unmountFuse } from './nbdfuse.ts';

/** What it takes, and how to get it. */
const PROGRAMS = [
  ['nbdfuse', 'libnbd-bin'],
  ['losetup', 'mount'],
  ['umount', 'mount'],
] as const;
const DEVICE_NODES = [
  ['/dev/fuse', 'fuse'],
  ['/dev/loop-control', 'loop'],
] as const;

/**
 * A block device without a kernel module for network storage: nbdfuse shows the volume's NBD server as a file below `folder`, and a
 * loop device makes a disk of that. Slower than the kernel's own NBD driver, but fuse and loop are nearly everywhere.
 */
export class FuseBackend implements AttachBackend {
  readonly name = 'fuse';
  readonly #folder: string;
  readonly #lost: (volume: string, text: string) => void;
  readonly #partitions: boolean;
  readonly #running = new Map<string, NbdFuse>();

  /**
   * @param lost told when a volume's nbdfuse has ended by itself
   * @param partitions whether the kernel looks for partitions on the devices
   */
  constructor(folder: string, lost: (volume: string, text: string) => void, partitions = false) {
    this.#folder = folder;
    this.#partitions = partitions;
    this.#lost = lost;
  }

  async unavailable(): Promise<string | undefined> {
    return Promise.resolve(obstacle());
  }

  async attach(volume: ServedVolume, signal: AbortSignal): Promise<string> {
    signal.throwIfAborted();
    const mountPoint = this.#mountPoint(volume.name);
    // Before anything is made: from here on, whoever finds this initiator killed knows what to remove.
    await this.#remember(volume.name, undefined);
    try {
      mkdirSync(mountPoint, { recursive: true });
      const fuse = await NbdFuse.start(mountPoint, volume, (how) => this.#ended(volume.name, how));
      this.#running.set(volume.name, fuse);
      await this.#remember(volume.name, fuse);
      return await bindLoopDevice(fuse.file, volume.request.readOnly, this.#partitions);
    } catch (error) {
      await this.#takeDown(volume.name, true);
      throw error;
    }
  }

  async detach({ name }: ServedVolume, device: string, force: boolean): Promise<void> {
    // A loop device that somebody has let go of by hand may have another file by now: then it is not ours to take away.
    if (this.#devices(name).includes(device)) await this.#unbind(name, device, force);
    await this.#takeDown(name, force);
  }

  async #unbind(name: string, device: string, force: boolean): Promise<void> {
    const users = deviceUsers(device);
    if (users.length > 0 && !force) throw inUse(name, device, users);
    if (!(await unbindLoopDevice(device, users.length === 0)) && !force) throw inUse(name, device, deviceUsers(device));
  }

  async removeLeftovers(): Promise<readonly string[]> {
    const done: string[] = [];
    for (const record of readRecords(this.#folder)) {
      if (!isRunning(record.initiator)) done.push(await this.#removeLeftover(record));
    }
    return done;
  }

  async #removeLeftover({ name, nbdfuse }: FuseRecord): Promise<string> {
    const kept: string[] = [];
    for (const device of this.#devices(name)) {
      const users = deviceUsers(device);
      if (!(await unbindLoopDevice(device, users.length === 0))) kept.push(`${device} is still ${users.join(', ') || 'open'}`);
    }
    if (nbdfuse !== undefined && isRunning(nbdfuse)) process.kill(nbdfuse.pid, 'SIGKILL');
    await this.#takeDown(name, true);
    const what = `${name} was attached by an initiator that has been killed; its device has been taken away`;
    return kept.length === 0 ? what : `${what}, but ${kept.join('; ')}: end that, and it goes too`;
  }

  /** Everything below the loop device. */
  async #takeDown(name: string, force: boolean): Promise<void> {
    const mountPoint = this.#mountPoint(name);
    const fuse = this.#running.get(name);
    if (fuse === undefined) await unmountFuse(mountPoint, force);
    else await fuse.stop(force);
    this.#running.delete(name);
    if (existsSync(mountPoint)) rmdirSync(mountPoint);
    await removeRecord(this.#folder, name);
  }

  async #remember(name: string, fuse: NbdFuse | undefined): Promise<void> {
    const initiator = identifyProcess(process.pid);
    const nbdfuse = fuse?.identity;
    if (initiator === undefined || (fuse !== undefined && nbdfuse === undefined)) {
      throw new DeviceError('unavailable', `nbdfuse for ${name} has ended, or /proc is not mounted here`);
    }
    await writeRecord(this.#folder, { name, initiator, nbdfuse });
  }

  #devices(name: string): string[] {
    return loopDevicesOf(this.#mountPoint(name));
  }

  #mountPoint(name: string): string {
    return join(this.#folder, name);
  }

  #ended(name: string, how: string): void {
    const devices = this.#devices(name).join(', ');
    this.#lost(
      name,
      `nbdfuse of ${name} has ended (${how}): I/O to ${devices} fails; detach ${name} with force and attach it again`,
    );
  }
}

function inUse(name: string, device: string, users: readonly string[]): DeviceError {
  const who = users.length === 0 ? 'somebody who cannot be seen from here' : users.join(', ');
  return new DeviceError(
    'busy',
    `${name} can't be detached: ${device} is in use (${who}); end that first, for example with umount`,
  );
}

/** What is missing here, and what to do. */
function obstacle(): string | undefined {
  for (const [program, debianPackage] of PROGRAMS) {
    if (findProgram(program) === undefined)
      return `${program} is missing; install it, on Debian with: apt-get install ${debianPackage}`;
  }
  for (const [path, module] of DEVICE_NODES) {
    const failure = openFailure(path);
    if (failure !== undefined)
      return `${path} can't be opened (${failure}); run as root, modprobe ${module}, and let the container use it`;
  }
  return undefined;
}

function openFailure(path: string): string | undefined {
  try {
    closeSync(openSync(path, 'r+'));
    return undefined;
  } catch (error) {
    return (error as { code?: string }).code ?? 'unknown error';
  }
}
