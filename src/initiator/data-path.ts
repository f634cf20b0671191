import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { EventFd } from '../system/eventfd.ts';
import { unmapMemory } from '../system/memory.ts';
import type { Command, CommandMessage, Failure, FailureCode, Reply, WorkerMessage } from './messages.ts';

/** What the data path reports on its own: log lines, and the errors stream. */
export interface DataPathEvents {
  notice(kind: string, target: string, text: string): void;
  /** A connection made with `serveKernel` has ended; with `goodbye` when the kernel has said that it will not come back. */
  readonly kernelGone?: (connection: number, goodbye: boolean) => void;
  /** The socket of the kernel's device /dev/nbd<index> is dead. */
  readonly linkDead?: (index: number) => void;
  /** The thread has ended without being asked to. Nothing works any more. */
  failed(error: Error): void;
}

/** A command that was refused, or could not be carried out. */
export class DataPathError extends Error {
  override readonly name = 'DataPathError';
  readonly code: FailureCode;

  constructor(failure: Failure) {
    super(failure.message);
    this.code = failure.code;
  }
}

interface Pending {
  readonly resolve: (reply: Reply) => void;
  readonly reject: (error: Error) => void;
}

export interface DataPathOptions {
  /** Names or patterns of interfaces; empty = no AoE traffic. */
  readonly interfaces: readonly string[];
  /** 64 KiB chunks of payload memory. */
  readonly chunks: number;
  /** Whether that memory is kept from being swapped out. */
  readonly lockMemory: boolean;
  /** Whether volumes have sockets of their own from the start, as they have unless told otherwise, or only from `listen` on. */
  readonly listening?: boolean;
}

/** Closing takes milliseconds. */
const CLOSE_MS = 5_000;

/** Payload memory unless told otherwise: 64 MiB, of which only what is used takes up physical memory. */
export const CHUNKS_DEFAULT = 1_024;

/** The control thread's end of the data-path thread: commands go in as messages behind an eventfd, replies come back as promises. */
export class DataPath {
  readonly #worker: Worker;
  readonly #wake: EventFd;
  readonly #pending = new Map<number, Pending>();
  readonly #events: DataPathEvents;
  readonly #exited: Promise<true>;
  #memory: { readonly address: number; readonly sizeBytes: number } | undefined;
  #lastId = 0;
  #stopping = false;

  constructor(options: DataPathOptions, events: DataPathEvents) {
    this.#events = events;
    this.#wake = EventFd.create();
    const workerData = {
      eventFd: this.#wake.fd,
      interfaces: options.interfaces,
      chunks: options.chunks,
      lockMemory: options.lockMemory,
      listening: options.listening ?? true,
    };
    this.#worker = new Worker(new URL('./worker.js', import.meta.url), { workerData });
    this.#worker.on('message', (message: WorkerMessage) => this.#received(message));
    this.#worker.on('error', (error) => this.#ended(error));
    this.#worker.on('exit', () => this.#ended(new Error('the data-path thread has ended')));
    this.#exited = new Promise((resolve) => this.#worker.once('exit', () => resolve(true)));
  }

  /** Carries out a command. Rejects with DataPathError. */
  async execute(command: Command): Promise<Reply> {
    // The descriptor behind `#wake` may be another's by now.
    if (this.#stopping)
      throw new DataPathError({ code: 'unavailable', message: `${command.op} was asked of an initiator that ends` });
    return this.#post(command);
  }

  async #post(command: Command): Promise<Reply> {
    const id = ++this.#lastId;
    const message: CommandMessage = { id, command };
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve, reject });
      this.#worker.postMessage(message);
      this.#wake.signal();
    });
  }

  /**
   * Ends the thread; volumes lose their sockets. All of them are closed when this resolves, for which others may wait, and the memory
   * is given back: this process may live on without a data path.
   */
  async stop(): Promise<void> {
    this.#stopping = true;
    // A thread that has ended by itself does not answer.
    this.#post({ op: 'stop' }).catch(() => undefined);
    const hasClosed = await Promise.race([this.#exited, sleep(CLOSE_MS, false, { ref: false })]);
    await this.#worker.terminate();
    if (hasClosed && this.#memory !== undefined) unmapMemory(this.#memory.address, this.#memory.sizeBytes);
    this.#wake.close();
  }

  #received(message: WorkerMessage): void {
    switch (message.type) {
      case 'notice':
        this.#events.notice(message.kind, message.target, message.text);
        return;
      case 'kernelGone':
        this.#events.kernelGone?.(message.connection, message.goodbye);
        return;
      case 'linkDead':
        this.#events.linkDead?.(message.index);
        return;
      case 'mapped':
        this.#memory = message;
        return;
      case 'reply':
      case 'failure':
        this.#answered(message);
    }
  }

  #answered(message: Extract<WorkerMessage, { type: 'reply' | 'failure' }>): void {
    const pending = this.#pending.get(message.id);
    this.#pending.delete(message.id);
    if (message.type === 'reply') pending?.resolve(message.reply);
    else pending?.reject(new DataPathError(message.failure));
  }

  #ended(error: Error): void {
    for (const pending of this.#pending.values()) pending.reject(error);
    this.#pending.clear();
    if (this.#stopping) return;
    this.#stopping = true;
    this.#events.failed(error);
  }
}
