import { formatMac, type Mac } from '../aoe/address.ts';
import {
  configStringText,
  readConfigCommand,
  readConfigRequestString,
  writeConfigResponse,
  type ConfigFacts,
} from '../aoe/config.ts';
import {
  AOE_ERROR_BAD_ARGUMENT,
  AOE_ERROR_CONFIG_PRESENT,
  AOE_ERROR_DEVICE_UNAVAILABLE,
  AOE_ERROR_RESERVED,
  CONFIG_FORCE_SET,
  CONFIG_READ,
  CONFIG_SET,
  CONFIG_TEST,
  CONFIG_TEST_PREFIX,
  MASK_DIRECTIVE_ADD,
  MASK_DIRECTIVE_DELETE,
  MASK_DIRECTIVE_NONE,
  MASK_EDIT,
  MASK_ERROR_BAD_DIRECTIVE,
  MASK_ERROR_FULL,
  MASK_READ,
  RESERVE_FORCE_SET,
  RESERVE_READ,
  RESERVE_SET,
} from '../aoe/constants.ts';
import { readMask, writeMaskFailure, writeMaskList, type MaskDirective } from '../aoe/mask.ts';
import { configCommandName, reserveCommandName } from '../aoe/names.ts';
import { readReserve, writeReserve } from '../aoe/reserve.ts';
import { SILENCE, type Call } from './reply.ts';
import { LIST_ENTRIES_MAX, type DeviceState, type StateStore } from './state.ts';
import type { TargetLog } from './log.ts';

/**
 * What initiators claim of one target: its config string, MAC mask and reserve list, and the three AoE commands that read and
 * change them (AoEr11 §3.2 to §3.4). A change is saved before it is answered.
 */
export class Claims {
  readonly #name: string;
  readonly #shelf: number;
  readonly #slot: number;
  readonly #store: StateStore;
  readonly #log: TargetLog;
  #state: DeviceState;

  constructor(name: string, shelf: number, slot: number, store: StateStore, log: TargetLog) {
    this.#name = name;
    this.#shelf = shelf;
    this.#slot = slot;
    this.#store = store;
    this.#log = log;
    this.#state = store.load();
  }

  get state(): DeviceState {
    return this.#state;
  }

  /** The mask lets frames of this sender in. Others are not answered at all. */
  admits(mac: Mac): boolean {
    return this.#state.mask.length === 0 || this.#state.mask.includes(mac);
  }

  /** The reserve list lets this sender send ATA commands. */
  permits(mac: Mac): boolean {
    return this.#state.reserved.length === 0 || this.#state.reserved.includes(mac);
  }

  /** Answers command 1. `facts` go into every answer. */
  config(call: Call, facts: ConfigFacts): number {
    const command = readConfigCommand(call.view, call.request);
    if (command === CONFIG_READ) return this.#configReply(call, facts, command, 0);
    const string = readConfigRequestString(call.view, call.request, call.length);
    if (string === undefined) return this.#refuse(call, AOE_ERROR_BAD_ARGUMENT);
    const current = this.#state.configString;
    switch (command) {
      case CONFIG_TEST:
        return sameBytes(string, current) ? this.#configReply(call, facts, command, 0) : SILENCE;
      case CONFIG_TEST_PREFIX:
        return sameBytes(string, current.subarray(0, string.length)) ? this.#configReply(call, facts, command, 0) : SILENCE;
      case CONFIG_SET:
        if (current.length > 0 && !sameBytes(string, current)) {
          return this.#configReply(call, facts, command, AOE_ERROR_CONFIG_PRESENT);
        }
        break;
      case CONFIG_FORCE_SET:
        break;
      default:
        return this.#refuse(call, AOE_ERROR_BAD_ARGUMENT);
    }
    const what = `config ${configCommandName(command)} to '${configStringText(string)}'`;
    if (!sameBytes(string, current) && !this.#change(call, { ...this.#state, configString: string }, what)) {
      return this.#refuse(call, AOE_ERROR_DEVICE_UNAVAILABLE);
    }
    return this.#configReply(call, facts, command, 0);
  }

