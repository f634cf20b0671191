import { formatTargetAddress } from '../../aoe/address.ts';
import { SECTOR_BYTES } from '../../aoe/constants.ts';
import { MAX_OUTSTANDING_DEFAULT } from '../../aoe/limits.ts';
import { RpcError } from '../../rpc/status.ts';
import type {
  AttachmentMessage,
  AttachRequestMessage,
  AttachResponse,
  DetachRequestMessage,
  DetachResponse,
  GrowRequestMessage,
  ModifyRequestMessage,
} from '../control-messages.ts';
import { ask, type CommandTarget } from '../ask.ts';
import { KeyedQueue } from '../keyed-queue.ts';
import type { AttachmentReport, AttachRequest, ModifyRequest } from '../messages.ts';
import type { Quarantine } from '../quarantine.ts';
import { absent, again, isBeingDetached, NO_DEVICE, type Attached } from './attached.ts';
import {
  isBackendChoice,
  BACKEND_CHOICES,
  DeviceError,
  type AttachBackend,
  type BackendChoice,
  type ServedVolume,
} from './backend.ts';
import type { Backends } from './choice.ts';
import { Gate } from './gate.ts';
import { Openings } from './openings.ts';
import { Revival } from './revival.ts';

/** What a backend makes elsewhere (a socket) is no device. */
const DEVICES = '/dev/';

export interface AttachServiceOptions {
  readonly dataPath: CommandTarget;
  readonly backends: Backends;
  /** For requests that name no backend. */
  readonly defaultBackend: BackendChoice;
  /** Path of the unix socket of a volume's NBD server. */
  socketPath(name: string): string;
  /** Other names of devices. */
  readonly links: DeviceLinks;
  /** Passed before a volume is used. */
  readonly quarantine: Quarantine;
  /** Told what happens to devices that an earlier initiator has left. */
  readonly notice: (kind: string, target: string, text: string) => void;
}

/** Keeps other names of block devices. Never fails: a volume works without them. */
export interface DeviceLinks {
  set(name: string, device: string): void;
  remove(name: string): void;
}

/** Attaches and detaches: the data path's volume, then the device on it; the reverse on the way back. One at a time per volume. */
export class AttachService {
  readonly #options: AttachServiceOptions;
  readonly #queue = new KeyedQueue();
  readonly #gate = new Gate();
  readonly #attached = new Map<string, Attached>();
  readonly #openings: Openings;
  readonly #revival: Revival;

  constructor(options: AttachServiceOptions) {
    this.#options = options;
    this.#openings = new Openings(options.dataPath, options.quarantine);
    this.#revival = new Revival(options.dataPath, options.notice);
  }

  /** Takes up the devices that an earlier initiator has left alive. They are attached from now on; each is connected when it can be. */
  takeUpSurvivors(): void {
    for (const backend of this.#options.backends.all) {
      for (const survivor of backend.lasting?.survivors() ?? []) {
        const { volume, device } = survivor;
        this.#attached.set(volume.name, { backend, volume, device });
        if (backend.lasting !== undefined) this.#revival.begin(survivor, backend.lasting);
      }
    }
  }

  /** Links the devices that have been taken up, and says so: they are surely ours now. `origin` tells whence they have come. */
  announceSurvivors(origin: string): void {
    for (const { volume, device } of this.#attached.values()) {
      this.#link(volume.name, device);
      this.#options.notice('nbd', volume.name, `${device} of ${volume.name} ${origin}`);
    }
  }

