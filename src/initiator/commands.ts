import type { EngineEvents, NoticeKind } from '../aoe/events.ts';
import type { DiskIdentity } from '../aoe/identity.ts';
import type { Target } from '../aoe/target.ts';
import { TARGET_UP } from '../aoe/target.ts';
import type { Volume, VolumeOptions } from '../aoe/volume.ts';
import { formatMac, formatTargetAddress, parseMac, type Mac } from '../aoe/address.ts';
import {
  CONFIG_FORCE_SET,
  CONFIG_READ,
  CONFIG_SET,
  RESERVE_FORCE_SET,
  RESERVE_READ,
  RESERVE_SET,
  SECTOR_BYTES,
} from '../aoe/constants.ts';
import type { MacAnswers } from '../aoe/every-mac.ts';
import type { TargetCommand } from '../aoe/target-commands.ts';
import { MAX_OUTSTANDING_LIMIT } from '../aoe/limits.ts';
import { transmissionFlags } from '../nbd/export.ts';
import { RECEIVE_BYTES } from '../nbd/limits.ts';
import { closeFd } from '../system/unix-socket.ts';
import { AllowList } from './allow-list.ts';
import { Freezing } from './freezing.ts';
import type { Loop } from './loop.ts';
import type {
  AttachmentReport,
  AttachRequest,
  Command,
  Failure,
  FailureCode,
  FrozenConnection,
  ModifyRequest,
  OwnershipMode,
  Reply,
  WorkerMessage,
} from './messages.ts';
import { CONNECTIONS_MAX } from './memory.ts';
import type { Connection, Listener } from './nbd-front.ts';
import { statisticsOf, targetReport } from './reports.ts';

/** A volume as the control side sees it. */
interface Attachment {
  readonly volume: Volume;
  request: AttachRequest;
  listener: Listener | undefined;
  /** Commands that wait for the attach or the detach to end. */
  attachId: number;
  detachIds: number[];
}

type OwnershipCommand = Extract<Command, { op: 'config' | 'reserve' }>;

const CONFIG_COMMANDS: Record<OwnershipMode, number> = {
  read: CONFIG_READ,
  set: CONFIG_SET,
  'force-set': CONFIG_FORCE_SET,
};
const RESERVE_COMMANDS: Record<OwnershipMode, number> = {
  read: RESERVE_READ,
  set: RESERVE_SET,
  'force-set': RESERVE_FORCE_SET,
};

/** How long a target that works is asked for its size. */
const MEASURE_US = 5_000_000;

/** No command waits. */
const NO_ID = 0;

/** Carries out commands on the data path, in its thread and between its turns, and tells what happens there. */
export class Commands implements EngineEvents {
  readonly #attachments = new Map<string, Attachment>();
  readonly #post: (message: WorkerMessage) => void;
  #loop: Loop | undefined;
  #isListening: boolean;

  /** @param isListening whether volumes have sockets of their own from the start */
  constructor(post: (message: WorkerMessage) => void, isListening: boolean) {
    this.#post = post;
    this.#isListening = isListening;
  }

  connect(loop: Loop): void {
    this.#loop = loop;
  }

  execute(id: number, command: Command, nowUs: number): void {
    const loop = this.#loop;
    if (loop === undefined) return;
    try {
      const reply = this.#run(loop, id, command, nowUs);
      if (reply !== undefined) this.#post({ type: 'reply', id, reply });
    } catch (error) {
      this.#fail(id, failureOf(error));
    }
  }

  notice(kind: NoticeKind | 'interface' | 'nbd' | 'protection', target: string, text: string): void {
    this.#post({ type: 'notice', kind, target, text });
  }

