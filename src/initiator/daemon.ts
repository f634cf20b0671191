import { mkdirSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Logger } from '../logging/logger.ts';
import { RpcServer } from '../rpc/server.ts';
import { loadService } from '../rpc/service.ts';
import { listenUnix } from '../system/unix-socket.ts';
import { AttachService } from './attach/attach-service.ts';
import type { BackendChoice } from './attach/backend.ts';
import { EtherdLinks } from './attach/etherd-links.ts';
import { FuseBackend } from './attach/fuse.ts';
import { NbdBackend } from './attach/nbd.ts';
import { NbdSocketBackend } from './attach/nbd-socket.ts';
import { chooseBackend } from './attach/choice.ts';
import { CONTROL_PROTO, CONTROL_SERVICE } from './control-messages.ts';
import { ControlService } from './control-service.ts';
import { DataPath } from './data-path.ts';
import { EventLog } from './event-log.ts';
import { Quarantine } from './quarantine.ts';
import { RunDirectory } from './run-directory.ts';

export interface InitiatorOptions {
  /** Unix socket of the control service. */
  readonly socketPath: string;
  readonly runDirectory: string;
  /** Names or patterns; empty = no AoE traffic. */
  readonly interfaces: readonly string[];
  readonly backend: BackendChoice;
  /** 64 KiB chunks of payload memory. */
  readonly chunks: number;
  /** Whether that memory is kept from being swapped out. */
  readonly lockMemory: boolean;
  /** Folder for links to devices under the names of the kernel's aoe driver; undefined = none. */
  readonly etherdDirectory: string | undefined;
  /** Whether partitions of devices are looked for, and have links too. */
  readonly etherdPartitions: boolean;
  /** Whether the index of a kernel's NBD device follows from its target's address. */
  readonly staticMinors: boolean;
  readonly version: string;
}

/** Who may open the control socket may attach and detach: its owner, root, only. */
const SOCKET_MODE = 0o600;
const BACKLOG = 64;
/** How long an orderly stop waits for the devices that it takes away. */
const STOP_MS = 10_000;

/** Notices that say that something is wrong; the others tell of the ordinary course of things. */
const WARNINGS = new Set([
  'identity-mismatch',
  'conflict',
  'reserved',
  'ata-error',
  'aoe-error',
  'size-changed',
  'limit',
  'protection',
  'device-link',
  'dead',
]);

/** What a running initiator consists of. */
interface Parts {
  readonly dataPath: DataPath;
  readonly attachments: AttachService;
  readonly control: ControlService;
  readonly server: RpcServer;
  readonly events: EventLog;
  readonly nbd: NbdBackend;
  readonly links: EtherdLinks;
}

/** The initiator: its data path, its control service, and what lies between. */
export class Initiator {
  readonly #logger: Logger;
  readonly #socketPath: string;
  readonly #parts: Parts;

  /**
   * Starts everything; control calls are answered when this resolves.
   * @param failed called when the data path has ended by itself: nothing works any more
   * @throws SystemError EADDRINUSE when another initiator has the socket, DeviceError when the chosen backend can't be used here
   */
  static async start(options: InitiatorOptions, logger: Logger, failed: (error: Error) => void): Promise<Initiator> {
    const directory = new RunDirectory(options.runDirectory);
    mkdirSync(dirname(options.socketPath), { recursive: true });
    const events = new EventLog();
    const notice = noticeTo(events, logger);
    const nbd = new NbdBackend(directory.kernel, notice, options.staticMinors);
    const fuse = new FuseBackend(directory.fuse, (name, text) => notice('dead', name, text), options.etherdPartitions);
    const backends = [nbd, fuse, new NbdSocketBackend()];
    const { backend, note } = await chooseBackend(backends, options.backend);
    logger.info(note === '' ? `attach backend ${backend.name}` : note);
    // The socket comes first: it is what keeps a second initiator from touching anything of the first one's.
    const fd = listenUnix(options.socketPath, { backlog: BACKLOG, mode: SOCKET_MODE });
    await directory.lock();
    const quarantine = new Quarantine(directory.used);
    quarantine.begin();
    for (const each of backends) for (const done of await each.removeLeftovers()) logger.warn(done);
    const dataPath = new DataPath(options, {
      ...{ notice, failed },
      kernelGone: (connection, goodbye) => nbd.kernelGone(connection, goodbye),
      linkDead: (index) => nbd.linkDead(index),
    });
    nbd.use(dataPath);
    const socketPath = (name: string): string => directory.nbdSocket(name);
    const links = new EtherdLinks({
      ...{ folder: options.etherdDirectory, records: directory.etherd, partitions: options.etherdPartitions },
      notice: (name, text) => notice('device-link', name, text),
    });
    const attachments = new AttachService({
      ...{ dataPath, backends, defaultBackend: options.backend, socketPath, links, notice, quarantine },
    });
    attachments.takeUpSurvivors();
    links.removeStale();
    const control = new ControlService({ ...options, dataPath, attachments, events });
    const server = new RpcServer(loadService(CONTROL_PROTO, CONTROL_SERVICE), control.handlers);
    await server.serve(fd);
    logger.info(`control service on ${options.socketPath}`);
    return new Initiator(options.socketPath, { dataPath, attachments, control, server, events, nbd, links }, logger);
  }

  private constructor(socketPath: string, parts: Parts, logger: Logger) {
    this.#socketPath = socketPath;
    this.#parts = parts;
    this.#logger = logger;
  }

  /** Replaces the allow list. @throws DataPathError `invalid` when a pattern can't be a name */
  async setInterfaces(patterns: readonly string[]): Promise<void> {
    await this.#parts.control.setInterfaces(patterns);
  }

  /**
   * Takes no more calls, takes away the devices that nobody uses, and ends. The kernel's NBD devices stay and hold their I/O; others
   * in use fail from then on. The log names them.
   */
  async stop(): Promise<void> {
    const { server, attachments, dataPath, events, nbd, links } = this.#parts;
    rmSync(this.#socketPath, { force: true });
    events.close();
    await server.stop();
    for (const left of await attachments.detachUnused(AbortSignal.timeout(STOP_MS))) {
      this.#logger.warn(left);
    }
    links.stop();
    nbd.stop();
    await dataPath.stop();
  }
}

/** Where the data path's notices go: to those who follow the events, and to the log. */
function noticeTo(events: EventLog, logger: Logger): (kind: string, target: string, text: string) => void {
  return (kind, target, text) => {
    events.add(kind, target, text);
    const fields = { component: kind, ...(target === '' ? {} : { target }) };
    if (WARNINGS.has(kind)) logger.warn(text, fields);
    else logger.info(text, fields);
  };
}
