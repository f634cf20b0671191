import { closeFd, socketPair } from '../../system/unix-socket.ts';
import { setSendBuffer } from '../../system/socket-options.ts';
import { ask, type CommandTarget } from '../ask.ts';
import type { Inherited } from '../messages.ts';

/** Room in the kernel's end for a few large writes, so that it seldom waits with its device locked. */
const SEND_BUFFER_BYTES = 1024 * 1024;

/** A socket that the data path serves a volume over to the kernel. */
export interface KernelConnection {
  readonly id: number;
  /** What the volume can do, as NBD's transmission flags, and the largest read or write that it takes. */
  readonly flags: number;
  readonly payloadBytesMax: number;
  /** The connection has ended: true when the kernel has said that it will not come back. */
  readonly ended: Promise<boolean>;
}

export interface NewConnection extends KernelConnection {
  /** The kernel's end. Whoever opened the connection closes it once the kernel has it, or does not want it. */
  readonly kernelEnd: number;
}

/** Connections between the data path and the kernel, as the control side knows them. */
export class KernelConnections {
  readonly #dataPath: CommandTarget;
  readonly #open = new Map<number, (goodbye: boolean) => void>();
  #lastId = 0;

  constructor(dataPath: CommandTarget) {
    this.#dataPath = dataPath;
  }

  /** Both ends are closed when the process executes another program. @throws SystemError, DataPathError `busy`, `not-found` */
  async open(name: string): Promise<NewConnection> {
    const [fd, kernelEnd] = socketPair();
    setSendBuffer(kernelEnd, SEND_BUFFER_BYTES);
    try {
      return { kernelEnd, ...(await this.#serve(name, fd)) };
    } catch (error) {
      closeFd(kernelEnd);
      throw error;
    }
  }

  /**
   * Goes on with a connection that another process has served until now. It is frozen, until it is thawed. The descriptor is the data
   * path's from now on. @throws DataPathError `busy`, `not-found`
   */
  async inherit(name: string, fd: number, inherited: Inherited): Promise<KernelConnection> {
    return this.#serve(name, fd, inherited);
  }

  /** The data path says that a connection has ended. */
  gone(id: number, goodbye: boolean): void {
    const ended = this.#open.get(id);
    this.#open.delete(id);
    ended?.(goodbye);
  }

  /** Closes our own ends of connections that another process goes on with: the kernel sees nothing of that. */
  async letGo(ids: readonly number[]): Promise<void> {
    await ask(this.#dataPath, { op: 'letGo', connections: ids }, 'done');
  }

  async #serve(name: string, fd: number, inherited?: Inherited): Promise<KernelConnection> {
    const id = ++this.#lastId;
    const { promise: ended, resolve } = Promise.withResolvers<boolean>();
    this.#open.set(id, resolve);
    try {
      const command = { op: 'serveKernel', name, fd, connection: id, ...(inherited === undefined ? {} : { inherited }) } as const;
      const { flags, payloadBytesMax } = await ask(this.#dataPath, command, 'serving');
      return { id, flags, payloadBytesMax, ended };
    } catch (error) {
      this.#open.delete(id);
      throw error;
    }
  }

  /** Ends a connection: what the kernel still sends over it fails at once. */
  async hangUp(id: number): Promise<void> {
    await ask(this.#dataPath, { op: 'hangUp', connection: id }, 'done');
  }
}