  attached(volume: Volume): void {
    const attachment = this.#attachments.get(volume.name);
    const loop = this.#loop;
    if (attachment === undefined || loop === undefined) return;
    const { attachId } = attachment;
    attachment.attachId = NO_ID;
    try {
      attachment.listener = loop.front.add(volume, attachment.request.socketPath);
      if (this.#isListening) loop.front.listen(attachment.listener);
    } catch (error) {
      if (attachment.listener !== undefined) loop.front.shutdown(attachment.listener);
      this.#attachments.delete(volume.name);
      loop.engine.detach(volume, true, loop.nowUs);
      this.#fail(attachId, failureOf(error));
      return;
    }
    this.#post({ type: 'reply', id: attachId, reply: { op: 'attached', attachment: report(attachment) } });
  }

  attachRefused(target: Target, reason: string): void {
    const attachment = this.#attachments.get(target.name);
    if (attachment === undefined) return;
    this.#attachments.delete(target.name);
    this.#fail(attachment.attachId, { code: 'refused', message: `${target.name} can't be attached: ${reason}` });
  }

  detached(target: Target): void {
    const attachment = this.#attachments.get(target.name);
    if (attachment === undefined) return;
    this.#attachments.delete(target.name);
    for (const id of attachment.detachIds) this.#post({ type: 'reply', id, reply: { op: 'done' } });
  }

  #run(loop: Loop, id: number, command: Command, nowUs: number): Reply | undefined {
    switch (command.op) {
      case 'setInterfaces':
        loop.interfaces.setAllowed(new AllowList(command.patterns), nowUs);
        return { op: 'interfaces', interfaces: loop.interfaces.states() };
      case 'listInterfaces':
        return { op: 'interfaces', interfaces: loop.interfaces.states() };
      case 'discover':
        loop.engine.discover(nowUs);
        return { op: 'done' };
      case 'listTargets':
        return { op: 'targets', targets: [...loop.engine.targets()].filter(isKnown).map((each) => targetReport(each, nowUs)) };
      case 'attach':
        this.#attach(loop, id, command.attach, command.resumed, nowUs);
        return undefined;
      case 'detach':
        this.#detach(loop, id, command.name, command.force, nowUs);
        return undefined;
      case 'serveKernel':
        return this.#serveKernel(loop, command);
      case 'hangUp':
        for (const connection of connectionsOf(loop, [command.connection])) loop.front.close(connection);
        return { op: 'done' };
      case 'freeze': {
        const done = (frozen: readonly FrozenConnection[]): void =>
          this.#post({ type: 'reply', id, reply: { op: 'frozen', frozen } });
        const dueUs = nowUs + command.drainMs * 1_000;
        loop.freezing = new Freezing(connectionsOf(loop, command.connections), dueUs, loop.engine, done);
        return undefined;
      }
      case 'thaw':
        for (const connection of connectionsOf(loop, command.connections)) {
          connection.session.thaw();
          loop.front.receive(connection);
        }
        return { op: 'done' };
      case 'letGo':
        for (const connection of connectionsOf(loop, command.connections)) loop.front.letGo(connection);
        return { op: 'done' };
      case 'listen':
        this.#isListening = true;
        for (const { listener } of this.#attachments.values()) if (listener !== undefined) this.#listen(loop, listener);
        return { op: 'done' };
      case 'watchLinks':
        loop.watchLinks(command.fd);
        return { op: 'done' };
      case 'measure':
        this.#measure(loop, id, command.name, nowUs);
        return undefined;
      case 'grow':
        return this.#grow(command.name);
      case 'listAttachments':
        return { op: 'attachments', attachments: [...this.#attachments.values()].map(report) };
      case 'modify':
        this.#modify(loop, command.name, command.modify, nowUs);
        return { op: 'done' };
      case 'config':
        this.#ask(loop, id, command, { kind: 'config', command: CONFIG_COMMANDS[command.mode], string: command.string }, nowUs);
        return undefined;
      case 'reserve': {
        const macs = command.macs?.map(parseMac) ?? ownMacs(loop);
        this.#ask(loop, id, command, { kind: 'reserve', command: RESERVE_COMMANDS[command.mode], macs }, nowUs);
        return undefined;
      }
      case 'stat':
        return { op: 'stat', statistics: statisticsOf(loop) };
      case 'stop':
        loop.stopped = true;
        return { op: 'done' };
    }
  }

  #attach(loop: Loop, id: number, request: AttachRequest, resumed: DiskIdentity | undefined, nowUs: number): void {
    checkLimits(request);
    const known = loop.engine.find(request.shelf, request.slot);
    if (known?.volume !== undefined) throw failure('already-exists', `${known.name} is attached already`);
    const volume = loop.engine.attach(request.shelf, request.slot, volumeOptions(request), nowUs, resumed);
    if (typeof volume === 'string') throw failure('unavailable', volume);
    this.#attachments.set(volume.name, { volume, request, listener: undefined, attachId: id, detachIds: [] });
  }

  #detach(loop: Loop, id: number, name: string, force: boolean, nowUs: number): void {
    const attachment = this.#attachments.get(name);
    if (attachment === undefined) throw failure('not-found', `${name} is not attached`);
    const { volume, listener } = attachment;
    attachment.detachIds.push(id);
    if (attachment.attachId !== NO_ID) {
      const obstacle = volume.target.obstacle;
      this.#fail(attachment.attachId, { code: 'unavailable', message: `${name} could not be attached: ${obstacle}` });
      attachment.attachId = NO_ID;
    }
    if (listener !== undefined) loop.front.shutdown(listener);
    attachment.listener = undefined;
    loop.engine.detach(volume, force, nowUs);
  }

  /** The volume's device does not need it. */
  #listen(loop: Loop, listener: Listener): void {
    try {
      loop.front.listen(listener);
    } catch (error) {
      this.notice('nbd', listener.volume.name, (error as Error).message);
    }
  }

