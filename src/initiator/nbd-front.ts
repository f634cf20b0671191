import { rmSync } from 'node:fs';
import type { Volume } from '../aoe/volume.ts';
import type { BlockDevice } from '../block/device.ts';
import type { RequestPool } from '../block/request.ts';
import type { ChunkPool } from '../buffers/chunk-pool.ts';
import { IoVector } from '../buffers/io-vector.ts';
import { ChunkFloors } from '../nbd/chunk-floors.ts';
import { newNbdCounters } from '../nbd/counters.ts';
import type { ExportDirectory } from '../nbd/export.ts';
import { NbdSession } from '../nbd/session.ts';
import { EAGAIN, errnoName } from '../system/errno.ts';
import { setSendBuffer } from '../system/socket-options.ts';
import { StreamIo } from '../system/stream-io.ts';
import { acceptUnix, closeFd, hangUp, listenUnix } from '../system/unix-socket.ts';
import { CONNECTIONS_MAX, STREAM_RANGES_MAX, type DataPathMemory } from './memory.ts';

/** Room for a few large replies in a socket, so that a slow client does not stop the loop's turn at every 200 KiB. */
const SEND_BUFFER_BYTES = 4 * 1024 * 1024;
/** No connection holds more than this part of all payload memory, a quarter, nor do all together beyond what is kept for each. */
const SHARE_OF_CHUNKS = 4;
/** Chunks kept for each connection: the largest request that Linux makes of a device before that is tuned, 1,280 KiB. */
const FLOOR_CHUNKS = 20;
/** As many as may be open: a burst of clients finds room. */
const BACKLOG = CONNECTIONS_MAX;
const SOCKET_MODE = 0o600;
/** Of a connection that a client has made, rather than one that the kernel was given. */
export const NOT_KERNEL = 0;
/** Receives from one connection before others have their turn. */
const RECEIVES_PER_TURN = 4;

/** Where the loop hears of descriptors to watch. */
export interface FrontWatcher {
  listening(listener: Listener, fd: number): void;
  unlistening(fd: number): void;
  connected(connection: Connection): void;
  disconnected(connection: Connection): void;
  /** What to watch the connection for has changed. */
  interestChanged(connection: Connection): void;
  /** Connections wait at the listener that can't be taken now. */
  resting(listener: Listener): void;
  notice(target: string, text: string): void;
}

/** A volume's socket, with one export. */
export class Listener implements ExportDirectory {
  readonly volume: Volume;
  readonly path: string;
  readonly slot: number;
  /** Undefined before it listens: only the kernel is served then. */
  fd: number | undefined;
  connections = 0;
  /** Connections could not be taken when it was looked at last. */
  rests = false;

  constructor(volume: Volume, path: string, slot: number) {
    this.volume = volume;
    this.path = path;
    this.slot = slot;
  }

  find(name: string): BlockDevice | undefined {
    return name === this.volume.name ? this.volume : undefined;
  }

  names(): readonly string[] {
    return [this.volume.name];
  }
}

export class Connection {
  readonly session: NbdSession;
  readonly listener: Listener;
  readonly fd: number;
  /** Its place in the table, and so its staging memory. */
  readonly slot: number;
  /** The number under which its end is told, when the kernel is the client; else NOT_KERNEL. */
  readonly kernelId: number;
  /** The socket took less than there is; the loop watches for room. */
  waitsForRoom = false;
  /** The session has no memory for more requests now; the loop does not watch for them, or it would spin. */
  waitsForMemory = false;
  closed = false;

  constructor(session: NbdSession, listener: Listener, fd: number, slot: number, kernelId: number) {
    this.session = session;
    this.listener = listener;
    this.fd = fd;
    this.slot = slot;
    this.kernelId = kernelId;
  }
}