  /**
   * Attaches, detaches and changes nothing from now on: who asks is told `reason`.
   * @returns why that can't be, after `patienceMs`; undefined when nothing is under way any more
   */
  async suspend(reason: string, patienceMs: number): Promise<string | undefined> {
    this.#openings.giveUp(new RpcError('UNAVAILABLE', reason));
    if (await this.#gate.close(reason, patienceMs)) return undefined;
    this.#gate.open();
    return 'an attach, detach or change of it is under way';
  }

  /** Goes on after `suspend`. */
  goOn(): void {
    this.#gate.open();
  }

  /**
   * @param signal gives up, undoes what was done and rejects with the signal's reason, extended by what was waited for
   * @throws RpcError, DataPathError, DeviceError
   */
  async attach(message: AttachRequestMessage, signal: AbortSignal): Promise<AttachResponse> {
    const name = formatTargetAddress(message.shelf, message.slot);
    const choice = this.#choice(message.backend);
    return this.#exclusively(name, signal, async () => {
      const request = this.#requestOf(name, message);
      const before = this.#attached.get(name);
      const present = before === undefined ? undefined : await this.#find(name);
      if (before !== undefined && present !== undefined) {
        if (before.device === NO_DEVICE) throw isBeingDetached(name);
        await this.#requireServed(before);
        return again(before, present, request, choice);
      }
      const { backend, note } = await this.#options.backends.choose(choice);
      await this.#requireInterfaces(name);
      const report = await this.#openings.open(name, request, signal);
      const volume = { name, request, sectors: report.sectors, serial: report.serial, model: report.model };
      const device = await this.#makeDevice(backend, volume, signal);
      const attached = { backend, volume, device };
      this.#attached.set(name, attached);
      this.#link(name, device);
      return { attachment: this.#messageOf(report, attached), note };
    });
  }

