import { formatTargetAddress, parseMac, parseTargetAddress } from '../aoe/address.ts';
import { CONFIG_STRING_BYTES_MAX, RESERVE_ENTRIES_MAX } from '../aoe/constants.ts';
import type { CallContext, Handlers } from '../rpc/server.ts';
import type { Message } from '../rpc/service.ts';
import { RpcError } from '../rpc/status.ts';
import { ask, type CommandTarget } from './ask.ts';
import type { AttachService } from './attach/attach-service.ts';
import type { DefaultBackend } from './attach/default-backend.ts';
import type {
  AttachRequestMessage,
  AttachResponse,
  ConfigStringRequestMessage,
  ConfigStringResponse,
  DetachRequestMessage,
  DetachResponse,
  ErrorsRequest,
  EventMessage,
  GrowRequestMessage,
  HandOverRequestMessage,
  InterfacesResponse,
  ListAttachmentsResponse,
  ListTargetsResponse,
  ModifyRequestMessage,
  OwnershipModeMessage,
  ReserveRequestMessage,
  ReserveResponse,
  SetInterfacesRequest,
  StatResponse,
} from './control-messages.ts';
import type { EventLog } from './event-log.ts';
import { rpcErrorOf } from './failures.ts';
import type { OwnershipMode } from './messages.ts';

export interface ControlServiceOptions {
  readonly dataPath: CommandTarget;
  readonly attachments: AttachService;
  readonly events: EventLog;
  /** The allow list that the data path was started with. */
  readonly interfaces: readonly string[];
  readonly version: string;
  readonly defaultBackend: DefaultBackend;
  /** Hands the devices over to another initiator. @throws RpcError */
  readonly handOver: (request: HandOverRequestMessage) => Promise<void>;
}

/** Before a call's deadline: time for the answer to be made and to arrive. */
const ANSWER_MARGIN_MS = 500;
const INTERFACES_MAX = 64;
const MILLISECONDS_MAX = 2 ** 31 - 1;
/** A target that has not answered a question about its owner by then is asked again by those who want to know. */
const QUESTION_MS_MAX = 60_000;
const NOTHING = new Uint8Array(0);

/** The control service's methods: refuse, translate, call, translate. proto/initiator.proto says what they promise. */
export class ControlService {
  readonly #options: ControlServiceOptions;
  #patterns: readonly string[];

  constructor(options: ControlServiceOptions) {
    this.#options = options;
    this.#patterns = options.interfaces;
  }

