import { formatTargetAddress, isStationMac, type Mac, type TargetAddress } from '../aoe/address.ts';
import { readConfigCommand, writeConfigResponse, type ConfigFacts } from '../aoe/config.ts';
import {
  AOE_ERROR_BAD_COMMAND,
  AOE_ERROR_BAD_VERSION,
  AOE_ERROR_RESERVED,
  AOE_VERSION,
  ATA_IDENTIFY,
  COMMAND_ATA,
  COMMAND_CONFIG,
  COMMAND_MASK,
  COMMAND_RESERVE,
  CONFIG_READ,
  CONFIG_TEST_PREFIX,
  SHELF_BROADCAST,
  SLOT_BROADCAST,
  VERSION_FLAGS_RESPONSE,
} from '../aoe/constants.ts';
import { checkRequest, FRAME_OK, padFrame, writeCommon, writeEthernet } from '../aoe/header.ts';
import { ATA_COMMAND, SHELF, SLOT, VERSION_FLAGS } from '../aoe/layout.ts';
import type { Arena } from '../buffers/arena.ts';
import type { Backing } from './backing.ts';
import { Claims } from './claims.ts';
import { Disk } from './disk.ts';
import type { Faults } from './faults.ts';
import type { TargetLog } from './log.ts';
import { SILENCE, type Call, type ReplyPort } from './reply.ts';
import type { StateStore } from './state.ts';

/** Firmware version in config responses: ours, whatever the version of the program. */
const CONFIG_FIRMWARE_VERSION = 0x0100;

export interface DeviceOptions {
  readonly address: TargetAddress;
  readonly backing: Backing;
  readonly state: StateStore;
  readonly log: TargetLog;
  /** Requests that initiators may have under way; what is beyond that may be dropped. */
  readonly bufferCount: number;
  /** Up to 8 characters for IDENTIFY. */
  readonly firmware: string;
  readonly faults?: Faults | undefined;
}

/**
 * One exported target e<shelf>.<slot>: a request frame goes in, its reply comes out, synchronously. Knows neither sockets nor
 * time. Who may talk to it is decided here; what it knows of its initiators is in claims.ts, its ATA commands are in disk.ts.
 */
export class TargetDevice {
  readonly name: string;
  readonly shelf: number;
  readonly slot: number;
  readonly backing: Backing;
  readonly #claims: Claims;
  readonly #disk: Disk;
  readonly #bufferCount: number;

  constructor({ address: { shelf, slot }, backing, state, log, bufferCount, firmware, faults }: DeviceOptions) {
    this.name = formatTargetAddress(shelf, slot);
    this.shelf = shelf;
    this.slot = slot;
    this.backing = backing;
    this.#bufferCount = bufferCount;
    this.#claims = new Claims(this.name, shelf, slot, state, log);
    const { serial } = this.#claims.state;
    this.#disk = new Disk({ name: this.name, shelf, slot, serial, firmware }, backing, log, faults);
  }

  /** MACs that may talk to this target; empty means everybody. */
  get mask(): readonly Mac[] {
    return this.#claims.state.mask;
  }

  get serial(): string {
    return this.#claims.state.serial;
  }

  /** The frame is addressed to this target, by its own address or a wildcard. Shelf and slot wildcards are independent. */
  isAddressedBy(view: DataView, frameOffset: number): boolean {
    const shelf = view.getUint16(frameOffset + SHELF);
    const slot = view.getUint8(frameOffset + SLOT);
    return (shelf === this.shelf || shelf === SHELF_BROADCAST) && (slot === this.slot || slot === SLOT_BROADCAST);
  }

  /**
   * Answers the call's request, which must be addressed to this target. Any bytes are fine: what is no request of AoE's is
   * met with silence.
   * @returns length of the reply, or SILENCE
   */
  answer(call: Call): number {
    const { view, request } = call;
    if (checkRequest(view, request, call.length) !== FRAME_OK) return SILENCE;
    const source = call.source;
    if (!isStationMac(source) || !this.#claims.admits(source)) return SILENCE;
    if (view.getUint8(request + VERSION_FLAGS) >> 4 !== AOE_VERSION) return this.#refuse(call, AOE_ERROR_BAD_VERSION);
    if (this.#isWildcard(call) && !isQuery(call)) return SILENCE;
    switch (call.command) {
      case COMMAND_ATA:
        if (!this.#claims.permits(source) && !isIdentify(call)) return this.#refuse(call, AOE_ERROR_RESERVED);
        return this.#disk.answer(call);
      case COMMAND_CONFIG:
        return this.#claims.config(call, this.#facts(call.port));
      case COMMAND_MASK:
        return this.#claims.mask(call);
      case COMMAND_RESERVE:
        return this.#claims.reserve(call);
      default:
        return this.#refuse(call, AOE_ERROR_BAD_COMMAND);
    }
  }

  /**
   * Writes the config response that nobody asked for, by which initiators learn that a target has started: tag 0, to everybody
   * or, with a mask, to each of its MACs. @returns its length
   */
  writeAnnouncement(arena: Arena, frameOffset: number, port: ReplyPort, destination: Mac): number {
    writeEthernet(arena.view, frameOffset, destination, port.mac);
    writeCommon(arena.view, frameOffset, VERSION_FLAGS_RESPONSE, 0, this.shelf, this.slot, COMMAND_CONFIG, 0);
    const { configString } = this.#claims.state;
    const length = writeConfigResponse(arena.view, frameOffset, this.#facts(port), CONFIG_READ, configString);
    return padFrame(arena.bytes, frameOffset, length);
  }

  #facts(port: ReplyPort): ConfigFacts {
    return { bufferCount: this.#bufferCount, firmware: CONFIG_FIRMWARE_VERSION, sectorsPerFrame: port.sectorsPerFrame };
  }

  #isWildcard({ view, request }: Call): boolean {
    return view.getUint16(request + SHELF) !== this.shelf || view.getUint8(request + SLOT) !== this.slot;
  }

  #refuse(call: Call, error: number): number {
    return call.refuse(this.shelf, this.slot, error);
  }
}

/**
 * Wildcards are for finding targets. One frame that writes to all of them, or takes all of them over, is nobody's intention:
 * vblade would carry out an ATA WRITE sent to every shelf.
 */
function isQuery(call: Call): boolean {
  return call.command === COMMAND_CONFIG && readConfigCommand(call.view, call.request) <= CONFIG_TEST_PREFIX;
}

function isIdentify({ view, request }: Call): boolean {
  return view.getUint8(request + ATA_COMMAND) === ATA_IDENTIFY;
}