  /**
   * @param signal stops waiting; a detach whose I/O has not ended goes on by itself
   * @throws RpcError, DataPathError, DeviceError `busy` while the device is in use
   */
  async detach({ shelf, slot, force }: DetachRequestMessage, signal: AbortSignal): Promise<DetachResponse> {
    const name = formatTargetAddress(shelf, slot);
    this.#openings.giveUp(new RpcError('ABORTED', 'it was detached meanwhile'), name);
    return this.#exclusively(name, signal, async () => {
      const attached = this.#attached.get(name);
      if (attached === undefined) return { note: `${name} was not attached` };
      if (force) {
        // First: what has been closed under it, it would attach again.
        await this.#revival.end(name);
        attached.backend.lasting?.abandon(name);
        await this.#close(name, true, signal);
        await this.#takeAway(attached, true);
      } else {
        await this.#requireUnused(attached);
        await this.#takeAway(attached, false);
        // Should nobody wait for the rest: the device is gone already, and may be another volume's soon.
        this.#attached.set(name, { ...attached, device: NO_DEVICE });
        await this.#revival.end(name);
        await this.#close(name, false, signal);
      }
      this.#attached.delete(name);
      return { note: '' };
    });
  }

  /** Changes an attachment in use, here and in what the same attach would be compared with. @throws RpcError, DataPathError */
  async modify(message: ModifyRequestMessage, signal: AbortSignal): Promise<void> {
    const name = formatTargetAddress(message.shelf, message.slot);
    return this.#exclusively(name, signal, async () => {
      const attached = this.#required(name);
      const modify = settingsOf(message);
      await this.#options.dataPath.execute({ op: 'modify', name, modify });
      const request = { ...attached.volume.request, ...modify };
      this.#attached.set(name, { ...attached, volume: { ...attached.volume, request } });
      await attached.backend.lasting?.remember(name, request);
    });
  }

  /** Asks the target how large it is, and lets the device in use have all of that. @throws RpcError, DataPathError, DeviceError */
  async grow({ shelf, slot }: GrowRequestMessage, signal: AbortSignal): Promise<AttachResponse> {
    const name = formatTargetAddress(shelf, slot);
    return this.#exclusively(name, signal, async () => {
      const attached = this.#required(name);
      const { backend, volume, device } = attached;
      const { sectors } = await ask(this.#options.dataPath, { op: 'measure', name }, 'size');
      const bytes = sectors * SECTOR_BYTES;
      if (sectors <= volume.sectors) {
        const attachment = await this.#find(name);
        if (attachment === undefined) throw new RpcError('ABORTED', `${name} was detached meanwhile`);
        return { attachment, note: `the target ${name} has ${bytes} bytes, and ${device} has all of them` };
      }
      if (backend.lasting === undefined) {
        throw new DeviceError(
          'refused',
          `${name} has grown to ${bytes} bytes, but devices of backend ${backend.name} can't grow while they are attached; ` +
            'detach it and attach it again',
        );
      }
      const { attachment: report } = await ask(this.#options.dataPath, { op: 'grow', name }, 'attached');
      await backend.lasting.grow(name, report.sectors);
      const grown = { ...attached, volume: { ...volume, sectors: report.sectors } };
      this.#attached.set(name, grown);
      const note = `${device} had ${volume.sectors * SECTOR_BYTES} bytes, and has ${report.sectors * SECTOR_BYTES} now`;
      return { attachment: this.#messageOf(report, grown), note };
    });
  }

  async list(): Promise<AttachmentMessage[]> {
    const attachments = await this.#served();
    const waiting = [...this.#attached.values()].filter(
      ({ volume, device }) => device !== NO_DEVICE && !attachments.some(({ name }) => name === volume.name),
    );
    return [
      ...attachments.map((report) => this.#messageOf(report, this.#attached.get(report.name))),
      ...waiting.map((attached) => this.#messageOf(absent(attached.volume), attached)),
    ];
  }

  /**
   * Detaches whatever nobody uses and would not go on without us. Returns what is left, a sentence each. A device that goes on is left
   * also where nobody uses it now: its users may just not have come yet, and must find it and no other one.
   */
  async detachUnused(signal: AbortSignal): Promise<string[]> {
    const left: string[] = [];
    for (const { backend, volume, device } of this.#attached.values()) {
      if (backend.lasting !== undefined && device !== NO_DEVICE) {
        left.push(`${device} of ${volume.name} stays, and holds its I/O until the next initiator takes it up`);
        continue;
      }
      const { shelf, slot } = volume.request;
      try {
        await this.detach({ shelf, slot, force: false }, signal);
      } catch (error) {
        left.push(`${(error as Error).message}: its I/O fails from now on; what is left of it is removed by the next start`);
      }
    }
    return left;
  }

  /** The initiator ends: looks for no target of a survivor any more. */
  stop(): void {
    this.#revival.stop();
  }

  async #exclusively<T>(name: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    return this.#gate.run(async () => this.#queue.run(name, signal, work));
  }

  #required(name: string): Attached {
    const attached = this.#attached.get(name);
    if (attached !== undefined && attached.device !== NO_DEVICE) return attached;
    throw new RpcError('NOT_FOUND', `${name} is not attached`);
  }

  #choice(backend: string): BackendChoice {
    if (backend === '') return this.#options.defaultBackend;
    if (isBackendChoice(backend)) return backend;
    throw new RpcError(
      'INVALID_ARGUMENT',
      `there is no attach backend '${backend}'; choose one of ${BACKEND_CHOICES.join(', ')}`,
    );
  }

  #requestOf(name: string, message: AttachRequestMessage): AttachRequest {
    return {
      shelf: message.shelf,
      slot: message.slot,
      socketPath: this.#options.socketPath(name),
      readOnly: message.readOnly,
      ...settingsOf(message),
    };
  }

  async #requireInterfaces(name: string): Promise<void> {
    const { interfaces } = await ask(this.#options.dataPath, { op: 'listInterfaces' }, 'interfaces');
    if (interfaces.length > 0) return;
    const advice = 'allow the interfaces of the storage network, for example: aoe-csi interfaces set eth1';
    throw new RpcError('FAILED_PRECONDITION', `${name} can't be looked for, because no interface may carry AoE; ${advice}`);
  }

  #link(name: string, device: string): void {
    if (device.startsWith(DEVICES)) this.#options.links.set(name, device);
  }

  /** Its link goes first: once the device is gone, another volume may have one of that name. */
  async #takeAway({ backend, volume, device }: Attached, force: boolean): Promise<void> {
    if (device === NO_DEVICE) return;
    this.#options.links.remove(volume.name);
    try {
      await backend.detach(volume, device, force);
    } catch (error) {
      this.#link(volume.name, device);
      throw error;
    }
  }

  async #makeDevice(backend: AttachBackend, volume: ServedVolume, signal: AbortSignal): Promise<string> {
    try {
      const device = await backend.attach(volume, signal);
      if (!signal.aborted) return device;
      await backend.detach(volume, device, true);
      throw signal.reason;
    } catch (error) {
      await this.#options.dataPath.execute({ op: 'detach', name: volume.name, force: true });
      throw error;
    }
  }

  /** What the data path has. */
  async #served(): Promise<readonly AttachmentReport[]> {
    return (await ask(this.#options.dataPath, { op: 'listAttachments' }, 'attachments')).attachments;
  }

  /** That the device has its volume, or somebody who brings it back. A forced detach may have ended in between. @throws RpcError */
  async #requireServed({ volume: { name }, device }: Attached): Promise<void> {
    if (this.#revival.isUnderway(name) || (await this.#served()).some((each) => each.name === name)) return;
    throw new RpcError(
      'ABORTED',
      `${device} of ${name} was left by a detach that could not take it away; detach it again, with force`,
    );
  }

  async #find(name: string): Promise<AttachmentMessage | undefined> {
    return (await this.list()).find((attachment) => attachment.name === name);
  }

  #messageOf(report: AttachmentReport, attached: Attached | undefined): AttachmentMessage {
    const { request } = attached?.volume ?? {};
    return {
      ...report,
      device: attached?.device ?? NO_DEVICE,
      backend: attached === undefined || attached.device === NO_DEVICE ? '' : attached.backend.name,
      deadSeconds: request?.deadSeconds ?? 0,
      maxOutstanding: request?.maxOutstanding ?? 0,
      interfaces: request?.interfaces ?? [],
      link: this.#revival.trouble(report.name) || (attached?.backend.lasting?.trouble(report.name) ?? ''),
    };
  }

  async #requireUnused({ volume, backend }: Attached): Promise<void> {
    if (backend.name !== 'nbd-socket') return;
    const { connections = 0 } = (await this.#find(volume.name)) ?? {};
    if (connections === 0) return;
    const users = connections === 1 ? 'an NBD connection' : `${connections} NBD connections`;
    throw new RpcError(
      'ABORTED',
      `${volume.name} is in use by ${users} to ${volume.request.socketPath}; end that first, or use force`,
    );
  }

  /** Ends the volume. Without force that takes until its I/O has been answered, which may be never. */
  async #close(name: string, force: boolean, signal: AbortSignal): Promise<void> {
    const closing = this.#options.dataPath.execute({ op: 'detach', name, force });
    const { promise: over, resolve } = Promise.withResolvers<'over'>();
    const giveUp = (): void => resolve('over');
    signal.addEventListener('abort', giveUp, { once: true });
    if (signal.aborted) giveUp();
    try {
      if ((await Promise.race([closing, over])) !== 'over') return;
    } catch (error) {
      // An earlier detach that nobody waited for has ended meanwhile.
      if ((error as { code?: string }).code !== 'not-found') throw error;
      return;
    } finally {
      signal.removeEventListener('abort', giveUp);
    }
    closing.catch(() => undefined);
    const { requestsInFlight = 0, state = '', reason = '' } = (await this.#find(name)) ?? {};
    const waits = `${requestsInFlight} requests are still under way to ${name}${reason === '' ? '' : `, which is ${state}: ${reason}`}`;
    throw new RpcError('DEADLINE_EXCEEDED', `${waits}; it is detached when they have ended; to fail them at once, use force`);
  }
}

/** What may be changed later, with the defaults filled in. */
function settingsOf({ deadSeconds, maxOutstanding, interfaces }: Omit<ModifyRequestMessage, 'shelf' | 'slot'>): ModifyRequest {
  return {
    deadSeconds,
    maxOutstanding: maxOutstanding === 0 ? MAX_OUTSTANDING_DEFAULT : maxOutstanding,
    interfaces: interfaces.length === 0 ? undefined : interfaces,
  };
}
