import { rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { RpcClient } from '../../rpc/client.ts';
import type { RpcError } from '../../rpc/status.ts';
import { acceptUnix, closeFd, listenUnix } from '../../system/unix-socket.ts';
import { waitUntil } from '../../system/waiting.ts';
import { ask, type CommandTarget } from '../ask.ts';
import type { NbdBackend } from '../attach/nbd.ts';
import type { HandOverRequestMessage } from '../control-messages.ts';
import { Channel, type Received } from './channel.ts';
import { crashPoint } from './crash-points.ts';
import { HAND_OVER_PROTOCOL, HAND_OVER_PROTOCOL_MIN, type ConnectionMessage } from './protocol.ts';

/** As often the one that runs is asked whether it can be done without the targets that have not been found yet. */
const READY_MS = 10_000;
/** With many volumes, or a slow machine, finding them takes a while. Nothing waits for it: the other one serves meanwhile. */
const PATIENCE_MS = 120_000;
/** The whole of it, seen from here: the other one has bounds for each step. */
const HAND_OVER_MS = 30_000;
const MESSAGE_MS = 5_000;
const MODE = 0o600;

export interface TakerOptions {
  /** Started without sockets of volumes; whose devices are expected. */
  readonly dataPath: CommandTarget;
  readonly nbd: NbdBackend;
  /** The control service of the initiator that runs. */
  readonly running: RpcClient;
  readonly socketPath: string;
  /** Whether that initiator has ended: then there is nothing to wait for. */
  readonly isGone: () => boolean;
  /** Told why it has to wait, once for each reason. */
  readonly waits: (reason: string) => void;
  /** Gives up, as long as nothing has been taken over. */
  readonly signal: AbortSignal;
}

/** What goes with the devices. */
export interface Taken {
  readonly lock: number;
  readonly control: number;
  /** How long I/O has stood still, as far as it can be seen from here. */
  readonly stillMs: number;
  /** Resolved when the other one can't be seen on the network any more: it has closed all that it had, or is dead. */
  readonly ended: Promise<void>;
}

interface GivenConnection {
  readonly message: ConnectionMessage;
  readonly id: number;
}

/**
 * Takes the devices over from an initiator that runs, while they are in use. When that fails, nothing has happened to them.
 * @param known identifiers of the devices that are expected
 * @throws RpcError, Error: why it could not be done
 */
export async function takeOver(options: TakerOptions, known: readonly string[]): Promise<Taken> {
  const { nbd, isGone, waits, signal } = options;
  const endMs = performance.now() + PATIENCE_MS;
  let told = '';
  for (;;) {
    await waitUntil(() => nbd.ready.length === known.length || isGone() || signal.aborted, READY_MS);
    if (isGone()) throw new Error('it has ended');
    requireWanted(signal);
    crashPoint('take-ready');
    try {
      const { channel, refused } = await askFor(options, known);
      return await new Taking(options, channel, refused).take();
    } catch (error) {
      if (!(error instanceof NotYet)) throw error;
      if (performance.now() >= endMs) throw error.reason;
      if (error.message !== told) waits(error.message);
      told = error.message;
    }
  }
}

/** The one that runs has refused before it began, and may not the next time. */
class NotYet extends Error {
  readonly reason: RpcError;

  constructor(reason: RpcError) {
    super(reason.message);
    this.reason = reason;
  }
}

/** @throws NotYet, RpcError, SystemError */
async function askFor(
  { running, nbd, socketPath }: TakerOptions,
  known: readonly string[],
): Promise<{ channel: Channel; refused: AbortSignal }> {
  const listener = listenUnix(socketPath, { backlog: 1, mode: MODE, kind: 'messages' });
  const refusal = new AbortController();
  try {
    const request: HandOverRequestMessage = {
      ...{ protocol: HAND_OVER_PROTOCOL, protocolMin: HAND_OVER_PROTOCOL_MIN },
      ...{ socketPath, known, ready: nbd.ready },
    };
    // Its answer tells why nothing has been given. When everything has, that is seen here first.
    running.call('HandOver', { ...request }, { timeoutMs: HAND_OVER_MS }).catch((error: unknown) => refusal.abort(error));
    return { channel: await accept(listener, refusal.signal), refused: refusal.signal };
  } catch (error) {
    throw (error as RpcError).code === 'ABORTED' ? new NotYet(error as RpcError) : error;
  } finally {
    closeFd(listener);
    rmSync(socketPath, { force: true });
  }
}

/** @throws the signal's reason */
async function accept(listener: number, signal: AbortSignal): Promise<Channel> {
  for (;;) {
    const fd = acceptUnix(listener);
    if (fd >= 0) return new Channel(fd);
    signal.throwIfAborted();
    await sleep(1);
  }
}

/** One that has been stopped would take the devices over only to leave them alone. @throws Error */
function requireWanted(signal: AbortSignal): void {
  if (signal.aborted) throw new Error('this one has been stopped');
}

class Taking {
  readonly #options: TakerOptions;
  readonly #channel: Channel;
  readonly #refused: AbortSignal;
  readonly #given: GivenConnection[] = [];
  readonly #startedMs = performance.now();

  constructor(options: TakerOptions, channel: Channel, refused: AbortSignal) {
    this.#options = options;
    this.#channel = channel;
    this.#refused = refused;
  }

  async take(): Promise<Taken> {
    let rest: Received | undefined;
    try {
      rest = await this.#receiveAll();
      crashPoint('take-received-all');
      if (!this.#options.nbd.isUnchanged) throw new Error('a device was attached, changed or detached meanwhile');
      requireWanted(this.#options.signal);
      await this.#channel.send({ kind: 'taken' }, MESSAGE_MS);
    } catch (error) {
      await this.#options.nbd.giveBack();
      // Only now: with its end the other one goes on.
      this.#channel.close();
      for (const fd of rest?.descriptors ?? []) closeFd(fd);
      throw error;
    }
    crashPoint('take-taken');
    await this.#thaw(this.#given.filter(({ message }) => message.quietMs === 0));
    const stillMs = performance.now() - this.#startedMs;
    crashPoint('take-thawed');
    for (const each of this.#given) {
      // A data path that ends meanwhile says so itself.
      if (each.message.quietMs > 0)
        sleep(each.message.quietMs)
          .then(async () => this.#thaw([each]))
          .catch(() => undefined);
    }
    const [lock, control] = rest.descriptors;
    const ended = this.#channel.ended().then(() => this.#channel.close());
    return { lock, control, stillMs, ended };
  }

  /** @returns the last message, when everything has come that it speaks of */
  async #receiveAll(): Promise<Received> {
    for (;;) {
      const received = await this.#channel.receive(MESSAGE_MS);
      if (received === undefined) {
        this.#refused.throwIfAborted();
        throw new Error('the initiator that runs has stopped in the middle of handing over');
      }
      const { message, descriptors, unread } = received;
      if (message.kind === 'connection' && descriptors.length === 1) {
        const { identifier, unflushedWrites } = message;
        const id = await this.#options.nbd.inherit(identifier, descriptors[0], { unread, unflushedWrites });
        this.#given.push({ message, id });
        crashPoint('take-received-some');
        continue;
      }
      if (message.kind === 'all' && message.connections === this.#given.length && descriptors.length === 2) return received;
      for (const fd of descriptors) closeFd(fd);
      throw new Error(`the initiator that runs has sent "${message.kind}" where something else was expected`);
    }
  }

  async #thaw(given: readonly GivenConnection[]): Promise<void> {
    await ask(this.#options.dataPath, { op: 'thaw', connections: given.map(({ id }) => id) }, 'done');
  }
}