  readonly handlers: Handlers = {
    Discover: answering(async () => this.#discover()),
    ListTargets: answering(async () => this.#listTargets()),
    Attach: answering(async (request, context) => this.#attach(request as AttachRequestMessage, context)),
    Detach: answering(async (request, context) => this.#detach(request as DetachRequestMessage, context)),
    Grow: answering(async (request, context) => this.#grow(request as GrowRequestMessage, context)),
    ListAttachments: answering(async () => this.#listAttachments()),
    Modify: answering(async (request, context) => this.#modify(request as ModifyRequestMessage, context)),
    ConfigString: answering(async (request, context) => this.#configString(request as ConfigStringRequestMessage, context)),
    Reserve: answering(async (request, context) => this.#reserve(request as ReserveRequestMessage, context)),
    SetInterfaces: answering(async (request) => this.setInterfaces((request as SetInterfacesRequest).patterns)),
    GetInterfaces: answering(async () => this.#getInterfaces()),
    HandOver: answering(async (request) => {
      await this.#options.handOver(request as HandOverRequestMessage);
      return {};
    }),
    Stat: answering(async () => this.#stat()),
    Errors: (request, context) => this.#errors(request as ErrorsRequest, context),
  };

  /** @throws DataPathError `invalid` when a pattern can't be a name */
  async setInterfaces(patterns: readonly string[]): Promise<InterfacesResponse> {
    if (patterns.length > INTERFACES_MAX) {
      throw new RpcError('INVALID_ARGUMENT', `${patterns.length} interfaces were named; at most ${INTERFACES_MAX} can be`);
    }
    const { interfaces } = await ask(this.#options.dataPath, { op: 'setInterfaces', patterns }, 'interfaces');
    this.#patterns = patterns;
    return { patterns, interfaces };
  }

  async #discover(): Promise<Message> {
    await ask(this.#options.dataPath, { op: 'discover' }, 'done');
    return {};
  }

  async #listTargets(): Promise<ListTargetsResponse> {
    const { targets } = await ask(this.#options.dataPath, { op: 'listTargets' }, 'targets');
    return { targets };
  }

  async #attach(request: AttachRequestMessage, context: CallContext): Promise<AttachResponse> {
    requireAddress(request.shelf, request.slot);
    return this.#options.attachments.attach(request, beforeDeadline(context));
  }

  async #detach(request: DetachRequestMessage, context: CallContext): Promise<DetachResponse> {
    requireAddress(request.shelf, request.slot);
    return this.#options.attachments.detach(request, beforeDeadline(context));
  }

  async #grow(request: GrowRequestMessage, context: CallContext): Promise<AttachResponse> {
    requireAddress(request.shelf, request.slot);
    return this.#options.attachments.grow(request, beforeDeadline(context));
  }

  async #listAttachments(): Promise<ListAttachmentsResponse> {
    return { attachments: await this.#options.attachments.list() };
  }

  async #modify(request: ModifyRequestMessage, context: CallContext): Promise<Message> {
    requireAddress(request.shelf, request.slot);
    await this.#options.attachments.modify(request, beforeDeadline(context));
    return {};
  }

  async #configString(request: ConfigStringRequestMessage, context: CallContext): Promise<ConfigStringResponse> {
    const { shelf, slot, string } = request;
    requireAddress(shelf, slot);
    if (string.length > CONFIG_STRING_BYTES_MAX) {
      throw new RpcError(
        'INVALID_ARGUMENT',
        `a config string has at most ${CONFIG_STRING_BYTES_MAX} bytes, not ${string.length}`,
      );
    }
    const mode = modeOf(request.mode);
    const { dataPath } = this.#options;
    const answer = await ask(dataPath, { op: 'config', shelf, slot, mode, string, timeoutMs: answerMs(context) }, 'config');
    const { error, silent } = answer;
    const [first = NOTHING, ...others] = answer.strings;
    return { error, string: first, others, silent };
  }

  async #reserve(request: ReserveRequestMessage, context: CallContext): Promise<ReserveResponse> {
    const { shelf, slot } = request;
    requireAddress(shelf, slot);
    const macs = request.own ? undefined : requireMacs(request.macs);
    const mode = modeOf(request.mode);
    const { dataPath } = this.#options;
    const answer = await ask(dataPath, { op: 'reserve', shelf, slot, mode, macs, timeoutMs: answerMs(context) }, 'reserve');
    const { error, silent } = answer;
    const [first = [], ...others] = answer.lists;
    return { error, macs: first, others: others.map((each) => ({ macs: each })), silent };
  }

  async #getInterfaces(): Promise<InterfacesResponse> {
    const { interfaces } = await ask(this.#options.dataPath, { op: 'listInterfaces' }, 'interfaces');
    return { patterns: this.#patterns, interfaces };
  }

  async #stat(): Promise<StatResponse> {
    const { statistics } = await ask(this.#options.dataPath, { op: 'stat' }, 'stat');
    const { version, defaultBackend } = this.#options;
    const { pid } = process;
    return { version, pid, uptimeSeconds: process.uptime(), counters: statistics, ...(await defaultBackend.report()) };
  }

  #errors(request: ErrorsRequest, context: CallContext): AsyncIterable<EventMessage> {
    return this.#options.events.read(request.follow, context.signal);
  }
}

/** A handler whose errors carry gRPC's codes. */
function answering(handler: (request: Message, context: CallContext) => Promise<Message>) {
  return async (request: Message, context: CallContext): Promise<Message> => {
    try {
      return await handler(request, context);
    } catch (error) {
      throw rpcErrorOf(error);
    }
  };
}

/** @throws RpcError for AoE's wildcards and what lies beyond them */
function requireAddress(shelf: number, slot: number): void {
  try {
    parseTargetAddress(formatTargetAddress(shelf, slot));
  } catch (error) {
    throw new RpcError('INVALID_ARGUMENT', (error as Error).message);
  }
}

const OWNERSHIP_MODES: Readonly<Record<OwnershipModeMessage, OwnershipMode>> = {
  READ: 'read',
  SET: 'set',
  FORCE_SET: 'force-set',
};

/** @throws RpcError for a number that a newer client may have sent */
function modeOf(mode: OwnershipModeMessage): OwnershipMode {
  const known: OwnershipMode | undefined = OWNERSHIP_MODES[mode];
  if (known === undefined) throw new RpcError('INVALID_ARGUMENT', `there is no mode ${String(mode)}; use READ, SET or FORCE_SET`);
  return known;
}

/** @throws RpcError for what no MAC address looks like, and for more than a reserve list can hold */
function requireMacs(macs: readonly string[]): readonly string[] {
  if (macs.length > RESERVE_ENTRIES_MAX) {
    throw new RpcError('INVALID_ARGUMENT', `a reserve list has at most ${RESERVE_ENTRIES_MAX} addresses, not ${macs.length}`);
  }
  try {
    macs.forEach(parseMac);
  } catch (error) {
    throw new RpcError('INVALID_ARGUMENT', (error as Error).message);
  }
  return macs;
}

/** How long a target may take to answer a question. */
function answerMs(context: CallContext): number {
  const remainingMs = context.remainingMs() - ANSWER_MARGIN_MS;
  return Math.max(Math.min(remainingMs, QUESTION_MS_MAX), 0);
}

/** Aborted when nobody reads the answer any more, or so long before the deadline that an answer can still be read. */
function beforeDeadline(context: CallContext): AbortSignal {
  const remainingMs = Math.max(context.remainingMs() - ANSWER_MARGIN_MS, 0);
  if (remainingMs > MILLISECONDS_MAX) return context.signal;
  const message = `given up after ${(remainingMs / 1000).toFixed(1)} s`;
  const late = new AbortController();
  setTimeout(() => late.abort(new RpcError('DEADLINE_EXCEEDED', message)), remainingMs).unref();
  return AbortSignal.any([context.signal, late.signal]);
}
