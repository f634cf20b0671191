import { lstatSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from '../logging/logger.ts';
import { RpcServer } from '../rpc/server.ts';
import { registrationService, registrationSocketName } from './registration.ts';

export interface KubeletRegistrationOptions {
  readonly driverName: string;
  /** Path of the CSI socket as the kubelet sees it: on the host, not in the container. */
  readonly endpoint: string;
  /** The kubelet's folder plugins_registry, as this process sees it. */
  readonly folder: string;
  /** Listens on a unix socket and returns its descriptor. */
  readonly listen: (path: string) => number;
  readonly logger: Logger;
  /** Between two looks at how things stand; tests are in more of a hurry. */
  readonly checkMs?: number;
}

const CHECK_MS = 5_000;

/**
 * Keeps the node plugin registered with the kubelet, in place of the node-driver-registrar container.
 *
 * The kubelet looks at a socket once. When it was not content, because our own socket did not answer, say, it does not look again
 * until the socket has been made anew; and who cleans up the kubelet's folders takes the socket away without a word. In both cases
 * it is made anew.
 */
export class KubeletRegistration {
  readonly #options: KubeletRegistrationOptions;
  readonly #socketPath: string;
  readonly #stopping = new AbortController();
  #server: RpcServer | undefined;
  /** Tells our socket from somebody else's of the same name. */
  #identity = '';
  #state: 'waiting' | 'registered' | 'refused' = 'waiting';
  #refusal: string | undefined;
  #ended: Promise<void> = Promise.resolve();

  /** @throws what `listen` throws, e.g. because there is no such folder: this is no machine with a kubelet */
  static async start(options: KubeletRegistrationOptions): Promise<KubeletRegistration> {
    const registration = new KubeletRegistration(options);
    await registration.#serve();
    registration.#ended = registration.#keep(options.checkMs ?? CHECK_MS);
    return registration;
  }

  private constructor(options: KubeletRegistrationOptions) {
    this.#options = options;
    this.#socketPath = join(options.folder, registrationSocketName(options.driverName));
  }

  /** What the kubelet has made of the socket that is there now. */
  get state(): 'waiting' | 'registered' | 'refused' {
    return this.#state;
  }

  /** Why the kubelet was not content when it looked last; undefined where it was, or has not looked yet. */
  get refusal(): string | undefined {
    return this.#refusal;
  }

  /** Takes the socket away, whereupon the kubelet forgets the driver. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#ended;
    await this.#withdraw();
  }

  async #serve(): Promise<void> {
    const { driverName, endpoint, listen } = this.#options;
    const decided = (refusal: string | undefined): void => this.#decided(refusal);
    const { definition, handlers } = registrationService({ driverName, endpoint, decided });
    this.#state = 'waiting';
    const server = new RpcServer(definition, handlers);
    await server.serve(listen(this.#socketPath));
    this.#server = server;
    this.#identity = identityOf(this.#socketPath);
  }

  #decided(refusal: string | undefined): void {
    this.#state = refusal === undefined ? 'registered' : 'refused';
    this.#refusal = refusal;
    const { logger, driverName } = this.#options;
    if (refusal === undefined) logger.info(`the kubelet has registered ${driverName}`);
    else logger.warn(`the kubelet has refused ${driverName}, which will ask again: ${refusal}`);
  }

  async #keep(checkMs: number): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      await sleep(checkMs, undefined, { signal }).catch(() => {});
      const isLost = this.#identity !== identityOf(this.#socketPath);
      if (signal.aborted || (this.#state !== 'refused' && !isLost)) continue;
      if (isLost) this.#options.logger.warn(`the registration socket ${this.#socketPath} has gone; making it anew`);
      await this.#renew();
    }
  }

  async #renew(): Promise<void> {
    try {
      await this.#withdraw();
      await this.#serve();
    } catch (err) {
      this.#options.logger.warn(`cannot make the registration socket ${this.#socketPath}; trying again`, { err });
    }
  }

  /** A successor of this process may have made its own socket already: that one stays. */
  async #withdraw(): Promise<void> {
    const isOurs = this.#identity !== '' && this.#identity === identityOf(this.#socketPath);
    this.#identity = '';
    if (isOurs) rmSync(this.#socketPath, { force: true });
    await this.#server?.stop();
    this.#server = undefined;
  }
}

/** Never '' for a file that exists. */
function identityOf(path: string): string {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  return stat === undefined ? 'none' : `${stat.dev} ${stat.ino} ${stat.ctimeMs}`;
}