/** The NBD side of the data path: a listening socket per volume, and their connections. */
export class NbdFront {
  readonly counters = newNbdCounters();
  readonly connections: (Connection | undefined)[] = [];
  readonly listeners: (Listener | undefined)[] = [];
  refusedConnections = 0;
  readonly #memory: DataPathMemory;
  readonly #chunks: ChunkPool;
  readonly #chunksMax: number;
  readonly #floors: ChunkFloors;
  readonly #requests: RequestPool;
  readonly #watcher: FrontWatcher;
  readonly #stream: StreamIo;
  readonly #vector = new IoVector(STREAM_RANGES_MAX);

  constructor(memory: DataPathMemory, chunks: ChunkPool, requests: RequestPool, watcher: FrontWatcher) {
    this.#memory = memory;
    this.#chunks = chunks;
    this.#chunksMax = Math.ceil(chunks.capacity / SHARE_OF_CHUNKS);
    this.#floors = new ChunkFloors(chunks.capacity, FLOOR_CHUNKS, this.#chunksMax);
    this.#requests = requests;
    this.#watcher = watcher;
    this.#stream = new StreamIo(memory.arena, memory.stream, STREAM_RANGES_MAX);
  }

  /** Serves a volume, which will have a socket at `path`. */
  add(volume: Volume, path: string): Listener {
    let slot = this.listeners.indexOf(undefined);
    if (slot < 0) slot = this.listeners.length;
    const listener = new Listener(volume, path, slot);
    this.listeners[slot] = listener;
    return listener;
  }

  /** Listens at the volume's path, if it does not yet. Throws SystemError. */
  listen(listener: Listener): void {
    if (listener.fd !== undefined) return;
    listener.fd = listenUnix(listener.path, { backlog: BACKLOG, mode: SOCKET_MODE });
    this.#watcher.listening(listener, listener.fd);
  }

  /** Refuses new connections and requests; the connections end when what they asked for is answered. */
  shutdown(listener: Listener): void {
    if (this.listeners[listener.slot] !== listener) return;
    if (listener.fd !== undefined) {
      this.#watcher.unlistening(listener.fd);
      closeFd(listener.fd);
      rmSync(listener.path, { force: true });
    }
    this.listeners[listener.slot] = undefined;
    for (const connection of this.connections) {
      if (connection?.listener !== listener) continue;
      connection.session.shutdown();
      this.send(connection);
    }
  }

