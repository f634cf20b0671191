import { closeFd, socketPair } from '../../system/unix-socket.ts';
import { setSendBuffer } from '../../system/socket-options.ts';
import { ask, type CommandTarget } from '../ask.ts';

/** Room in the kernel's end for a few large writes, so that it seldom waits with its device locked. */
const SEND_BUFFER_BYTES = 1024 * 1024;

/** A socket whose one end the data path serves a volume over; the other end is for the kernel. */
export interface KernelConnection {
  readonly id: number;
  /** The kernel's end. Whoever opened the connection closes it once the kernel has it, or does not want it. */
  readonly kernelEnd: number;
  /** What the volume can do, as NBD's transmission flags, and the largest read or write that it takes. */
  readonly flags: number;
  readonly payloadBytesMax: number;
  /** The connection has ended: true when the kernel has said that it will not come back. */
  readonly ended: Promise<boolean>;
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
  async open(name: string): Promise<KernelConnection> {
    const [fd, kernelEnd] = socketPair();
    setSendBuffer(kernelEnd, SEND_BUFFER_BYTES);
    const id = ++this.#lastId;
    const { promise: ended, resolve } = Promise.withResolvers<boolean>();
    this.#open.set(id, resolve);
    try {
      const command = { op: 'serveKernel', name, fd, connection: id } as const;
      const { flags, payloadBytesMax } = await ask(this.#dataPath, command, 'serving');
      return { id, kernelEnd, flags, payloadBytesMax, ended };
    } catch (error) {
      this.#open.delete(id);
      closeFd(kernelEnd);
      throw error;
    }
  }

  /** The data path says that a connection has ended. */
  gone(id: number, goodbye: boolean): void {
    const ended = this.#open.get(id);
    this.#open.delete(id);
    ended?.(goodbye);
  }

  /** Ends a connection: what the kernel still sends over it fails at once. */
  async hangUp(id: number): Promise<void> {
    await ask(this.#dataPath, { op: 'hangUp', connection: id }, 'done');
  }
}
