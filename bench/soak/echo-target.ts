import {
  ATA_IDENTIFY,
  ATA_READ_EXT,
  ATA_STATUS_DRDY,
  COMMAND_ATA,
  CONFIG_READ,
  SECTOR_BYTES,
  VERSION_FLAGS_RESPONSE,
} from '../../src/aoe/constants.ts';
import { writeConfigResponse } from '../../src/aoe/config.ts';
import type { Engine } from '../../src/aoe/engine.ts';
import { writeMac, type Mac } from '../../src/aoe/address.ts';
import { encodeIdentify, IDENTIFY_BYTES, type Identity } from '../../src/aoe/identify.ts';
import {
  ATA_COMMAND,
  ATA_COUNT,
  ATA_DATA,
  COMMAND,
  DST_MAC,
  MAC_BYTES,
  SHELF,
  SLOT,
  SRC_MAC,
  VERSION_FLAGS,
} from '../../src/aoe/layout.ts';
import type { Port } from '../../src/aoe/port.ts';
import { TRANSMIT_FRAMES } from '../../src/aoe/transmit-batch.ts';
import type { Arena, ArenaPlan } from '../../src/buffers/arena.ts';

const REPLY_STRIDE = 64;
const BUFFER_COUNT = 256;
const NO_STRING = new Uint8Array(0);

/**
 * A target without a disk, in the initiator's own arena: it answers each frame of a port's batch at once and in order. The data
 * of a read is whatever is where it belongs. It allocates nothing, so that what is allocated is the initiator's.
 */
export class EchoTarget {
  readonly #arena: Arena;
  readonly #replies: number;
  readonly #identifyAt: number;
  readonly #mac: Mac;
  readonly #address: { readonly shelf: number; readonly slot: number };
  readonly #identity: Identity;
  readonly #sectorsPerFrame: number;
  readonly #lengths = new Int32Array(TRANSMIT_FRAMES);
  readonly #replyAt = new Int32Array(TRANSMIT_FRAMES);
  readonly #dataAt = new Int32Array(TRANSMIT_FRAMES);

  static reserve(plan: ArenaPlan): number {
    return plan.reserve(TRANSMIT_FRAMES * REPLY_STRIDE + IDENTIFY_BYTES);
  }

  /** `memory` is what `reserve` returned. */
  constructor(
    arena: Arena,
    memory: number,
    mac: Mac,
    address: { readonly shelf: number; readonly slot: number },
    identity: Identity,
    sectorsPerFrame: number,
  ) {
    this.#arena = arena;
    this.#replies = memory;
    this.#identifyAt = memory + TRANSMIT_FRAMES * REPLY_STRIDE;
    this.#mac = mac;
    this.#address = address;
    this.#identity = identity;
    this.#sectorsPerFrame = sectorsPerFrame;
  }

  /** Takes all frames of the batch as sent, and gives the engine their answers. @returns how many */
  exchange(engine: Engine, port: Port, nowUs: number): number {
    const { batch } = port;
    const { count } = batch;
    for (let frame = 0; frame < count; frame++) this.#answer(port, frame);
    engine.transmitted(port, count);
    for (let frame = 0; frame < count; frame++) {
      engine.receive(port, this.#replyAt[frame], this.#lengths[frame], this.#dataAt[frame], nowUs);
    }
    return count;
  }

  #answer({ batch }: Port, frame: number): void {
    const { bytes, view } = this.#arena;
    const request = batch.header(frame);
    const reply = this.#replies + frame * REPLY_STRIDE;
    bytes.copyWithin(reply, request, request + ATA_DATA);
    bytes.copyWithin(reply + DST_MAC, request + SRC_MAC, request + SRC_MAC + MAC_BYTES);
    writeMac(view, reply + SRC_MAC, this.#mac);
    bytes[reply + VERSION_FLAGS] = VERSION_FLAGS_RESPONSE;
    view.setUint16(reply + SHELF, this.#address.shelf);
    bytes[reply + SLOT] = this.#address.slot;
    this.#replyAt[frame] = reply;
    if (bytes[request + COMMAND] === COMMAND_ATA) {
      this.#answerAta(frame, request, reply);
      this.#dataAt[frame] = batch.replyLength[frame] > 0 ? batch.replyOffset[frame] : this.#identifyAt;
    } else {
      const facts = { bufferCount: BUFFER_COUNT, firmware: 0, sectorsPerFrame: this.#sectorsPerFrame };
      this.#lengths[frame] = writeConfigResponse(view, reply, facts, CONFIG_READ, NO_STRING);
    }
  }

  #answerAta(frame: number, request: number, reply: number): void {
    const { bytes } = this.#arena;
    const opcode = bytes[request + ATA_COMMAND];
    if (opcode === ATA_IDENTIFY) encodeIdentify(this.#arena.view, this.#identifyAt, this.#identity);
    const hasData = opcode === ATA_IDENTIFY || opcode === ATA_READ_EXT;
    this.#lengths[frame] = ATA_DATA + (hasData ? bytes[request + ATA_COUNT] * SECTOR_BYTES : 0);
    bytes[reply + ATA_COMMAND] = ATA_STATUS_DRDY;
  }
}