  /** Takes the connections that wait at a listener. */
  accept(listener: Listener): void {
    for (;;) {
      const fd = listener.fd === undefined ? -EAGAIN : acceptUnix(listener.fd);
      if (fd < 0) {
        this.#setRests(listener, fd);
        return;
      }
      const slot = this.#freeSlot();
      if (slot < 0) {
        closeFd(fd);
        if (this.refusedConnections++ === 0) {
          this.#watcher.notice(
            listener.volume.name,
            `more than ${String(CONNECTIONS_MAX)} NBD connections: further ones are closed`,
          );
        }
        continue;
      }
      this.#connect(listener, fd, slot, NOT_KERNEL);
    }
  }

  /**
   * Serves the kernel over a socket whose other end it will be given: it speaks without negotiation. The descriptor is ours from now on.
   * What it asked for over a connection before has been abandoned, and it asks for all of that again.
   * @param unread of a connection that another process has served: what it has received and not looked at; it goes on when thawed
   * @returns undefined, and the descriptor is closed, when there are too many connections, or it can't be watched
   */
  serveKernel(listener: Listener, fd: number, kernelId: number, unread?: Uint8Array): Connection | undefined {
    const slot = this.#freeSlot();
    if (slot >= 0) return this.#connect(listener, fd, slot, kernelId, unread);
    closeFd(fd);
    return undefined;
  }

  /** Takes what a client has sent, as far as there is memory for it. */
  receive(connection: Connection): void {
    const { session, fd } = connection;
    for (let turn = 0; turn < RECEIVES_PER_TURN; turn++) {
      session.fillReceive(this.#vector);
      const wanted = this.#vector.sizeBytes;
      this.#setMemory(connection, wanted === 0 && !session.finished);
      if (wanted === 0) break;
      const bytes = this.#stream.receive(fd, this.#vector);
      if (bytes === -EAGAIN) break;
      if (bytes <= 0) {
        this.close(connection);
        return;
      }
      session.received(bytes);
      // Less than there was room for: the socket is empty now, and the next look can wait for the next wake-up.
      if (bytes < wanted) break;
    }
    // Its client may wait for the answer to just that, and send nothing more to be woken by.
    if (session.paused) this.#setMemory(connection, true);
    if (session.state === 'negotiation' || session.finished) this.send(connection);
  }

  /** Sends what is ready. */
  send(connection: Connection): void {
    const { session, fd } = connection;
    if (connection.closed) return;
    for (;;) {
      session.fillTransmit(this.#vector);
      const wanted = this.#vector.sizeBytes;
      if (wanted === 0) break;
      const bytes = this.#stream.send(fd, this.#vector);
      if (bytes === -EAGAIN) {
        this.#setRoom(connection, true);
        return;
      }
      if (bytes < 0) {
        this.close(connection);
        return;
      }
      session.transmitted(bytes);
      if (bytes < wanted) {
        this.#setRoom(connection, true);
        return;
      }
    }
    this.#setRoom(connection, false);
    if (session.finished) this.close(connection);
  }

  /** Ends a connection; what the engine still has of it comes back later. */
  close(connection: Connection): void {
    if (connection.closed) return;
    // The kernel must see the end even if somebody had a copy of the descriptor.
    if (connection.kernelId !== NOT_KERNEL) hangUp(connection.fd);
    this.letGo(connection);
  }

  /** Serves a connection no longer, which another process goes on with: its peer sees nothing of that. */
  letGo(connection: Connection): void {
    connection.closed = true;
    this.#watcher.disconnected(connection);
    closeFd(connection.fd);
    connection.session.peerClosed();
    connection.listener.connections--;
    this.connections[connection.slot] = undefined;
  }

  #connect(listener: Listener, fd: number, slot: number, kernelId: number, unread?: Uint8Array): Connection | undefined {
    setSendBuffer(fd, SEND_BUFFER_BYTES);
    const { arena, stagings } = this.#memory;
    const session = new NbdSession({
      arena,
      chunks: this.#chunks,
      requests: this.#requests,
      stagingOffset: stagings[slot],
      ...(kernelId === NOT_KERNEL ? { directory: listener } : { device: listener.volume }),
      ...(unread === undefined ? {} : { unread }),
      chunksMax: this.#chunksMax,
      floors: this.#floors,
      counters: this.counters,
      log: (event) => {
        if (event.kind === 'connectionDropped')
          this.#watcher.notice(listener.volume.name, `NBD connection dropped: ${event.detail}`);
      },
    });
    const connection = new Connection(session, listener, fd, slot, kernelId);
    try {
      this.#watcher.connected(connection);
    } catch (error) {
      this.#watcher.notice(
        listener.volume.name,
        `an NBD connection is closed, as it can't be watched: ${(error as Error).message}`,
      );
      session.peerClosed();
      closeFd(fd);
      return undefined;
    }
    this.connections[slot] = connection;
    listener.connections++;
    this.send(connection);
    return connection;
  }

  #freeSlot(): number {
    for (let slot = 0; slot < CONNECTIONS_MAX; slot++) if (this.connections[slot] === undefined) return slot;
    return -1;
  }

  /** Too many descriptors are open, for instance: to be woken by whoever waits there would be to turn in circles. */
  #setRests(listener: Listener, result: number): void {
    const rests = result !== -EAGAIN;
    if (rests) this.#watcher.resting(listener);
    if (rests && !listener.rests) {
      const reason = errnoName(-result);
      this.#watcher.notice(listener.volume.name, `NBD connections wait, because none can be accepted now: ${reason}`);
    }
    listener.rests = rests;
  }

  #setRoom(connection: Connection, waits: boolean): void {
    if (connection.waitsForRoom === waits) return;
    connection.waitsForRoom = waits;
    this.#watcher.interestChanged(connection);
  }

  #setMemory(connection: Connection, waits: boolean): void {
    if (connection.waitsForMemory === waits) return;
    connection.waitsForMemory = waits;
    this.#watcher.interestChanged(connection);
  }
}
