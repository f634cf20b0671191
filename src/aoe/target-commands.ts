import type { Arena } from '../buffers/arena.ts';
import type { Mac } from './address.ts';
import { readConfigResponse, writeConfigRequest } from './config.ts';
import { COMMAND_CONFIG, COMMAND_RESERVE, FLAG_ERROR, VERSION_FLAGS_REQUEST } from './constants.ts';
import { NO_COPY } from './copies.ts';
import type { Core } from './core.ts';
import { writeCommon, writeEthernet } from './header.ts';
import {
  ARGUMENT,
  CONFIG_STRING,
  ERROR,
  ETHERNET_HEADER_BYTES,
  FRAME_BYTES_MIN,
  MAC_BYTES,
  RESERVE_MACS,
  SHELF,
  SLOT,
  SRC_MAC,
  TAG,
  VERSION_FLAGS,
} from './layout.ts';
import { COMMAND_FIRST_US, COMMAND_LONGEST_US, COMMANDS_MAX } from './limits.ts';
import { STANDING_CONFLICT, STANDING_PROVEN, type Path } from './path.ts';
import type { Port } from './port.ts';
import { readReserve, writeReserve } from './reserve.ts';
import { readMac } from './address.ts';
import type { Target } from './target.ts';

/** A question about who owns a target: its config string (AoEr11 §3.2) or its reserve list (§3.4). All of them may be asked twice. */
export type TargetCommand =
  | { readonly kind: 'config'; readonly command: number; readonly string: Uint8Array }
  | { readonly kind: 'reserve'; readonly command: number; readonly macs: readonly Mac[] };

/** What the target answered. */
export interface CommandAnswer {
  /** AoE error code; 0 when it did what was asked. */
  readonly error: number;
  /** The config string as it is now (config commands; also with error 4, "present"). */
  readonly string: Uint8Array;
  /** The reserve list as it is now (reserve commands; also with error 6, "reserved"). */
  readonly macs: readonly Mac[];
}

/** `undefined`: no answer until the deadline. */
export type CommandDone = (answer: CommandAnswer | undefined) => void;

interface Pending {
  readonly target: Target;
  readonly command: TargetCommand;
  readonly mac: Mac | undefined;
  readonly done: CommandDone;
  readonly deadlineUs: number;
  readonly tags: number[];
  attempts: number;
  pauseUs: number;
  dueUs: number;
}

const NOTHING = new Uint8Array(0);

/** Asks targets about ownership until they answer or time is up; one path after the other where there are several. */
export class TargetCommands {
  readonly #core: Core;
  readonly #pending: Pending[] = [];

  constructor(core: Core) {
    this.#core = core;
  }

  /**
   * Starts to ask. `done` is called once, possibly late, never from within. False when too many questions are open.
   * @param mac of the target, that alone is asked; `undefined`: that which does I/O, or any
   */
  ask(
    target: Target,
    command: TargetCommand,
    mac: Mac | undefined,
    deadlineUs: number,
    nowUs: number,
    done: CommandDone,
  ): boolean {
    if (!this.hasRoomFor(1)) return false;
    const asked = { tags: [], attempts: 0, pauseUs: COMMAND_FIRST_US, dueUs: nowUs };
    this.#pending.push({ target, command, mac, done, deadlineUs, ...asked });
    return true;
  }

  hasRoomFor(questions: number): boolean {
    return this.#pending.length + questions <= COMMANDS_MAX;
  }

  tick(nowUs: number): void {
    for (let index = this.#pending.length - 1; index >= 0; index--) {
      const pending = this.#pending[index];
      if (pending.deadlineUs <= nowUs) {
        this.#pending.splice(index, 1);
        pending.done(undefined);
      } else if (pending.dueUs <= nowUs) {
        this.#send(pending);
        pending.dueUs = Math.min(nowUs + pending.pauseUs, pending.deadlineUs);
        pending.pauseUs = Math.min(pending.pauseUs * 2, COMMAND_LONGEST_US);
      }
    }
  }