  #serveKernel(loop: Loop, { name, fd, connection, inherited }: Extract<Command, { op: 'serveKernel' }>): Reply {
    const attachment = this.#attachments.get(name);
    if (attachment?.listener === undefined) {
      closeFd(fd);
      throw failure('not-found', `${name} is not attached`);
    }
    if ((inherited?.unread.length ?? 0) > RECEIVE_BYTES) {
      closeFd(fd);
      throw failure('invalid', `more than ${String(RECEIVE_BYTES)} bytes were handed over that nobody has looked at`);
    }
    const served = loop.front.serveKernel(attachment.listener, fd, connection, inherited?.unread);
    if (served === undefined) throw failure('busy', `there are ${String(CONNECTIONS_MAX)} NBD connections already`);
    attachment.volume.writesDone += inherited?.unflushedWrites ?? 0;
    return { op: 'serving', flags: transmissionFlags(attachment.volume), payloadBytesMax: served.session.payloadBytesMax };
  }

  #measure(loop: Loop, id: number, name: string, nowUs: number): void {
    const attachment = this.#attachments.get(name);
    if (attachment === undefined) throw failure('not-found', `${name} is not attached`);
    const { target } = attachment.volume;
    const { state, reason } = target;
    if (state !== TARGET_UP) throw failure('unavailable', `${name} can't be asked for its size: it is ${state}: ${reason}`);
    loop.engine.identify(target, nowUs + MEASURE_US, (answered) => {
      if (answered) this.#post({ type: 'reply', id, reply: { op: 'size', sectors: target.identity?.sectors ?? 0 } });
      else this.#fail(id, { code: 'unavailable', message: `${name} has not said how large it is; try again` });
    });
  }

  #grow(name: string): Reply {
    const attachment = this.#attachments.get(name);
    if (attachment === undefined) throw failure('not-found', `${name} is not attached`);
    const { volume } = attachment;
    volume.sectors = Math.max(volume.sectors, volume.target.identity?.sectors ?? 0);
    return { op: 'attached', attachment: report(attachment) };
  }

  #modify(loop: Loop, name: string, modify: ModifyRequest, nowUs: number): void {
    const attachment = this.#attachments.get(name);
    if (attachment === undefined) throw failure('not-found', `${name} is not attached`);
    checkLimits(modify);
    const request = { ...attachment.request, ...modify };
    loop.engine.setOptions(attachment.volume, volumeOptions(request), nowUs);
    attachment.request = request;
  }

  #ask(loop: Loop, id: number, where: OwnershipCommand, command: TargetCommand, nowUs: number): void {
    const target = loop.engine.find(where.shelf, where.slot);
    const name = formatTargetAddress(where.shelf, where.slot);
    if (target === undefined || target.paths.length === 0) {
      throw failure('not-found', `no target ${name} has answered discovery on the allowed interfaces`);
    }
    const deadlineUs = nowUs + where.timeoutMs * 1_000;
    const refusal = loop.engine.command(target, command, deadlineUs, nowUs, (answers) => {
      if (answers === undefined)
        this.#fail(id, { code: 'unavailable', message: `${name} did not answer within ${where.timeoutMs} ms` });
      else this.#post({ type: 'reply', id, reply: ownershipReply(command, answers) });
    });
    if (refusal !== undefined) throw failure(refusal.isLasting ? 'refused' : 'busy', refusal.text);
  }

  #fail(id: number, reason: Failure): void {
    if (id !== NO_ID) this.#post({ type: 'failure', id, failure: reason });
  }
}

