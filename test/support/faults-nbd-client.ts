import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { CLIENT_FLAGS, encodeCommand, encodeOption, infoRequest } from './nbd-client.ts';
import { within } from './faults-process.ts';

const READ = 0;
const WRITE = 1;
const DISCONNECT = 2;
const FLUSH = 3;
const OPTION_GO = 7;
const REPLY_ACKNOWLEDGE = 1;
const REPLY_ERRORS = 0x8000_0000;
const REPLY_MS = 15_000;

/** errno values as NBD has them. */
export const NBD_EPERM = 1;
export const NBD_EIO = 5;
export const NBD_EINVAL = 22;
export const NBD_ENOSPC = 28;

export interface NbdReply {
  readonly error: number;
  readonly data: Buffer;
}

/** An NBD client that sends one command at a time, or whatever bytes it is told to. */
export class NbdClient {
  readonly socket: Socket;
  #received = Buffer.alloc(0);
  #cookie = 0n;
  /** Wakes whoever waits for bytes, or for the end of them. */
  #arrived: () => void = () => undefined;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (bytes) => {
      this.#received = Buffer.concat([this.#received, bytes]);
      this.#arrived();
    });
    socket.on('close', () => this.#arrived());
    // An end without a goodbye is what some tests are about; it shows as `closed`.
    socket.on('error', () => undefined);
  }

  /** Connects, and says nothing. */
  static async connect(path: string): Promise<NbdClient> {
    const socket = connect(path);
    await once(socket, 'connect');
    return new NbdClient(socket);
  }

  /** Connects and takes the export. Rejects when it is refused. */
  static async open(path: string, exportName: string): Promise<NbdClient> {
    const client = await NbdClient.connect(path);
    await client.#take(18);
    client.socket.write(Buffer.concat([CLIENT_FLAGS, encodeOption(OPTION_GO, infoRequest(exportName))]));
    for (let type = 0; type !== REPLY_ACKNOWLEDGE;) {
      const header = await client.#take(20);
      type = header.readUInt32BE(12);
      const data = await client.#take(header.readUInt32BE(16));
      if (type >= REPLY_ERRORS) throw new Error(`the export ${exportName} is refused: ${data.toString()}`);
    }
    return client;
  }

  async read(offset: number, length: number): Promise<NbdReply> {
    return this.#command(READ, offset, length);
  }

  async write(offset: number, data: Buffer): Promise<NbdReply> {
    return this.#command(WRITE, offset, data.length, data);
  }

  async flush(): Promise<NbdReply> {
    return this.#command(FLUSH, 0, 0);
  }

  /** The errors of the next `count` replies, which carry no data, to commands that the test has sent by itself. */
  async answered(count: number): Promise<number[]> {
    const errors: number[] = [];
    while (errors.length < count) errors.push((await this.#take(16)).readUInt32BE(4));
    return errors;
  }

  /** Says goodbye and waits for the server's end of it. */
  async close(): Promise<void> {
    const closed = once(this.socket, 'close');
    this.socket.write(encodeCommand({ type: DISCONNECT, cookie: 0n, offset: 0n, length: 0 }));
    await within('the end of an NBD connection', REPLY_MS, closed);
  }

  async #command(type: number, offset: number, length: number, data?: Buffer): Promise<NbdReply> {
    const cookie = ++this.#cookie;
    const command = { type, cookie, offset: BigInt(offset), length };
    this.socket.write(encodeCommand(data === undefined ? command : { ...command, data }));
    const header = await this.#take(16);
    if (header.readUInt32BE(0) !== 0x67446698) throw new Error('what came is not a simple reply');
    if (header.readBigUInt64BE(8) !== cookie) throw new Error('a reply to another command came');
    const error = header.readUInt32BE(4);
    return { error, data: await this.#take(type === READ && error === 0 ? length : 0) };
  }

  async #take(length: number): Promise<Buffer> {
    while (this.#received.length < length) {
      if (this.socket.closed) throw new Error('the server has closed the connection');
      await within('an NBD reply', REPLY_MS, new Promise<void>((resolve) => (this.#arrived = resolve)));
    }
    const taken = this.#received.subarray(0, length);
    this.#received = this.#received.subarray(length);
    return taken;
  }
}
