import { RpcError } from '../../rpc/status.ts';
import { closeFd } from '../../system/unix-socket.ts';
import { ask, type CommandTarget } from '../ask.ts';
import type { AttachService } from '../attach/attach-service.ts';
import type { GivenDevice, NbdBackend } from '../attach/nbd.ts';
import type { HandOverRequestMessage } from '../control-messages.ts';
import type { FrozenConnection } from '../messages.ts';
import { Channel } from './channel.ts';
import { crashPoint } from './crash-points.ts';
import { HAND_OVER_PROTOCOL, HAND_OVER_PROTOCOL_MIN } from './protocol.ts';

/** What a volume still has to do is waited for so long; its users stand still meanwhile. Then it is left to the way of a crash. */
const DRAIN_MS = 250;
/** How long a peer may take to take a message, or to answer. It has nothing else to do. */
const PEER_MS = 5_000;
/** How long an attach or detach that is under way may take to end. */
const SUSPEND_MS = 5_000;
const REASON = 'this initiator hands its devices over to another one just now; try again';

export interface GiverOptions {
  readonly dataPath: CommandTarget;
  readonly attachments: AttachService;
  readonly nbd: NbdBackend;
  /** The listening control socket, and the lock of the run directory: they go with the devices. */
  readonly control: number;
  readonly lock: number;
  /** The devices are another's now. What is given is closed when everything of this one has ended that could still be seen. */
  readonly given: (channel: Channel) => void;
}

/** Hands the devices of this initiator over to another one, which has started beside it, while they are in use. */
export class Giver {
  readonly #options: GiverOptions;
  /** Resolves with whether everything is given away. */
  #giving: Promise<boolean> | undefined;
  #isClosed = false;

  constructor(options: GiverOptions) {
    this.#options = options;
  }

  /**
   * Gives everything to the one that asks, or nothing.
   * @throws RpcError with the reason, and this initiator goes on as before
   */
  async give(request: HandOverRequestMessage): Promise<void> {
    if (this.#isClosed) throw new RpcError('UNAVAILABLE', 'this initiator ends just now');
    if (this.#giving !== undefined) throw new RpcError('ABORTED', 'another initiator takes the devices over already');
    const { promise, resolve } = Promise.withResolvers<boolean>();
    this.#giving = promise;
    const { attachments } = this.#options;
    try {
      requireProtocol(request);
      // Once before anybody is disturbed, and once when nothing can change any more.
      await this.#requireReady(request);
      const obstacle = await attachments.suspend(REASON, SUSPEND_MS);
      if (obstacle !== undefined) throw new RpcError('ABORTED', obstacle);
      await this.#requireReady(request);
      await this.#giveAll(request);
      resolve(true);
    } catch (error) {
      this.#giving = undefined;
      attachments.goOn();
      resolve(false);
      throw error;
    }
  }

  /** Gives nothing away from now on. @returns whether everything has been given away */
  async end(): Promise<boolean> {
    this.#isClosed = true;
    return (await this.#giving) ?? false;
  }

  /** The other one must be able to go on with all that works here. */
  async #requireReady({ known, ready }: HandOverRequestMessage): Promise<void> {
    const { attachments, nbd } = this.#options;
    const devices = nbd.devices();
    for (const { name, state, backend } of await attachments.list()) {
      // An attach that is under way is made again, with the other one.
      if (backend === '') continue;
      if (backend !== nbd.name) {
        const why = `${name} is attached by ${backend}, which ends with its initiator`;
        throw new RpcError('FAILED_PRECONDITION', `${why}; detach it first`);
      }
      const identifier = devices.find((device) => device.name === name)?.identifier ?? '';
      if (!known.includes(identifier)) throw new RpcError('FAILED_PRECONDITION', `${name} has been attached meanwhile`);
      if (state !== 'up' || ready.includes(identifier)) continue;
      const advice = 'has it all of the interfaces, and the time to find it?';
      throw new RpcError('ABORTED', `${name} works here, and could not be used by the other initiator yet; ${advice}`);
    }
  }

  /** A device whose volume the other one could not serve stays here, and goes the way of a crash when this initiator ends. */
  async #giveAll({ socketPath, ready }: HandOverRequestMessage): Promise<void> {
    const { dataPath, nbd } = this.#options;
    nbd.pause();
    const devices = nbd.devices().filter(({ identifier }) => ready.includes(identifier));
    const connections = devices.flatMap(({ connection }) => (connection === undefined ? [] : [connection]));
    let frozen: readonly FrozenConnection[] = [];
    let channel: Channel | undefined;
    try {
      channel = Channel.connect(socketPath);
      frozen = (await ask(dataPath, { op: 'freeze', connections, drainMs: DRAIN_MS }, 'frozen')).frozen;
      crashPoint('give-frozen');
      await this.#send(channel, devices, frozen);
      if (!(await isTaken(channel))) throw new Error('it has not answered, and may have ended');
    } catch (error) {
      channel?.close();
      await ask(dataPath, { op: 'thaw', connections }, 'done');
      nbd.goOn();
      throw new RpcError('ABORTED', `the other initiator could not take the devices over: ${(error as Error).message}`);
    } finally {
      for (const { fd } of frozen) closeFd(fd);
    }
    crashPoint('give-taken');
    await ask(dataPath, { op: 'letGo', connections: frozen.map(({ connection }) => connection) }, 'done');
    crashPoint('give-let-go');
    this.#options.given(channel);
  }

  async #send(channel: Channel, devices: readonly GivenDevice[], frozen: readonly FrozenConnection[]): Promise<void> {
    for (const { connection, fd, unread, quietMs, unflushedWrites } of frozen) {
      const identifier = devices.find((device) => device.connection === connection)?.identifier ?? '';
      await channel.send({ kind: 'connection', identifier, quietMs, unflushedWrites }, PEER_MS, [fd], unread);
      crashPoint('give-sent-some');
    }
    const { lock, control } = this.#options;
    await channel.send({ kind: 'all', connections: frozen.length }, PEER_MS, [lock, control]);
    crashPoint('give-sent-all');
  }
}

/**
 * Whether the peer has taken what it was sent. One that has not said so in time can't say it later: it is cut off, and what it had said
 * by then is still heard.
 */
export async function isTaken(channel: Channel, timeoutMs = PEER_MS): Promise<boolean> {
  if (await saysTaken(channel, timeoutMs)) return true;
  channel.cutOff();
  return saysTaken(channel, 0);
}

async function saysTaken(channel: Channel, timeoutMs: number): Promise<boolean> {
  for (;;) {
    try {
      const answer = await channel.receive(timeoutMs);
      if (answer === undefined) return false;
      if (answer.message.kind === 'taken') return true;
    } catch {
      // What can't be understood is no answer; another may follow it.
    }
  }
}

/** @throws RpcError */
function requireProtocol({ protocol, protocolMin }: HandOverRequestMessage): void {
  if (protocol >= HAND_OVER_PROTOCOL_MIN && protocolMin <= HAND_OVER_PROTOCOL) return;
  const theirs = `${protocolMin} to ${protocol}`;
  throw new RpcError(
    'FAILED_PRECONDITION',
    `this initiator hands over by protocol ${HAND_OVER_PROTOCOL_MIN} to ${HAND_OVER_PROTOCOL}, the other one by ${theirs}; ` +
      `end this one: its devices hold their I/O until the other one has taken them up`,
  );
}
