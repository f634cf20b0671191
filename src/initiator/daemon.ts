import { rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from '../logging/logger.ts';
import { RpcClient } from '../rpc/client.ts';
import { RpcServer } from '../rpc/server.ts';
import { loadService } from '../rpc/service.ts';
import { closeFd, listenUnix } from '../system/unix-socket.ts';
import { DefaultBackend } from './attach/default-backend.ts';
import { CONTROL_PROTO, CONTROL_SERVICE } from './control-messages.ts';
import { ControlService } from './control-service.ts';
import type { Channel } from './hand-over/channel.ts';
import { Giver } from './hand-over/giver.ts';
import { takeOver } from './hand-over/taker.ts';
import { Foundation, Works, type InitiatorOptions } from './works.ts';

/** Who may open the control socket may attach and detach: its owner, root, only. */
const SOCKET_MODE = 0o600;
const BACKLOG = 64;
/** How long an orderly stop waits for the devices that it takes away. */
const STOP_MS = 10_000;
/** An initiator that has handed over needs milliseconds to put its things away; one that has been stopped just now never does. */
const SETTLE_MS = 3_000;

type Failed = (error: Error) => void;

/** The initiator: its data path, its control service, and what lies between. */
export class Initiator {
  /** Resolved when its devices have been handed over to another one, and nothing of this one is left. */
  readonly handedOver: Promise<void>;
  readonly #foundation: Foundation;
  readonly #works: Works;
  readonly #giver: Giver;
  readonly #control: ControlService;
  readonly #server: RpcServer;
  #retire: () => void = () => undefined;

  /**
   * Starts everything; control calls are answered when this resolves.
   * @param failed called when the data path has ended by itself: nothing works any more
   * @throws SystemError EADDRINUSE when another initiator has the socket, DeviceError when the chosen backend can't be used here
   */
  static async start(options: InitiatorOptions, logger: Logger, failed: Failed): Promise<Initiator> {
    const foundation = await Foundation.lay(options, logger);
    // The socket comes first: it is what keeps a second initiator from touching anything of the first one's.
    const control = listenUnix(options.socketPath, { backlog: BACKLOG, mode: SOCKET_MODE });
    let works: Works | undefined;
    try {
      await foundation.directory.lock();
      await foundation.removeLeftovers();
      works = new Works(foundation, true, failed);
      await works.settle('was left by an earlier initiator and is taken up again');
      const initiator = new Initiator(foundation, works, control);
      await initiator.#serve(control);
      return initiator;
    } catch (error) {
      // It may be tried again in this process: nothing may be left that looks like an initiator.
      await works?.end();
      rmSync(options.socketPath, { force: true });
      closeFd(control);
      foundation.directory.leave();
      throw error;
    }
  }

  /**
   * Takes the devices over from another initiator of the same run directory, while both run and the devices are in use.
   * @param signal gives up, unless they have been taken over already
   * @throws RpcError, Error: why that could not be done; then nothing has changed
   */
  static async replace(options: InitiatorOptions, logger: Logger, failed: Failed, signal: AbortSignal): Promise<Initiator> {
    const foundation = await Foundation.lay(options, logger);
    const { directory, nbd } = foundation;
    let known: readonly string[];
    let works: Works;
    try {
      known = nbd.expect();
      // Live connections need nothing of the kernel; the next crash would.
      const obstacle = known.length === 0 ? undefined : await nbd.unavailable();
      if (obstacle !== undefined) throw new Error(`this one can't serve devices of the kernel: ${obstacle}`);
      works = new Works(foundation, false, failed);
    } catch (error) {
      // It is tried again and again.
      nbd.stop();
      throw error;
    }
    const running = new RpcClient(loadService(CONTROL_PROTO, CONTROL_SERVICE), options.socketPath);
    let isOurs = false;
    try {
      const { dataPath } = works;
      const isGone = directory.isFree.bind(directory);
      const waits = (reason: string): void => logger.info(`has to wait for the initiator that runs: ${reason}`);
      const taken = await takeOver({ dataPath, nbd, running, socketPath: directory.handOver, isGone, waits, signal }, known);
      isOurs = true;
      directory.inheritLock(taken.lock);
      logger.info(`took over from the initiator that ran before; its devices stood still for ${taken.stillMs.toFixed(0)} ms`);
      const settled = taken.ended
        .then(async () => {
          foundation.quarantine.begin();
          await works.settle('was handed over by the initiator before');
        })
        .catch((error: unknown) => logger.warn((error as Error).message));
      await Promise.race([settled, sleep(SETTLE_MS, undefined, { ref: false })]);
      const initiator = new Initiator(foundation, works, taken.control);
      await initiator.#serve(taken.control);
      return initiator;
    } catch (error) {
      // The other one has nothing any more: only a new process can go on from here.
      if (isOurs) failed(error as Error);
      await works.end();
      throw error;
    } finally {
      running.close();
    }
  }

  private constructor(foundation: Foundation, works: Works, control: number) {
    const { options, directory, nbd, events } = foundation;
    const { dataPath, attachments } = works;
    this.#foundation = foundation;
    this.#works = works;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.handedOver = promise;
    this.#retire = resolve;
    this.#giver = new Giver({
      ...{ dataPath, attachments, nbd, control, lock: directory.lockDescriptor },
      given: (channel) => void this.#given(channel),
    });
    const handOver = this.#giver.give.bind(this.#giver);
    const defaultBackend = new DefaultBackend(foundation.backends, options.backend);
    this.#control = new ControlService({ ...options, dataPath, attachments, events, defaultBackend, handOver });
    this.#server = new RpcServer(loadService(CONTROL_PROTO, CONTROL_SERVICE), this.#control.handlers);
  }

  /** Replaces the allow list. @throws DataPathError `invalid` when a pattern can't be a name */
  async setInterfaces(patterns: readonly string[]): Promise<void> {
    await this.#control.setInterfaces(patterns);
  }

  /**
   * Takes no more calls, takes away the devices that nobody uses, and ends. The kernel's NBD devices stay and hold their I/O; others
   * in use fail from then on. The log names them.
   */
  async stop(): Promise<void> {
    if (await this.#giver.end()) return this.handedOver;
    const { options, events, logger, directory } = this.#foundation;
    rmSync(options.socketPath, { force: true });
    events.close();
    await this.#server.stop();
    for (const left of await this.#works.attachments.detachUnused(AbortSignal.timeout(STOP_MS))) logger.warn(left);
    await this.#works.end();
    directory.leave();
  }

  async #serve(control: number): Promise<void> {
    await this.#server.serve(control);
    this.#foundation.logger.info(`control service on ${this.#foundation.options.socketPath}`);
  }

  /** Ends everything that the new owner of the devices waits for, and then the rest. */
  async #given(channel: Channel): Promise<void> {
    const { events, logger, directory } = this.#foundation;
    logger.info('the devices have been handed over to another initiator');
    await this.#works.end();
    directory.leave();
    channel.close();
    events.close();
    await this.#server.stop();
    this.#retire();
  }
}
