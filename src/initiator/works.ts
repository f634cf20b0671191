import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Logger } from '../logging/logger.ts';
import { AttachService } from './attach/attach-service.ts';
import type { BackendChoice } from './attach/backend.ts';
import { Backends } from './attach/choice.ts';
import { EtherdLinks } from './attach/etherd-links.ts';
import { FuseBackend } from './attach/fuse.ts';
import { NbdSocketBackend } from './attach/nbd-socket.ts';
import { NbdBackend } from './attach/nbd.ts';
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

/** What an initiator has before it does anything that others could see. */
export class Foundation {
  readonly options: InitiatorOptions;
  readonly logger: Logger;
  readonly directory: RunDirectory;
  readonly events = new EventLog();
  readonly quarantine: Quarantine;
  readonly nbd: NbdBackend;
  readonly backends: Backends;

  /** @throws DeviceError when the chosen backend can't be used here, Error when the run directory can't */
  static async lay(options: InitiatorOptions, logger: Logger): Promise<Foundation> {
    const foundation = new Foundation(options, logger);
    try {
      const { backend, note } = await foundation.backends.choose(options.backend);
      logger.info(note === '' ? `attach backend ${backend.name}` : note);
      return foundation;
    } catch (error) {
      // It may be tried again in this process.
      foundation.nbd.stop();
      throw error;
    }
  }

  private constructor(options: InitiatorOptions, logger: Logger) {
    this.options = options;
    this.logger = logger;
    this.directory = new RunDirectory(options.runDirectory);
    this.quarantine = new Quarantine(this.directory.used);
    mkdirSync(dirname(options.socketPath), { recursive: true });
    const { kernel, fuse } = this.directory;
    this.nbd = new NbdBackend(kernel, (kind, name, text) => this.notice(kind, name, text), options.staticMinors);
    const dead = (name: string, text: string): void => this.notice('dead', name, text);
    this.backends = new Backends([this.nbd, new FuseBackend(fuse, dead, options.etherdPartitions), new NbdSocketBackend()]);
  }

  /** For those who follow the events, and for the log. */
  notice(kind: string, target: string, text: string): void {
    this.events.add(kind, target, text);
    const fields = { component: kind, ...(target === '' ? {} : { target }) };
    if (WARNINGS.has(kind)) this.logger.warn(text, fields);
    else this.logger.info(text, fields);
  }

  /** The run directory is ours alone: removes what initiators that are dead have left of their devices. */
  async removeLeftovers(): Promise<void> {
    this.quarantine.begin();
    for (const each of this.backends.all) for (const done of await each.removeLeftovers()) this.logger.warn(done);
  }
}

/** An initiator at work, but for its control service. */
export class Works {
  readonly dataPath: DataPath;
  readonly attachments: AttachService;
  readonly #foundation: Foundation;
  readonly #links: EtherdLinks;

  /**
   * Starts the data path, and takes up the devices that are there.
   * @param listening whether volumes have sockets of their own from the start, or only from `settle` on
   * @param failed called when the data path has ended by itself: nothing works any more
   */
  constructor(foundation: Foundation, listening: boolean, failed: (error: Error) => void) {
    const { options, directory, nbd, backends, quarantine } = foundation;
    const notice = (kind: string, target: string, text: string): void => foundation.notice(kind, target, text);
    this.#foundation = foundation;
    this.dataPath = new DataPath(
      { ...options, listening },
      {
        ...{ notice, failed },
        kernelGone: (connection, goodbye) => nbd.kernelGone(connection, goodbye),
        linkDead: (index) => nbd.linkDead(index),
      },
    );
    nbd.use(this.dataPath, quarantine);
    this.#links = new EtherdLinks({
      ...{ folder: options.etherdDirectory, records: directory.etherd, partitions: options.etherdPartitions },
      notice: (name, text) => notice('device-link', name, text),
    });
    this.attachments = new AttachService({
      ...{ dataPath: this.dataPath, backends, defaultBackend: options.backend, links: this.#links, notice, quarantine },
      socketPath: (name) => directory.nbdSocket(name),
    });
    this.attachments.takeUpSurvivors();
  }

  /** The devices are ours alone: says so, with where they have come from, and brings everything in order that is named after them. */
  async settle(origin: string): Promise<void> {
    await this.dataPath.execute({ op: 'listen' });
    this.attachments.announceSurvivors(origin);
    this.#links.removeStale();
  }

  /** Ends everything; the kernel's devices stay. */
  async end(): Promise<void> {
    this.#links.stop();
    this.attachments.stop();
    this.#foundation.nbd.stop();
    await this.dataPath.stop();
  }
}