  nextUs(): number {
    let next = Infinity;
    for (const { dueUs } of this.#pending) if (dueUs < next) next = dueUs;
    return next;
  }

  /** A config or reserve response with its header at `at`, which has been checked; answers whether somebody waited for it. */
  receive(port: Port, command: number, at: number, length: number): boolean {
    const { view } = this.#core.arena;
    const tag = view.getInt32(at + TAG);
    const kind = command === COMMAND_CONFIG ? 'config' : 'reserve';
    const index = this.#pending.findIndex(
      (candidate) => candidate.command.kind === kind && candidate.tags.includes(tag) && this.#isFrom(candidate, port, at),
    );
    if (index < 0) return false;
    const error = (view.getUint8(at + VERSION_FLAGS) & FLAG_ERROR) === 0 ? 0 : view.getUint8(at + ERROR);
    const answer = readAnswer(view, kind, at, length, error);
    if (answer === undefined) return false;
    const [pending] = this.#pending.splice(index, 1);
    pending.done(answer);
    return true;
  }

  #isFrom({ target, mac: wanted }: Pending, port: Port, at: number): boolean {
    const { view } = this.#core.arena;
    if (view.getUint16(at + SHELF) !== target.shelf || view.getUint8(at + SLOT) !== target.slot) return false;
    const mac = readMac(view, at + SRC_MAC);
    if (wanted !== undefined && wanted !== mac) return false;
    return target.paths.some((path) => path.port === port && path.mac === mac);
  }

  #send(pending: Pending): void {
    const path = choosePath(pending, pending.attempts++);
    if (path === undefined) return;
    const tag = this.#core.copies.looseTag();
    pending.tags.push(tag);
    writeFrame(this.#core.arena, path, tag, pending.command);
  }
}

/** The MTU that an interface must have to carry the question, which is one frame. */
export function mtuOf(command: TargetCommand): number {
  const isConfig = command.kind === 'config';
  const end = isConfig ? CONFIG_STRING + command.string.length : RESERVE_MACS + command.macs.length * MAC_BYTES;
  return end - ETHERNET_HEADER_BYTES;
}

/** Paths that do a volume's I/O first: a reservation may be for their MACs only. Else any path that is up, in turn. */
function choosePath({ target, mac: asked, command }: Pending, attempt: number): Path | undefined {
  const wanted = asked ?? target.owner;
  const mtu = mtuOf(command);
  const usable = target.paths.filter(({ port, mac, standing }) => {
    const isWanted = wanted === undefined || wanted === mac;
    return isWanted && port.mtu >= mtu && port.up && !port.blocked && !port.batch.full && standing !== STANDING_CONFLICT;
  });
  const proven = usable.filter(({ standing }) => standing === STANDING_PROVEN);
  const paths = proven.length > 0 ? proven : usable;
  return paths.length === 0 ? undefined : paths[attempt % paths.length];
}

/** The common header stands in the batch's header slot, the argument with its variable part in the frame's body. */
function writeFrame(arena: Arena, path: Path, tag: number, command: TargetCommand): void {
  const { batch, mac: from } = path.port;
  const at = batch.header(batch.count);
  const body = batch.body(batch.count);
  const { shelf, slot } = path.target;
  const number = command.kind === 'config' ? COMMAND_CONFIG : COMMAND_RESERVE;
  writeEthernet(arena.view, at, path.mac, from);
  writeCommon(arena.view, at, VERSION_FLAGS_REQUEST, 0, shelf, slot, number, tag >>> 0);
  const shortest = FRAME_BYTES_MIN - ARGUMENT;
  arena.bytes.fill(0, body, body + shortest);
  const end =
    command.kind === 'config'
      ? writeConfigRequest(arena.view, body - ARGUMENT, command.command, command.string)
      : writeReserve(arena.view, body - ARGUMENT, command.command, command.macs);
  const index = batch.append(NO_COPY);
  batch.headerLength[index] = ARGUMENT;
  batch.payloadOffset[index] = body;
  batch.payloadLength[index] = Math.max(end - ARGUMENT, shortest);
}

/** An error answer may end after its header (ggaoed): then nothing is known of the present owner. */
function readAnswer(
  view: DataView,
  kind: TargetCommand['kind'],
  at: number,
  length: number,
  error: number,
): CommandAnswer | undefined {
  if (kind === 'config') {
    const response = readConfigResponse(view, at, length);
    if (response === undefined && error === 0) return undefined;
    return { error, string: response?.string ?? NOTHING, macs: [] };
  }
  const response = readReserve(view, at, length);
  if (response === undefined && error === 0) return undefined;
  return { error, string: NOTHING, macs: response?.macs ?? [] };
}
