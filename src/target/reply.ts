import { readMac, type Mac } from '../aoe/address.ts';
import { VERSION_FLAGS_ERROR, VERSION_FLAGS_RESPONSE } from '../aoe/constants.ts';
import { padFrame, writeCommon, writeEthernet } from '../aoe/header.ts';
import { ARGUMENT, COMMAND, SRC_MAC, TAG } from '../aoe/layout.ts';
import type { Arena } from '../buffers/arena.ts';

/** Length of a reply that is not sent: AoE answers some requests with silence. */
export const SILENCE = 0;

/** The interface a request came in by. */
export interface ReplyPort {
  readonly mac: Mac;
  /** ATA data that fits into a frame there; also the limit that is enforced. */
  readonly sectorsPerFrame: number;
}

/** One request and the place for its answer; one object, filled again for each frame. */
export class Call {
  readonly arena: Arena;
  /** Arena offset and length of the request. */
  request = 0;
  length = 0;
  /** Arena offset of the reply. */
  reply = 0;
  port: ReplyPort = { mac: 0, sectorsPerFrame: 0 };

  constructor(arena: Arena) {
    this.arena = arena;
  }

  get view(): DataView {
    return this.arena.view;
  }

  /** The sender. */
  get source(): Mac {
    return readMac(this.arena.view, this.request + SRC_MAC);
  }

  get command(): number {
    return this.arena.view.getUint8(this.request + COMMAND);
  }

  /** Writes the reply's 24 bytes of header: to the sender, with its command and tag and the target's real address. */
  writeHeader(shelf: number, slot: number, error = 0): void {
    const view = this.arena.view;
    writeEthernet(view, this.reply, this.source, this.port.mac);
    const versionFlags = error === 0 ? VERSION_FLAGS_RESPONSE : VERSION_FLAGS_ERROR;
    writeCommon(view, this.reply, versionFlags, error, shelf, slot, this.command, view.getUint32(this.request + TAG));
  }

  /** A reply of `length` bytes, padded for Ethernet. @returns the length to send */
  finish(length: number): number {
    return padFrame(this.arena.bytes, this.reply, length);
  }

  /** A reply that only carries an AoE error. @returns the length to send */
  refuse(shelf: number, slot: number, error: number): number {
    this.writeHeader(shelf, slot, error);
    return this.finish(ARGUMENT);
  }
}
