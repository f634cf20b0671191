import { parseTargetAddress } from '../aoe/address.ts';
import { configStringText } from '../aoe/config.ts';
import {
  CONTROL_PROTO,
  CONTROL_SERVICE,
  type AttachmentMessage,
  type AttachResponse,
  type ConfigStringResponse,
  type EventMessage,
  type InterfacesResponse,
  type ListAttachmentsResponse,
  type ListTargetsResponse,
  type OwnershipModeMessage,
  type ReserveResponse,
  type StatResponse,
} from '../initiator/control-messages.ts';
import type { InterfaceState, TargetReport } from '../initiator/messages.ts';
import { RpcClient } from '../rpc/client.ts';
import { loadService, type Message } from '../rpc/service.ts';
import { initiatorFailure } from './initiator-failure.ts';

/** Questions that the initiator answers by itself. */
const LOCAL_MS = 10_000;
/** Waits until no I/O is under way. */
const GROW_MS = 30_000;
/** Questions to a target about its owner. */
const OWNER_MS = 5_000;

/** How a volume is attached, apart from where. */
export interface AttachSettings {
  readonly readOnly: boolean;
  readonly deadSeconds: number;
  readonly maxOutstanding: number;
  /** Names; empty = all that the initiator may use. */
  readonly interfaces: readonly string[];
}

/**
 * What a target answered when it was asked who owns it, at each of its MACs: processes that serve one disk on several interfaces know
 * nothing of each other.
 */
interface OwnershipAnswer {
  /** AoE's error code in the first answer that has one; 0 when all did what was asked. */
  readonly error: number;
  /** MACs of the target that have not answered. */
  readonly silent: number;
}

export interface ConfigAnswer extends OwnershipAnswer {
  /** Printable form, one for each MAC, at least one; empty where there is none, or the target did not tell. */
  readonly texts: readonly string[];
}

export interface ReserveAnswer extends OwnershipAnswer {
  /** Who may do I/O, one list for each MAC of the target, at least one; an empty one lets everybody. */
  readonly lists: readonly (readonly string[])[];
}

/** The initiator on this node, by the names of the targets. All failures are VolumeErrors. */
export class InitiatorClient {
  readonly #rpc: RpcClient;

  constructor(socketPath: string) {
    this.#rpc = new RpcClient(loadService(CONTROL_PROTO, CONTROL_SERVICE), socketPath);
  }

  async targets(): Promise<readonly TargetReport[]> {
    const { targets } = await this.#call<ListTargetsResponse>('list the targets', 'ListTargets', {}, LOCAL_MS);
    return targets;
  }

  /** What is known of a target; undefined when nothing has been heard of it. */
  async target(address: string): Promise<TargetReport | undefined> {
    return (await this.targets()).find(({ name }) => name === address);
  }

  async interfaces(): Promise<readonly InterfaceState[]> {
    const answer = await this.#call<InterfacesResponse>('list the interfaces', 'GetInterfaces', {}, LOCAL_MS);
    return answer.interfaces;
  }

  /** What a volume becomes here, and why. An older initiator does not tell: then both are ''. */
  async backend(): Promise<{ readonly backend: string; readonly backendNote: string }> {
    return this.#call<StatResponse>('ask how volumes become devices', 'Stat', {}, LOCAL_MS);
  }

  async attachments(): Promise<readonly AttachmentMessage[]> {
    const answer = await this.#call<ListAttachmentsResponse>('list the attached volumes', 'ListAttachments', {}, LOCAL_MS);
    return answer.attachments;
  }

  async attachment(address: string): Promise<AttachmentMessage | undefined> {
    return (await this.attachments()).find(({ name }) => name === address);
  }

  async discover(): Promise<void> {
    await this.#call('ask for targets', 'Discover', {}, LOCAL_MS);
  }

  /** Attaches a target through the backend that the initiator was configured with; idempotent. Waits at most `timeoutMs`. */
  async attach(address: string, settings: AttachSettings, timeoutMs: number): Promise<AttachmentMessage> {
    const request = { ...parseTargetAddress(address), ...settings };
    return (await this.#call<AttachResponse>(`attach ${address}`, 'Attach', request, timeoutMs)).attachment;
  }

  /** Lets the device have all of its target. `failed-precondition` where the backend can't do that in use. */
  async grow(address: string): Promise<void> {
    await this.#call(`grow ${address}`, 'Grow', parseTargetAddress(address), GROW_MS);
  }

  /** Idempotent. Waits for I/O to end, at most `timeoutMs`, unless forced: then what is under way fails. */
  async detach(address: string, force: boolean, timeoutMs: number): Promise<void> {
    await this.#call(`detach ${address}`, 'Detach', { ...parseTargetAddress(address), force }, timeoutMs);
  }

  async modify(address: string, settings: Omit<AttachSettings, 'readOnly'>): Promise<void> {
    const { deadSeconds, maxOutstanding, interfaces } = settings;
    const request = { ...parseTargetAddress(address), deadSeconds, maxOutstanding, interfaces };
    await this.#call(`change the attached volume ${address}`, 'Modify', request, LOCAL_MS);
  }

  /** @param text ASCII; empty for READ */
  async configString(address: string, mode: OwnershipModeMessage, text = ''): Promise<ConfigAnswer> {
    const request = { ...parseTargetAddress(address), mode, string: Buffer.from(text, 'latin1') };
    const attempted = `${mode === 'READ' ? 'read' : 'set'} the config string of ${address}`;
    const { error, string, others, silent } = await this.#call<ConfigStringResponse>(
      attempted,
      'ConfigString',
      request,
      OWNER_MS,
    );
    return { error, texts: [string, ...others].map(configStringText), silent };
  }

  async reserved(address: string, timeoutMs = OWNER_MS): Promise<ReserveAnswer> {
    const request = { ...parseTargetAddress(address), mode: 'READ' };
    return this.#reserve(`read the reservation of ${address}`, request, timeoutMs);
  }

  /** @param macs `own`: those of all interfaces of this initiator */
  async reserve(address: string, mode: OwnershipModeMessage, macs: 'own' | readonly string[]): Promise<ReserveAnswer> {
    const list = macs === 'own' ? { own: true } : { macs };
    const request = { ...parseTargetAddress(address), mode, ...list };
    return this.#reserve(`change the reservation of ${address}`, request, OWNER_MS);
  }

  async #reserve(attempted: string, request: Message, timeoutMs: number): Promise<ReserveAnswer> {
    const { error, macs, others, silent } = await this.#call<ReserveResponse>(attempted, 'Reserve', request, timeoutMs);
    return { error, lists: [macs, ...others.map((each) => each.macs)], silent };
  }

  /** What happens to targets and interfaces from now on, until aborted or the initiator ends. */
  events(signal: AbortSignal): AsyncIterable<EventMessage> {
    return this.#rpc.stream<EventMessage>('Errors', { follow: true }, signal);
  }

  close(): void {
    this.#rpc.close();
  }

  async #call<Response extends Message>(
    attempted: string,
    method: string,
    request: Message,
    timeoutMs: number,
  ): Promise<Response> {
    try {
      return await this.#rpc.call<Response>(method, request, { timeoutMs });
    } catch (error) {
      throw initiatorFailure(attempted, error);
    }
  }
}
