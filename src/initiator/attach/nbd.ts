import { SECTOR_BYTES } from '../../aoe/constants.ts';
import { bootId } from '../../system/boot-id.ts';
import { closeFd } from '../../system/unix-socket.ts';
import { ask, type CommandTarget } from '../ask.ts';
import type { AttachRequest, Inherited } from '../messages.ts';
import type { Quarantine } from '../quarantine.ts';
import { DeviceError, type AttachBackend, type LastingDevices, type ServedVolume, type Survivor } from './backend.ts';
import { KernelConnections } from './kernel-connections.ts';
import { NbdCalls } from './nbd-calls.ts';
import { isRoomy, NbdDevice, type NbdSurroundings } from './nbd-device.ts';
import { nbdObstacle } from './nbd-preflight.ts';
import { NbdQueues } from './nbd-queues.ts';
import { newIdentifier, readNbdRecords, removeNbdRecord, writeNbdRecord, type NbdRecord } from './nbd-record.ts';
import { nbdDevices, sizeBytesOf } from './nbd-sysfs.ts';
import { staticIndex } from './static-index.ts';

/** AoE's own: no read-modify-write anywhere. Recorded per volume, should others ever come. */
const BLOCK_BYTES = SECTOR_BYTES;

/** A device that may be handed over. */
export interface GivenDevice {
  readonly name: string;
  readonly identifier: string;
  /** The number of its connection, if it has one now. */
  readonly connection: number | undefined;
}

type Notice = (kind: 'nbd' | 'dead', name: string, text: string) => void;

/**
 * Devices of the kernel's NBD driver, /dev/nbdN. They belong to the kernel: when the initiator ends, however it ends, they stay, hold
 * their I/O and wait for the next one.
 */
export class NbdBackend implements AttachBackend, LastingDevices {
  readonly name = 'nbd';
  readonly lasting = this;
  readonly #folder: string;
  readonly #notice: Notice;
  readonly #staticMinors: boolean;
  readonly #calls: NbdCalls;
  readonly #queues = new NbdQueues();
  readonly #devices = new Map<string, NbdDevice>();
  #dataPath: CommandTarget | undefined;
  #connections: KernelConnections | undefined;
  #isWatching = false;
  #left: { record: NbdRecord; index: number }[] = [];
  #quarantine: Quarantine | undefined;
  readonly #ready = new Set<string>();

  /**
   * @param folder of this initiator alone, and locked by it
   * @param staticMinors whether a device's index follows from its target's address; else the kernel chooses a free one
   */
  constructor(folder: string, notice: Notice, staticMinors = false) {
    this.#staticMinors = staticMinors;
    this.#folder = folder;
    this.#notice = notice;
    this.#calls = new NbdCalls({ alarm: (text) => notice('dead', '', text) });
  }

  /**
   * Before any device is made or taken up.
   * @param quarantine passed before a device of an earlier initiator is connected
   */
  use(dataPath: CommandTarget, quarantine: Quarantine): void {
    this.#quarantine = quarantine;
    this.#dataPath = dataPath;
    this.#connections = new KernelConnections(dataPath);
  }

  /** The data path says that a connection has ended. */
  kernelGone(connection: number, goodbye: boolean): void {
    this.#connections?.gone(connection, goodbye);
  }

