import { writeSync } from 'node:fs';
import { RequestPool } from '../../src/block/request.ts';
import { ArenaPlan, type Arena } from '../../src/buffers/arena.ts';
import { CHUNK_BYTES, ChunkPool } from '../../src/buffers/chunk-pool.ts';
import { IoVector } from '../../src/buffers/io-vector.ts';
import type { ExportDirectory } from '../../src/nbd/export.ts';
import { NbdSession, STAGING_BYTES } from '../../src/nbd/session.ts';
import { EPOLLIN, EPOLLOUT } from '../../src/system/constants.ts';
import { Epoll } from '../../src/system/epoll.ts';
import { mapArena } from '../../src/system/memory.ts';
import { StreamIo } from '../../src/system/stream-io.ts';
import { acceptUnix, closeFd, listenUnix } from '../../src/system/unix-socket.ts';
import { MemoryDevice } from './nbd-memory-device.ts';

/**
 * NBD devices in memory on a unix socket: the engine of src/nbd with the real system calls and nothing between. A program:
 * `node nbd-memory-server.js '<MemoryServerOptions as JSON>'`; prints "ready" when clients may come.
 */

export interface MemoryServerOptions {
  readonly socketPath: string;
  readonly exports: readonly { readonly name: string; readonly sectors: number; readonly readOnly?: boolean }[];
  /** Payload memory of all connections together, in chunks. */
  readonly chunks: number;
  /** Of which one connection may hold this many. */
  readonly chunksMax: number;
}

const CONNECTIONS_MAX = 16;
const RANGES_MAX = 256;
const REQUESTS_MAX = 512;
/** Epoll token of the listening socket; connections have their slot's number. */
const LISTENER = -1;

interface Connection {
  readonly fd: number;
  readonly session: NbdSession;
  watched: number;
}

class MemoryServer {
  readonly #options: MemoryServerOptions;
  readonly #arena: Arena;
  readonly #staging: readonly number[];
  readonly #chunks: ChunkPool;
  readonly #requests = new RequestPool(REQUESTS_MAX);
  readonly #devices: readonly MemoryDevice[];
  readonly #directory: ExportDirectory;
  readonly #io: StreamIo;
  readonly #vector = new IoVector(RANGES_MAX);
  readonly #epoll = new Epoll(CONNECTIONS_MAX + 1);
  readonly #listener: number;
  readonly #connections: (Connection | undefined)[] = new Array<undefined>(CONNECTIONS_MAX).fill(undefined);
  #random = 1;

  constructor(options: MemoryServerOptions) {
    this.#options = options;
    const plan = new ArenaPlan();
    const chunksAt = plan.reserve(options.chunks * CHUNK_BYTES);
    this.#staging = Array.from({ length: CONNECTIONS_MAX }, () => plan.reserve(STAGING_BYTES));
    const ioAt = plan.reserve(StreamIo.sizeBytes(RANGES_MAX));
    this.#arena = mapArena(plan.sizeBytes);
    this.#chunks = new ChunkPool(chunksAt, options.chunks);
    this.#io = new StreamIo(this.#arena, ioAt, RANGES_MAX);
    this.#devices = options.exports.map((each) => new MemoryDevice(this.#arena, this.#chunks, each));
    this.#directory = {
      find: (name) => this.#devices.find((device) => device.name === name),
      names: () => this.#devices.map((device) => device.name),
    };
    this.#listener = listenUnix(options.socketPath, { backlog: CONNECTIONS_MAX, mode: 0o600 });
    this.#epoll.add(this.#listener, EPOLLIN, LISTENER);
  }

  run(): never {
    for (;;) {
      const events = this.#epoll.wait(-1);
      for (let event = 0; event < events; event++) {
        if (this.#epoll.token(event) === LISTENER) this.#accept();
        else this.#serve(this.#epoll.token(event));
      }
      // Completions free chunks that a paused session waits for, and make replies: until nothing moves any more.
      while (this.#completeAll()) for (let slot = 0; slot < CONNECTIONS_MAX; slot++) this.#serve(slot);
    }
  }

  #accept(): void {
    const slot = this.#connections.indexOf(undefined);
    const fd = acceptUnix(this.#listener);
    if (fd < 0) return;
    if (slot < 0) return closeFd(fd);
    const session = new NbdSession({
      arena: this.#arena,
      chunks: this.#chunks,
      requests: this.#requests,
      stagingOffset: this.#staging[slot],
      directory: this.#directory,
      chunksMax: this.#options.chunksMax,
    });
    this.#connections[slot] = { fd, session, watched: EPOLLIN };
    this.#epoll.add(fd, EPOLLIN, slot);
    this.#serve(slot);
  }

  /** Sends and receives until the socket or the session wants no more. */
  #serve(slot: number): void {
    const connection = this.#connections[slot];
    if (connection === undefined) return;
    let canSend = true;
    let canReceive = true;
    while (canSend || canReceive) {
      canSend &&= this.#send(connection);
      canReceive &&= this.#receive(connection);
    }
    if (connection.session.finished) return this.#close(slot, connection);
    this.#watch(slot, connection);
  }

  #send({ fd, session }: Connection): boolean {
    session.fillTransmit(this.#vector);
    if (this.#vector.count === 0) return false;
    const sent = this.#io.send(fd, this.#vector);
    if (sent > 0) session.transmitted(sent);
    return sent > 0;
  }

  #receive({ fd, session }: Connection): boolean {
    session.fillReceive(this.#vector);
    if (this.#vector.count === 0) return false;
    const received = this.#io.receive(fd, this.#vector);
    if (received > 0) session.received(received);
    else if (received === 0) session.peerClosed();
    return received > 0;
  }

  /** Watches for what would let the connection go on: a level-triggered event that nobody acts on would never stop. */
  #watch(slot: number, connection: Connection): void {
    const { session, fd } = connection;
    session.fillReceive(this.#vector);
    let wanted = this.#vector.count > 0 ? EPOLLIN : 0;
    session.fillTransmit(this.#vector);
    if (this.#vector.count > 0) wanted |= EPOLLOUT;
    if (wanted !== connection.watched) this.#epoll.modify(fd, wanted, slot);
    connection.watched = wanted;
  }

  #close(slot: number, { fd, session }: Connection): void {
    this.#epoll.remove(fd);
    closeFd(fd);
    session.peerClosed();
    this.#connections[slot] = undefined;
  }

  /** Completes every pending request, in no particular order; false when there was none. */
  #completeAll(): boolean {
    let completed = false;
    for (const device of this.#devices) {
      while (device.pending.length > 0) {
        completed = true;
        this.#random = (Math.imul(this.#random, 1_103_515_245) + 12_345) >>> 0;
        device.complete((this.#random >>> 16) % device.pending.length);
      }
    }
    return completed;
  }
}

const server = new MemoryServer(JSON.parse(process.argv[2]) as MemoryServerOptions);
writeSync(1, 'ready\n');
server.run();
