import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { SECTOR_BYTES } from '../../aoe/constants.ts';
import { closeFd } from '../../system/unix-socket.ts';
import { waitUntil } from '../../system/waiting.ts';
import { DeviceError } from './backend.ts';
import { deviceUsers } from './device-users.ts';
import { exclusiveOpenFailure } from './exclusive-open.ts';
import type { KernelConnection, KernelConnections, NewConnection } from './kernel-connections.ts';
import type { NbdCalls } from './nbd-calls.ts';
import { NbdLink } from './nbd-link.ts';
import type { NbdQueues } from './nbd-queues.ts';
import type { NbdRecord } from './nbd-record.ts';
import { identifierOf, sizeBytesOf } from './nbd-sysfs.ts';
import { hasIoTimeout, setIoTimeout, tune, type NbdTuning } from './nbd-tuning.ts';
import { allowWrites } from './writable.ts';

/** The kernel never takes a request for lost by itself: nothing that ext4 or XFS survive comes of that. It holds I/O for a day. */
const HOLDING = { timeoutSeconds: 0, deadConnectionSeconds: 86_400 };
/** While a device grows: a server that dies in that moment costs an I/O error then, and not the whole machine. */
const GROWING = { timeoutSeconds: 10, deadConnectionSeconds: 30 };
const TUNING: NbdTuning = {
  ioTimeoutMs: 1_000,
  requestBytesMax: 1024 * 1024,
  discardBytesMax: 64 * 1024 * 1024,
  dirtyPercentMax: 30,
};
/** What the kernel may send as one request before it has been told a smaller size (Linux 6.12). */
const FIRST_REQUEST_BYTES_MAX = 1_280 * 1_024;
const RELEASE_MS = 5_000;
const HOLD_AGAIN_MS = 5_000;

/** What devices need from those around them. */
export interface NbdSurroundings {
  readonly connections: KernelConnections;
  readonly calls: NbdCalls;
  readonly queues: NbdQueues;
  /** Told what happens to the device of a volume, a sentence; `dead` when it is lost. */
  readonly notice: (kind: 'nbd' | 'dead', name: string, text: string) => void;
}

/** A device of the kernel's NBD driver that is made of a volume. */
export class NbdDevice {
  readonly index: number;
  readonly link: NbdLink;
  record: NbdRecord;
  readonly #around: NbdSurroundings;
  #isHoldingAgain = false;

  /**
   * Makes the device that a record describes, whose volume is served.
   * @param wantedIndex undefined: one that the kernel chooses
   * @throws NbdCallError, DataPathError, DeviceError; then there is no device, unless the driver would not take it away again
   */
  static async make(record: NbdRecord, around: NbdSurroundings, wantedIndex?: number): Promise<NbdDevice> {
    const connection = await openConnection(record.name, around.connections);
    let index: number;
    try {
      const { identifier, sectors, blockBytes } = record;
      const sizeBytes = BigInt(sectors) * BigInt(SECTOR_BYTES);
      const server = { serverFlags: connection.flags, socket: connection.kernelEnd };
      const device = { index: wantedIndex, identifier, sizeBytes, blockBytes, ...server, ...HOLDING };
      index = await around.calls.number({ op: 'connect', device });
    } catch (error) {
      await around.connections.hangUp(connection.id);
      throw wantedIndex === undefined ? error : withoutIndex(record.name, wantedIndex, error as Error);
    } finally {
      closeFd(connection.kernelEnd);
    }
    const device = new NbdDevice(record, index, around);
    device.link.adopt(connection);
    try {
      await device.#settle();
    } catch (error) {
      device.link.close();
      await device.link.disconnect(true).catch(() => undefined);
      throw error;
    }
    return device;
  }

  /** A device that is there already, and not connected to us. */
  constructor(record: NbdRecord, index: number, around: NbdSurroundings) {
    const { name, identifier } = record;
    this.record = record;
    this.index = index;
    this.#around = around;
    const notice = (kind: 'nbd' | 'dead', text: string): void => around.notice(kind, name, text);
    this.link = new NbdLink({ ...around, name, index, identifier, notice });
  }

  get path(): string {
    return nbdPath(this.index);
  }