  /** The kernel says that a device's socket is dead. */
  linkDead(index: number): void {
    for (const device of this.#devices.values()) if (device.index === index) device.link.nudge();
  }

  async unavailable(): Promise<string | undefined> {
    return nbdObstacle(this.#calls);
  }

  async attach(volume: ServedVolume, signal: AbortSignal): Promise<string> {
    signal.throwIfAborted();
    await this.#watch();
    const { name, request } = volume;
    // One that could not be taken away, and that nobody was told of.
    await this.#devices.get(name)?.end(true);
    const index = this.#staticMinors ? staticIndex(request.shelf, request.slot) : undefined;
    const record = { ...volume, identifier: newIdentifier(name), bootId: bootId(), blockBytes: BLOCK_BYTES };
    // Before the device is made: whoever finds this initiator killed knows the device by its identifier.
    await writeNbdRecord(this.#folder, record);
    try {
      const device = await NbdDevice.make(record, this.#around, index);
      this.#devices.set(name, device);
      return device.path;
    } catch (error) {
      await this.#forget(record);
      throw error;
    }
  }

  async detach({ name }: ServedVolume, _device: string, force: boolean): Promise<void> {
    await this.#devices.get(name)?.end(force);
    this.#devices.delete(name);
    await removeNbdRecord(this.#folder, name);
  }

  async removeLeftovers(): Promise<readonly string[]> {
    const thisBoot = bootId();
    const { left, gone, problems } = this.#look(thisBoot);
    this.#left = left;
    const done = [...problems];
    for (const record of gone) {
      const why = record.bootId === thisBoot ? 'its device has been disconnected' : 'the machine has been started anew since';
      done.push(`${record.name} was attached by an earlier initiator, but ${why}`);
      await removeNbdRecord(this.#folder, record.name);
    }
    return done;
  }

  /**
   * Devices of an initiator that still runs, and may hand them over: survivors, which nobody may connect before the quarantine.
   * @returns their identifiers
   */
  expect(): readonly string[] {
    this.#left = this.#look(bootId()).left;
    return this.#left.map(({ record }) => record.identifier);
  }

  /** Identifiers of the expected devices whose volumes are served here, and could be connected. */
  get ready(): readonly string[] {
    return [...this.#ready];
  }

  /**
   * Goes on with the live connection of a device that is ready. It is frozen, until it is thawed.
   * @returns its number
   * @throws DataPathError, DeviceError; the descriptor is closed then
   */
  async inherit(identifier: string, fd: number, inherited: Inherited): Promise<number> {
    const device = [...this.#devices.values()].find(({ record }) => record.identifier === identifier);
    if (device === undefined || !this.#ready.has(identifier)) {
      closeFd(fd);
      throw new DeviceError('refused', `a connection of ${identifier} was handed over, which is not known here`);
    }
    const { connections } = this.#around;
    const connection = await connections.inherit(device.record.name, fd, inherited);
    device.link.adopt(connection);
    if (isRoomy(connection)) return connection.id;
    await this.giveBack();
    throw new DeviceError('refused', `${device.record.name} can't be served to the kernel with so little memory; raise --chunks`);
  }

  /** The expected devices, and all connections that came with them, are the other one's; it does not see that we had them. */
  async giveBack(): Promise<void> {
    this.pause();
    const ids = this.devices().flatMap(({ connection }) => (connection === undefined ? [] : [connection]));
    await this.#around.connections.letGo(ids);
  }

  /** Whether the records of the expected devices are still what they were. */
  get isUnchanged(): boolean {
    const { left } = this.#look(bootId());
    const known = new Set([...this.#devices.values()].map(({ record }) => JSON.stringify(record)));
    return left.length === known.size && left.every(({ record }) => known.has(JSON.stringify(record)));
  }

  devices(): readonly GivenDevice[] {
    return [...this.#devices.values()].map(({ record: { name, identifier }, link: { connection } }) => ({
      ...{ name, identifier, connection },
    }));
  }

  /** Connects nothing from now on, until `goOn`. */
  pause(): void {
    for (const { link } of this.#devices.values()) link.close();
  }

  /** The devices are ours after all. */
  goOn(): void {
    for (const device of this.#devices.values()) device.goOn('they were not handed over');
  }

  survivors(): readonly Survivor[] {
    return this.#left.splice(0).map(({ record, index }) => {
      const device = new NbdDevice(record, index, this.#around);
      this.#devices.set(record.name, device);
      const { name, request, serial, model } = record;
      // Who let it grow may have ended before that was recorded.
      const sectors = Math.max(record.sectors, sizeBytesOf(index) / SECTOR_BYTES);
      return { volume: { name, request, sectors, serial, model }, device: device.path };
    });
  }

  /**
   * The kernel asks again for all that was not answered. A copy of such a write that the dead process had sent must not arrive after
   * the repeated one has been answered, and a newer one been written: so none is repeated before the last such copy is gone.
   */
  resume({ volume }: Survivor, isSettled: boolean): void {
    const device = this.#devices.get(volume.name);
    if (device === undefined) return;
    // Who has it now may still see its target: it is not taken from there to fail here.
    if (isSettled) this.#ready.add(device.record.identifier);
    device.link.waitFor('until nothing can arrive any more that the initiator before has sent');
    void this.#watch()
      .catch(() => undefined)
      .then(async () => this.#quarantine?.end())
      .then(async () => {
        // It may have come by a hand-over.
        if (device.link.connection === undefined) await device.takeUp('the initiator before has ended');
        else await device.holdAgain();
      });
  }

  abandon(name: string): void {
    this.#devices.get(name)?.link.close();
  }

  async remember(name: string, request: AttachRequest): Promise<void> {
    const device = this.#devices.get(name);
    if (device === undefined) return;
    device.record = { ...device.record, request };
    await writeNbdRecord(this.#folder, device.record);
  }

  async grow(name: string, sectors: number): Promise<void> {
    const device = this.#devices.get(name);
    if (device === undefined) throw new DeviceError('unavailable', `${name} has no device to grow`);
    await device.grow(sectors);
    await writeNbdRecord(this.#folder, device.record);
  }

  trouble(name: string): string {
    return this.#devices.get(name)?.link.trouble ?? '';
  }

  isLost(name: string): boolean {
    return this.#devices.get(name)?.link.isLost ?? false;
  }

  /** The initiator ends: its devices stay. */
  stop(): void {
    for (const { link } of this.#devices.values()) link.close();
    this.#calls.stop();
  }

  /** Making a device has failed. One that could not be taken away again is for the next attach, or the next initiator. */
  async #forget(record: NbdRecord): Promise<void> {
    const { name, identifier } = record;
    const devices = devicesNow();
    const left = devices?.find((device) => device.identifier === identifier);
    if (left !== undefined) {
      this.#devices.set(name, new NbdDevice(record, left.index, this.#around));
      this.#notice(
        'nbd',
        name,
        `/dev/nbd${left.index} was made of ${name}, could not be used, and could not be taken away again`,
      );
    } else if (devices !== undefined) await removeNbdRecord(this.#folder, name);
  }

  get #around(): NbdSurroundings {
    if (this.#connections === undefined) throw new Error('the nbd backend was given no data path');
    return { connections: this.#connections, calls: this.#calls, queues: this.#queues, notice: this.#notice };
  }

  /** The devices that are there of those that records speak of; and the records of those that are gone. */
  #look(thisBoot: string): { left: { record: NbdRecord; index: number }[]; gone: NbdRecord[]; problems: string[] } {
    const { records, problems } = readNbdRecords(this.#folder);
    const devices = records.length === 0 ? [] : nbdDevices();
    const left: { record: NbdRecord; index: number }[] = [];
    const gone: NbdRecord[] = [];
    for (const record of records) {
      const device = devices.find(({ identifier }) => identifier === record.identifier);
      if (record.bootId === thisBoot && device !== undefined) left.push({ record, index: device.index });
      else gone.push(record);
    }
    return { left, gone, problems };
  }

  /** Hears of dead sockets from now on. */
  async #watch(): Promise<void> {
    if (this.#isWatching || this.#dataPath === undefined) return;
    this.#isWatching = true;
    try {
      await ask(this.#dataPath, { op: 'watchLinks', fd: await this.#calls.number({ op: 'monitor' }) }, 'done');
    } catch (error) {
      this.#isWatching = false;
      throw error;
    }
  }
}

/** Undefined where that can't be known. */
function devicesNow(): ReturnType<typeof nbdDevices> | undefined {
  try {
    return nbdDevices();
  } catch {
    return undefined;
  }
}