  #configReply(call: Call, facts: ConfigFacts, command: number, error: number): number {
    call.writeHeader(this.#shelf, this.#slot, error);
    return call.finish(writeConfigResponse(call.view, call.reply, facts, command, this.#state.configString));
  }

  /** Answers command 2. An edit is carried out up to the directive that fails, and the answer says how far that was. */
  mask(call: Call): number {
    const message = readMask(call.view, call.request, call.length);
    if (message === undefined || (message.command !== MASK_READ && message.command !== MASK_EDIT)) {
      return this.#refuse(call, AOE_ERROR_BAD_ARGUMENT);
    }
    if (message.command === MASK_EDIT) {
      const { mask, done, error } = editMask(this.#state.mask, message.directives);
      if (done > 0 && !this.#change(call, { ...this.#state, mask }, `MAC mask set to [${mask.map(formatMac).join(' ')}]`)) {
        return this.#refuse(call, AOE_ERROR_DEVICE_UNAVAILABLE);
      }
      if (error !== 0) {
        call.writeHeader(this.#shelf, this.#slot);
        return call.finish(writeMaskFailure(call.view, call.reply, error, done));
      }
    }
    call.writeHeader(this.#shelf, this.#slot);
    return call.finish(writeMaskList(call.view, call.reply, message.command, this.#state.mask));
  }

  /** Answers command 3. A refused "set" is answered with the list that stands. */
  reserve(call: Call): number {
    const message = readReserve(call.view, call.request, call.length);
    if (message === undefined || message.command > RESERVE_FORCE_SET || message.macs.length > LIST_ENTRIES_MAX) {
      return this.#refuse(call, AOE_ERROR_BAD_ARGUMENT);
    }
    const { command, macs } = message;
    if (command === RESERVE_READ) return this.#reserveReply(call, command, 0);
    if (command === RESERVE_SET && !this.permits(call.source)) return this.#reserveReply(call, command, AOE_ERROR_RESERVED);
    if (sameMacs(macs, this.#state.reserved)) return this.#reserveReply(call, command, 0);
    const what = `reserve list ${reserveCommandName(command)} to [${macs.map(formatMac).join(' ')}]`;
    if (!this.#change(call, { ...this.#state, reserved: macs }, what)) return this.#refuse(call, AOE_ERROR_DEVICE_UNAVAILABLE);
    return this.#reserveReply(call, command, 0);
  }

  #reserveReply(call: Call, command: number, error: number): number {
    call.writeHeader(this.#shelf, this.#slot, error);
    return call.finish(writeReserve(call.view, call.reply, command, this.#state.reserved));
  }

  #refuse(call: Call, error: number): number {
    return call.refuse(this.#shelf, this.#slot, error);
  }

  /** Saves, then takes over. False when it could not be saved: then nothing has changed. */
  #change(call: Call, state: DeviceState, what: string): boolean {
    try {
      this.#store.save(state);
    } catch (error) {
      this.#log.error(`${this.#name}: ${what} by ${formatMac(call.source)} was refused: it could not be saved`, { err: error });
      return false;
    }
    this.#state = state;
    this.#log.info(`${this.#name}: ${what} by ${formatMac(call.source)}`);
    return true;
  }
}

function editMask(before: readonly Mac[], directives: readonly MaskDirective[]): { mask: Mac[]; done: number; error: number } {
  const mask = [...before];
  for (const [done, { directive, mac }] of directives.entries()) {
    const at = mask.indexOf(mac);
    switch (directive) {
      case MASK_DIRECTIVE_NONE:
        break;
      case MASK_DIRECTIVE_ADD:
        if (at < 0 && mask.length === LIST_ENTRIES_MAX) return { mask, done, error: MASK_ERROR_FULL };
        if (at < 0) mask.push(mac);
        break;
      case MASK_DIRECTIVE_DELETE:
        if (at >= 0) mask.splice(at, 1);
        break;
      default:
        return { mask, done, error: MASK_ERROR_BAD_DIRECTIVE };
    }
  }
  return { mask, done: directives.length, error: 0 };
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}

function sameMacs(a: readonly Mac[], b: readonly Mac[]): boolean {
  return a.length === b.length && a.every((mac, index) => mac === b[index]);
}