  /**
   * Takes the device away; well when it is gone already, or is another's by now.
   * @param force also from under those who use it: what they have not written yet is lost
   * @throws DeviceError `busy`, NbdCallError; then nothing has changed
   */
  async end(force: boolean): Promise<void> {
    if (!this.#isOurs) {
      this.link.close();
      return;
    }
    if (!force) await this.#requireUnused();
    this.link.close();
    try {
      await this.link.disconnect(force);
    } catch (error) {
      this.goOn('it could not be detached');
      throw error;
    }
    if (await waitUntil(() => this.#isSurelyGone, RELEASE_MS)) return;
    const users = deviceUsers(this.path).join(', ') || 'somebody who cannot be seen from here';
    this.#tell(`has been disconnected, and goes when its users have ended (${users})`);
  }

  /**
   * Makes the device larger while it is used. From Linux 6.9 on the kernel first waits for all that is under way; would the connection
   * end just then, it would wait for ever, and everything that needs netlink with it. So it may fail I/O for this moment.
   * @throws DeviceError, NbdCallError
   */
  async grow(sectors: number): Promise<void> {
    const { name } = this.record;
    const sizeBytes = sectors * SECTOR_BYTES;
    const presentBytes = sizeBytesOf(this.index);
    if (sizeBytes < presentBytes) {
      throw new DeviceError('refused', `${this.path} of ${name} has ${presentBytes} bytes, and never becomes smaller`);
    }
    if (sizeBytes > presentBytes) await this.#enlarge(sizeBytes);
    // Who let it grow may have failed after that.
    else if (await this.#isLeftInTheMiddle()) await this.#holdAsBefore();
    this.record = { ...this.record, sectors };
  }

  async #enlarge(sizeBytes: number): Promise<void> {
    const { name, identifier } = this.record;
    if (this.link.trouble !== '') {
      throw new DeviceError('unavailable', `${this.path} of ${name} can't grow now: it ${this.link.trouble}`);
    }
    const which = { index: this.index, identifier };
    const changes = [
      { ...which, ...GROWING },
      { ...which, sizeBytes: BigInt(sizeBytes) },
    ];
    try {
      await this.#around.calls.run({ op: 'grow', changes, last: { ...which, ...HOLDING } });
      await setIoTimeout(this.#around.queues, this.index, TUNING.ioTimeoutMs);
    } catch (error) {
      void this.holdAgain();
      throw error;
    }
  }

  /** The kernel takes no request for lost by itself any more. */
  async #holdAsBefore(): Promise<void> {
    await this.#hold();
    await setIoTimeout(this.#around.queues, this.index, TUNING.ioTimeoutMs);
  }

  /** Makes the kernel hold I/O as before, if somebody who let the device grow could not; goes on until that is done. */
  async holdAgain(): Promise<void> {
    if (this.#isHoldingAgain) return;
    this.#isHoldingAgain = true;
    for (let told = false; !(await this.#isHeldAgain(told)); told = true) await sleep(HOLD_AGAIN_MS, undefined, { ref: false });
    this.#isHoldingAgain = false;
  }

  /** @returns whether there is nothing left to do */
  async #isHeldAgain(told: boolean): Promise<boolean> {
    try {
      if (this.#around.calls.isStopped || !this.#isOurs || !(await this.#isLeftInTheMiddle())) return true;
      await this.#holdAsBefore();
      if (told) this.#tell('holds its I/O again');
      return true;
    } catch (error) {
      const risk = `gives its I/O up when its server is away for ${GROWING.deadConnectionSeconds} s, until it can be set again`;
      if (!told) this.#tell(`${risk}: ${(error as Error).message}`);
      return false;
    }
  }

  /**
   * Connects a device that an earlier initiator has left. That one may have ended in the middle of making it, or of letting it grow:
   * what it had no time to set is set now.
   */
  async takeUp(reason: string): Promise<void> {
    let isHeld = true;
    try {
      // First: who waits for the connection shall not be given up.
      if (this.#isOurs && (await this.#isLeftInTheMiddle())) await this.#hold();
    } catch {
      isHeld = false;
    }
    await this.link.reconnect(reason);
    if (this.link.trouble !== '') return;
    try {
      if (!isHeld) await this.#hold();
      await this.#tune();
    } catch (error) {
      this.#tell(`works, but could not be set: ${(error as Error).message}`);
      void this.#tuneWhenIdle();
    }
  }

  /** Sets what something stuck has kept from being set: the connection may have been all that it waited for. */
  async #tuneWhenIdle(): Promise<void> {
    const { calls, queues } = this.#around;
    while (queues.trouble(this.index) !== '') {
      await queues.idle(this.index);
      try {
        if (calls.isStopped || !this.#isOurs) return;
        await this.#tune();
        this.#tell('is set now');
      } catch (error) {
        this.#tell(`could still not be set: ${(error as Error).message}`);
      }
    }
  }

  /** It was to be another's, or taken away, and is not: it is connected again, if it was to be. */
  goOn(reason: string): void {
    if (this.link.reopen()) void this.takeUp(reason);
  }

  /** @throws DeviceError: nobody knows */
  get #isOurs(): boolean {
    return identifierOf(this.index) === this.record.identifier;
  }

  get #isSurelyGone(): boolean {
    try {
      return !this.#isOurs;
    } catch {
      return false;
    }
  }

  /** Whoever made it, or let it grow, has not come to the end of that. @throws DeviceError: nobody knows */
  async #isLeftInTheMiddle(): Promise<boolean> {
    return !(await hasIoTimeout(this.#around.queues, this.index, TUNING.ioTimeoutMs));
  }

  /** Sets the new device, and makes sure that it is the one that was meant. */
  async #settle(): Promise<void> {
    const { name, sectors, request } = this.record;
    await this.#tune();
    if (!this.#isOurs || sizeBytesOf(this.index) !== sectors * SECTOR_BYTES) {
      throw new DeviceError('unavailable', `${this.path} of ${name} is not what was made: somebody has changed it; try again`);
    }
    if (!existsSync(this.path)) {
      throw new DeviceError('refused', `${this.path} was made, but can't be seen here: give the container the /dev of the host`);
    }
    if (!request.readOnly && !(await allowWrites(this.index, this.path))) {
      const advice = `run blockdev --setrw ${this.path}, and try again`;
      throw new DeviceError('unavailable', `${this.path} of ${name} was left read-only by who had it before; ${advice}`);
    }
  }

  async #hold(): Promise<void> {
    const { identifier } = this.record;
    await this.#around.calls.run({ op: 'reconfigure', change: { index: this.index, identifier, ...HOLDING } });
  }

  /** @throws DeviceError when the timeout can't be set, or the device stands still because of something that could not be set yet */
  async #tune(): Promise<void> {
    const { queues } = this.#around;
    const problems = await tune(queues, this.index, TUNING);
    const stuck = queues.trouble(this.index);
    if (stuck !== '') throw new DeviceError('unavailable', problems.join('; ') || stuck);
    for (const problem of problems) this.#tell(`works, but ${problem}`);
  }

  async #requireUnused(): Promise<void> {
    const users = deviceUsers(this.path);
    if (users.length === 0) {
      const failure = await exclusiveOpenFailure(this.path);
      if (failure === '' || failure === 'ENXIO' || failure === 'ENOENT') return;
      users.push(failure === 'EBUSY' ? 'claimed by somebody who cannot be seen from here' : `opening it ended with ${failure}`);
    }
    const what = `${this.record.name} can't be detached: ${this.path} is in use (${users.join(', ')})`;
    throw new DeviceError('busy', `${what}; end that first, for example with umount`);
  }

  #tell(text: string): void {
    this.#around.notice('nbd', this.record.name, `${this.path} of ${this.record.name} ${text}`);
  }
}

export function nbdPath(index: number): string {
  return `/dev/nbd${index}`;
}

/** Whether a connection takes all that the kernel may send as one request. */
export function isRoomy({ payloadBytesMax }: KernelConnection): boolean {
  return payloadBytesMax >= FIRST_REQUEST_BYTES_MAX;
}

/** A connection that takes every request that a device may make of it from its first moment on. */
async function openConnection(name: string, connections: KernelConnections): Promise<NewConnection> {
  const connection = await connections.open(name);
  if (isRoomy(connection)) return connection;
  closeFd(connection.kernelEnd);
  await connections.hangUp(connection.id);
  throw new DeviceError('refused', `${name} can't be served to the kernel with so little memory; raise --chunks`);
}

/** Why the one device that it had to be is not to be had. */
function withoutIndex(name: string, index: number, error: Error): Error {
  if ((error as { errno?: string }).errno !== 'EBUSY') return error;
  const advice = 'end what uses it, or start the initiator without --static-minors';
  return new DeviceError('refused', `${name} must be ${nbdPath(index)} (--static-minors), which is in use; ${advice}`);
}
