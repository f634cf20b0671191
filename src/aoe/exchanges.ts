import { ATA_FLAG_EXTENDED, ATA_IDENTIFY, ATA_READ, ATA_READ_EXT, SECTOR_BYTES } from './constants.ts';
import { COPY_LOST, NO_COPY } from './copies.ts';
import type { Core } from './core.ts';
import { EXCHANGE_IDENTIFY, type Exchange } from './exchange.ts';
import { ataArgument, writeAtaHeader, writeConfigQuery } from './frame-writer.ts';
import { ATA_DATA } from './layout.ts';
import type { Mac } from './address.ts';
import type { Path } from './path.ts';
import type { Port } from './port.ts';
import { SECTORS_UNPROVEN } from './limits.ts';

const IDENTIFY = ataArgument(0, 0, 1, ATA_IDENTIFY);
const READ_EXT = ataArgument(ATA_FLAG_EXTENDED, 0, 0, ATA_READ_EXT);
const READ_28 = ataArgument(0, 0, 0, ATA_READ);
/** Copies of one question whose answers are still accepted. */
const COPIES_PER_EXCHANGE_MAX = 4;

/** Sends the engine's own questions. They stand outside windows; their copies carry no fragment. */
export class Exchanges {
  readonly #core: Core;

  constructor(core: Core) {
    this.#core = core;
  }

  /** One more copy of the exchange's question; false when the interface takes no more now. */
  ask(path: Path, exchange: Exchange, nowUs: number): boolean {
    const { copies, arena } = this.#core;
    const { batch } = path.port;
    if (!path.port.up || path.port.blocked || batch.full) return false;
    const copy = copies.take();
    if (copy === NO_COPY) return false;
    copies.state[copy] = COPY_LOST;
    copies.path[copy] = path;
    copies.sentUs[copy] = nowUs;
    copies.older[copy] = exchange.copies;
    exchange.copies = copy;
    exchange.attempts++;
    this.#trim(exchange);
    const at = batch.header(batch.count);
    const index = batch.append(copy);
    if (exchange.kind === EXCHANGE_IDENTIFY) {
      writeAtaHeader(arena.view, at, path, copies.tag[copy], IDENTIFY, 0, false);
      return true;
    }
    const extended = path.found?.lba48 ?? true;
    const argument = (extended ? READ_EXT : READ_28) | (exchange.sectors << 8);
    writeAtaHeader(arena.view, at, path, copies.tag[copy], argument, 0, extended);
    if (exchange.sectors > SECTORS_UNPROVEN) {
      // As long as a write of that size would be: the answer tests one direction, this the other.
      batch.headerLength[index] = ATA_DATA;
      batch.payloadOffset[index] = this.#core.zeroes;
      batch.payloadLength[index] = exchange.sectors * SECTOR_BYTES;
    }
    return true;
  }

  /** Asks one target for its configuration. */
  query(path: Path, nowUs: number): void {
    path.queriedUs = nowUs;
    path.queryTag = this.#core.copies.looseTag();
    path.queryAnswers = 0;
    this.#sendQuery(path.port, path.mac, path.target.shelf, path.target.slot, path.queryTag);
  }

  /** Asks whoever is at an address (wildcards allowed) on one interface; answers the tag. */
  broadcast(port: Port, to: Mac, shelf: number, slot: number): number {
    const tag = this.#core.copies.looseTag();
    this.#sendQuery(port, to, shelf, slot, tag);
    return tag;
  }

  #sendQuery(port: Port, to: Mac, shelf: number, slot: number, tag: number): void {
    const { batch } = port;
    if (!port.up || port.blocked || batch.full) return;
    const at = batch.header(batch.count);
    writeConfigQuery(this.#core.arena, at, to, port.mac, shelf, slot, tag);
    batch.append(NO_COPY);
  }

  /** Whether `copy` is one of the exchange's. */
  owns(exchange: Exchange, copy: number): boolean {
    const { copies } = this.#core;
    for (let own = exchange.copies; own !== NO_COPY; own = copies.older[own]) {
      if (own === copy) return true;
    }
    return false;
  }

  /** No answer is wanted any more. */
  end(exchange: Exchange): void {
    const { copies } = this.#core;
    while (exchange.copies !== NO_COPY) {
      const copy = exchange.copies;
      exchange.copies = copies.older[copy];
      copies.free(copy);
    }
    exchange.attempts = 0;
    exchange.dueUs = Infinity;
  }

  #trim(exchange: Exchange): void {
    const { copies } = this.#core;
    let kept = 1;
    let newer = exchange.copies;
    while (copies.older[newer] !== NO_COPY) {
      const older = copies.older[newer];
      if (kept < COPIES_PER_EXCHANGE_MAX) {
        kept++;
        newer = older;
      } else {
        copies.older[newer] = copies.older[older];
        copies.free(older);
      }
    }
  }
}
