import { setTimeout as sleep } from 'node:timers/promises';
import { closeFd } from '../../system/unix-socket.ts';
import type { KernelConnection, KernelConnections } from './kernel-connections.ts';
import type { NbdCallError, NbdCalls } from './nbd-calls.ts';
import { identifierOf } from './nbd-sysfs.ts';

/** A socket that the kernel did not take has ended by then: nobody else has its other end. */
const ADOPTION_MS = 300;
const RETRY_MS_MIN = 100;
const RETRY_MS_MAX = 2_000;
/** A failure that lasts is told again so often. */
const REMINDER_MS = 60_000;
/** DISCONNECT waits for the socket when somebody sends over it and it is full: then it is taken from under it. */
const DISCONNECT_PATIENCE_MS = 2_000;

export interface NbdLinkOptions {
  /** The volume, `e10.3`. */
  readonly name: string;
  readonly index: number;
  readonly identifier: string;
  readonly connections: KernelConnections;
  readonly calls: NbdCalls;
  /** Told what happens to the device, a sentence; `dead` when it is lost. */
  readonly notice: (kind: 'nbd' | 'dead', text: string) => void;
}

/**
 * Keeps a device of the kernel connected to its volume. Whatever ends the connection, the kernel holds the device's I/O meanwhile; so
 * there is nothing to do but to offer new sockets until it takes one, for as long as that takes.
 */
export class NbdLink {
  readonly #options: NbdLinkOptions;
  #connection: KernelConnection | undefined;
  #trouble = 'waits for its target to be found again';
  #isLost = false;
  #isClosed = false;
  #isConnecting = false;
  /** It has been connected, or was to be: a survivor whose target has not been found again is not. */
  #isWanted = false;
  #wake: () => void = () => undefined;

  /** Of a device that is not connected. */
  constructor(options: NbdLinkOptions) {
    this.#options = options;
  }

  /** Why the device waits, or can't be used any more; '' while it is connected. */
  get trouble(): string {
    return this.#trouble;
  }

  /** Somebody has taken the device away. */
  get isLost(): boolean {
    return this.#isLost;
  }

  /** The number of the connection that the device has now; undefined while it has none. */
  get connection(): number | undefined {
    return this.#connection?.id;
  }

  /** Why the device is not connected yet. */
  waitFor(reason: string): void {
    if (this.#connection === undefined) this.#trouble = `waits ${reason}`;
  }

  /** The kernel has taken this connection. */
  adopt(connection: KernelConnection): void {
    this.#isWanted = true;
    this.#connection = connection;
    this.#trouble = '';
    void connection.ended.then((goodbye) => this.#ended(connection, goodbye));
  }

  /** Offers sockets until the kernel takes one. */
  async reconnect(reason: string): Promise<void> {
    this.#isWanted = true;
    if (this.#isConnecting) return;
    this.#isConnecting = true;
    const started = performance.now();
    let toldMs = -Infinity;
    let told = '';
    this.#trouble = reason;
    for (let pauseMs = RETRY_MS_MIN; !this.#isClosed && !this.#isLost; pauseMs = Math.min(pauseMs * 2, RETRY_MS_MAX)) {
      const failure = await this.#offer().catch((error: unknown) => (error as Error).message);
      if (this.#connection !== undefined || this.#isClosed || this.#isLost) break;
      this.#trouble = `waits to be connected to this initiator again (${reason}): ${failure ?? 'it was closed meanwhile'}`;
      if (this.#trouble !== told || performance.now() - toldMs > REMINDER_MS) {
        this.#tell('nbd', this.#trouble);
        [told, toldMs] = [this.#trouble, performance.now()];
      }
      await this.#pause(pauseMs);
    }
    this.#isConnecting = false;
    if (this.#connection === undefined) return;
    this.#tell('nbd', `is connected again after ${((performance.now() - started) / 1000).toFixed(1)} s (${reason})`);
  }

  /** The kernel has noticed that the device's socket is dead: a new one will be taken now. */
  nudge(): void {
    this.#wake();
  }

  /** Connects no more; what happens to the device from now on is wanted. */
  close(): void {
    this.#isClosed = true;
    this.#wake();
  }

  /**
   * Ends the device, if it is still the one that was meant. The caller has closed the link and made sure that nobody uses it, or that
   * they shall fail.
   * @param force ends the connection first, whatever is under way over it
   * @throws NbdCallError
   */
  async disconnect(force: boolean): Promise<void> {
    const { index, identifier, calls } = this.#options;
    if (force) await this.#hangUp();
    const remedy = setTimeout(() => void this.#hangUp().catch(() => undefined), DISCONNECT_PATIENCE_MS);
    try {
      await calls.run({ op: 'disconnect', index, identifier });
    } finally {
      clearTimeout(remedy);
    }
    await this.#hangUp();
  }

  /** The device was not ended after all, or is nobody else's. @returns whether it must be connected again */
  reopen(): boolean {
    this.#isClosed = false;
    return this.#isWanted && this.#connection === undefined && !this.#isLost;
  }

  /** Offers the kernel one socket. @returns why it has not taken it. @throws Error: why none could be offered */
  async #offer(): Promise<string | undefined> {
    const { name, index, identifier, connections, calls } = this.#options;
    if (identifierOf(index) !== identifier) return this.#lost('it has been disconnected');
    const connection = await connections.open(name);
    try {
      // Nothing but the socket: a size here would wait for requests that wait for the socket.
      await calls.run({ op: 'reconfigure', change: { index, identifier, socket: connection.kernelEnd } });
    } catch (error) {
      await connections.hangUp(connection.id);
      const { errno, message } = error as NbdCallError;
      return errno === 'EINVAL' ? this.#lost('it has been disconnected') : message;
    } finally {
      closeFd(connection.kernelEnd);
    }
    return this.#awaitAdoption(connection);
  }

  /** RECONFIGURE succeeds also when it has ignored the socket, which then has no other end any more. */
  async #awaitAdoption(connection: KernelConnection): Promise<string | undefined> {
    const ended = await Promise.race([connection.ended, sleep(ADOPTION_MS)]);
    if (ended === true) return this.#lost('it has been disconnected');
    if (ended === false) return 'the kernel still holds its old socket, and who serves that may still live';
    this.adopt(connection);
    if (this.#isClosed) await this.#hangUp();
    return undefined;
  }

  #ended(connection: KernelConnection, goodbye: boolean): void {
    if (this.#connection !== connection) return;
    this.#connection = undefined;
    if (this.#isClosed) return;
    if (goodbye) this.#lost('it has been disconnected');
    else void this.reconnect('its connection has ended');
  }

  #lost(what: string): string {
    if (this.#isLost || this.#isClosed) return what;
    this.#isLost = true;
    this.#trouble =
      `${what} by somebody else (nbd-client -d, qemu-nbd -d), and its users get I/O errors; end them, detach ${this.#options.name} ` +
      `and attach it again`;
    this.#tell('dead', this.#trouble);
    return what;
  }

  async #hangUp(): Promise<void> {
    const connection = this.#connection;
    this.#connection = undefined;
    if (connection !== undefined) await this.#options.connections.hangUp(connection.id);
  }

  #tell(kind: 'nbd' | 'dead', text: string): void {
    const { name, index, notice } = this.#options;
    notice(kind, `/dev/nbd${index} of ${name} ${kind === 'dead' ? 'is lost: ' : ''}${text}`);
  }

  async #pause(pauseMs: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wake = resolve;
    const timer = setTimeout(resolve, pauseMs);
    await promise;
    clearTimeout(timer);
  }
}