/** An error that carries its code to the control side. */
class CommandError extends Error {
  readonly code: FailureCode;

  constructor(code: FailureCode, message: string) {
    super(message);
    this.code = code;
  }
}

function failure(code: FailureCode, message: string): CommandError {
  return new CommandError(code, message);
}

function failureOf(error: unknown): Failure {
  if (error instanceof CommandError) return { code: error.code, message: error.message };
  const { name, message } = error as Error;
  return { code: name === 'RangeError' ? 'invalid' : 'internal', message };
}

function volumeOptions(request: AttachRequest): VolumeOptions {
  const { readOnly, deadSeconds, maxOutstanding, interfaces } = request;
  return { readOnly, deadUs: deadSeconds * 1_000_000, maxOutstanding, interfaces };
}

function checkLimits(limits: Pick<AttachRequest, 'maxOutstanding' | 'deadSeconds'>): void {
  const { maxOutstanding, deadSeconds } = limits;
  if (!Number.isInteger(maxOutstanding) || maxOutstanding < 1 || maxOutstanding > MAX_OUTSTANDING_LIMIT) {
    throw failure('invalid', `maxOutstanding is ${String(maxOutstanding)}; give 1 to ${String(MAX_OUTSTANDING_LIMIT)} frames`);
  }
  if (!Number.isFinite(deadSeconds) || deadSeconds < 0) {
    throw failure('invalid', `deadSeconds is ${String(deadSeconds)}; give seconds, or 0 to hold I/O for ever`);
  }
}

/** Connections to the kernel, by their numbers, as far as they have not ended. */
function connectionsOf(loop: Loop, ids: readonly number[]): Connection[] {
  return loop.front.connections.filter((each) => each !== undefined && ids.includes(each.kernelId)) as Connection[];
}

/** Every MAC this node may send from: all of them hold a reservation together, or none does. */
function ownMacs(loop: Loop): Mac[] {
  return loop.interfaces.drivers.flatMap((driver) => (driver === undefined ? [] : [driver.port.mac]));
}

function ownershipReply(command: TargetCommand, { answers, silent }: MacAnswers): Reply {
  const error = answers.find((answer) => answer.error !== 0)?.error ?? 0;
  if (command.kind === 'config') return { op: 'config', error, strings: answers.map(({ string }) => string), silent };
  return { op: 'reserve', error, lists: answers.map(({ macs }) => macs.map(formatMac)), silent };
}

/** Targets that have been heard of, not only asked for. */
function isKnown(target: Target): boolean {
  return target.paths.length > 0 || target.volume !== undefined;
}

function report({ volume, request, listener }: Attachment): AttachmentReport {
  const { target } = volume;
  const durability = volume.flush === 'none' ? 'target policy' : volume.flush === 'ext' ? 'flush cache ext' : 'flush cache';
  return {
    name: volume.name,
    sectors: volume.sectors,
    serial: volume.serial,
    model: volume.model,
    readOnly: volume.readOnly,
    canTrim: volume.canTrim,
    socketPath: request.socketPath,
    state: volume.closing ? 'detaching' : target.state,
    reason: target.state === TARGET_UP ? '' : target.reason === '' ? target.obstacle : target.reason,
    durability,
    connections: listener?.connections ?? 0,
    requestsInFlight: target.requests,
    requestsDone: volume.requestsDone,
    readBytes: volume.readSectors * SECTOR_BYTES,
    writtenBytes: volume.writtenSectors * SECTOR_BYTES,
    unflushedRestarts: volume.unflushedRestarts,
    unflushedWrites: volume.unflushedWrites,
  };
}
