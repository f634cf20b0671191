import type { Mac } from '../../src/aoe/address.ts';
import { MAC_BROADCAST, readMac } from '../../src/aoe/address.ts';
import { AtaRequest, readAtaRequest, readTrimRangeLba, readTrimRangeSectors } from '../../src/aoe/ata.ts';
import { writeConfigResponse } from '../../src/aoe/config.ts';
import {
  AOE_ERROR_BAD_ARGUMENT,
  AOE_ERROR_BAD_COMMAND,
  AOE_ERROR_DEVICE_UNAVAILABLE,
  AOE_ERROR_RESERVED,
  ATA_DATA_SET_MANAGEMENT,
  ATA_ERROR_ABRT,
  ATA_ERROR_IDNF,
  ATA_ERROR_UNC,
  ATA_FLUSH,
  ATA_FLUSH_EXT,
  ATA_IDENTIFY,
  ATA_READ,
  ATA_READ_EXT,
  ATA_STATUS_DRDY,
  ATA_STATUS_ERR,
  ATA_WRITE,
  ATA_WRITE_EXT,
  COMMAND_ATA,
  COMMAND_CONFIG,
  COMMAND_RESERVE,
  CONFIG_READ,
  FLAG_RESPONSE,
  RESERVE_READ,
  SECTOR_BYTES,
  SHELF_BROADCAST,
  SLOT_BROADCAST,
  TRIM_RANGES_MAX,
  VERSION_FLAGS_ERROR,
  VERSION_FLAGS_RESPONSE,
} from '../../src/aoe/constants.ts';
import { writeCommon, writeEthernet } from '../../src/aoe/header.ts';
import { encodeIdentify, IDENTIFY_BYTES } from '../../src/aoe/identify.ts';
import {
  ARGUMENT,
  ATA_COMMAND,
  ATA_DATA,
  ATA_FEATURE,
  COMMAND,
  FRAME_BYTES_MIN,
  SHELF,
  SLOT,
  SRC_MAC,
  TAG,
  VERSION_FLAGS,
} from '../../src/aoe/layout.ts';
import { RESERVE_FRAME_BYTES_MAX, writeReserve } from '../../src/aoe/reserve.ts';
import type { ModelDisk } from './model-disk.ts';
import type { Nic } from './network.ts';
import type { Random } from './random.ts';
import type { EventQueue } from './event-queue.ts';

/** What a target is, apart from its disk. */
export interface TargetSetup {
  readonly shelf: number;
  readonly slot: number;
  /** Requests it can hold; more are dropped in silence. */
  readonly bufferCount: number;
  /** Requests take this long, one after another … */
  readonly serviceUs: number;
  /** … plus up to this much each, in which they overtake each other. */
  readonly spreadUs: number;
  /** vblade's announcements have version 0. */
  readonly versionlessAnnouncements: boolean;
}

/** Ways in which a target is not well. */
export interface TargetTroubles {
  /** Answers ATA commands with "device unavailable". */
  unavailable: boolean;
  /** Whose ATA commands are run; others', IDENTIFY excepted, are answered with "reserved". Everybody's where the list is empty. */
  reservedFor: readonly Mac[];
  /** Refuses the command that reads that list. */
  hidesReservation: boolean;
  /** Answers discovery and IDENTIFY, but nothing that needs its disk. */
  stuck: boolean;
  /** How often a read is answered with a good status and too little data. */
  shortReads: number;
  /** More sectors than this in one frame are refused with "bad argument". */
  sectorsMax: number;
  /** The same for writes only. */
  writeSectorsMax: number;
  /** Mutations, to see the checker catch them. */
  forgetsWrites: number;
  liesAboutFlush: boolean;
}

export const HEALTHY: TargetTroubles = {
  unavailable: false,
  reservedFor: [],
  hidesReservation: false,
  stuck: false,
  shortReads: 0,
  sectorsMax: 255,
  writeSectorsMax: 255,
  forgetsWrites: 0,
  liesAboutFlush: false,
};

/**
 * A target written for the simulation: it runs a request when it arrives, so that a late copy of a write really rolls data back, and
 * answers later. It shares the codecs with the engine (which have tests of their own) and nothing else.
 */
export class ModelTarget {
  readonly setup: TargetSetup;
  readonly nics: Nic[] = [];
  disk: ModelDisk;
  troubles: TargetTroubles = { ...HEALTHY };
  up = true;
  /** Time that a request takes besides, without keeping others waiting: by ATA command and LBA. */
  slowness: (opcode: number, lba: number) => number = () => 0;
  /** Requests answered, and dropped because the queue was full. */
  answered = 0;
  dropped = 0;
  readonly #events: EventQueue;
  readonly #random: Random;
  readonly #request = new AtaRequest();
  #incarnation = 0;
  #queued = 0;
  #busyUntilUs = 0;

  constructor(setup: TargetSetup, disk: ModelDisk, events: EventQueue, random: Random) {
    this.setup = setup;
    this.disk = disk;
    this.#events = events;
    this.#random = random;
  }

  /** A frame has arrived. It is run now, if it is run at all. */
  receive(nic: Nic, frame: Uint8Array<ArrayBuffer>, nowUs: number): void {
    const view = new DataView(frame.buffer);
    if (!this.up || !this.#isForUs(view)) return;
    if (this.#queued >= Math.max(this.setup.bufferCount, 1)) {
      this.dropped++;
      return;
    }
    const reply = this.#answer(nic, view, frame);
    if (reply === undefined) return;
    this.#queued++;
    this.#busyUntilUs = Math.max(this.#busyUntilUs, nowUs) + this.setup.serviceUs;
    const incarnation = this.#incarnation;
    const slowUs = this.slowness(this.#request.opcode, this.#request.lba);
    this.#events.at(this.#busyUntilUs + this.#random.integer(0, this.setup.spreadUs) + slowUs, () => {
      if (incarnation !== this.#incarnation) return;
      this.#queued--;
      this.answered++;
      nic.send(reply, readMac(view, SRC_MAC));
    });
  }

  /** Answers nothing for a while; what has come is answered later. */
  pause(durationUs: number, nowUs: number): void {
    this.#busyUntilUs = Math.max(this.#busyUntilUs, nowUs) + durationUs;
  }

  /** Stops at once: answers not sent yet are lost, and of what was not flushed, whatever chance decides when `losing`. */
  crash(losing: boolean): void {
    this.up = false;
    this.#incarnation++;
    this.#queued = 0;
    this.#busyUntilUs = 0;
    if (losing) this.disk.crash(this.#random);
  }

  start(announces: boolean): void {
    this.up = true;
    if (announces) this.announce();
  }

  announce(): void {
    for (const nic of this.nics) {
      const view = new DataView(new ArrayBuffer(60));
      const flags = this.setup.versionlessAnnouncements ? FLAG_RESPONSE : VERSION_FLAGS_RESPONSE;
      writeEthernet(view, 0, MAC_BROADCAST, nic.mac);
      writeCommon(view, 0, flags, 0, this.setup.shelf, this.setup.slot, COMMAND_CONFIG, 0);
      this.#writeConfig(nic, view);
      nic.send(new Uint8Array(view.buffer), MAC_BROADCAST);
    }
  }

  #isForUs(view: DataView): boolean {
    const shelf = view.getUint16(SHELF);
    const slot = view.getUint8(SLOT);
    return (
      (view.getUint8(VERSION_FLAGS) & FLAG_RESPONSE) === 0 &&
      (shelf === this.setup.shelf || shelf === SHELF_BROADCAST) &&
      (slot === this.setup.slot || slot === SLOT_BROADCAST)
    );
  }

  #answer(nic: Nic, view: DataView, frame: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> | undefined {
    switch (view.getUint8(COMMAND)) {
      case COMMAND_CONFIG: {
        const reply = this.#reply(nic, view, 0, 60 - ATA_DATA);
        this.#writeConfig(nic, reply);
        return new Uint8Array(reply.buffer);
      }
      case COMMAND_ATA:
        readAtaRequest(view, 0, frame.length, this.#request);
        return this.#ata(nic, view, frame);
      case COMMAND_RESERVE: {
        if (this.troubles.hidesReservation) return this.#refuse(nic, view, AOE_ERROR_BAD_COMMAND);
        const reply = this.#reply(nic, view, 0, RESERVE_FRAME_BYTES_MAX - ATA_DATA);
        const end = writeReserve(reply, 0, RESERVE_READ, this.troubles.reservedFor);
        return new Uint8Array(reply.buffer, 0, Math.max(end, FRAME_BYTES_MIN));
      }
      default:
        return this.#refuse(nic, view, AOE_ERROR_BAD_COMMAND);
    }
  }

  #ata(nic: Nic, view: DataView, frame: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> | undefined {
    const { opcode, sectors, lba, dataLength } = this.#request;
    const { disk, troubles } = this;
    if (opcode === ATA_IDENTIFY) {
      const reply = this.#reply(nic, view, 0, IDENTIFY_BYTES);
      encodeIdentify(reply, ATA_DATA, disk.identity);
      return new Uint8Array(reply.buffer);
    }
    if (troubles.stuck) return undefined;
    if (troubles.reservedFor.length > 0 && !troubles.reservedFor.includes(readMac(view, SRC_MAC))) {
      return this.#refuse(nic, view, AOE_ERROR_RESERVED);
    }
    if (troubles.unavailable) return this.#refuse(nic, view, AOE_ERROR_DEVICE_UNAVAILABLE);
    switch (opcode) {
      case ATA_READ:
      case ATA_READ_EXT: {
        if (sectors > Math.min(nic.sectorsPerFrame, troubles.sectorsMax)) return this.#refuse(nic, view, AOE_ERROR_BAD_ARGUMENT);
        if (lba + sectors > disk.identity.sectors) return this.#fail(nic, view, ATA_ERROR_IDNF);
        if (disk.isBad(lba, sectors)) return this.#fail(nic, view, ATA_ERROR_UNC);
        const short = this.#random.chance(troubles.shortReads);
        const reply = this.#reply(
          nic,
          view,
          0,
          short ? this.#random.integer(0, sectors * SECTOR_BYTES - 1) : sectors * SECTOR_BYTES,
        );
        if (!short) disk.read(lba, sectors, new Uint8Array(reply.buffer), ATA_DATA);
        return new Uint8Array(reply.buffer);
      }
      case ATA_WRITE:
      case ATA_WRITE_EXT:
        if (
          sectors > Math.min(nic.sectorsPerFrame, troubles.sectorsMax, troubles.writeSectorsMax) ||
          dataLength < sectors * SECTOR_BYTES
        ) {
          return this.#refuse(nic, view, AOE_ERROR_BAD_ARGUMENT);
        }
        if (lba + sectors > disk.identity.sectors) return this.#fail(nic, view, ATA_ERROR_IDNF);
        if (disk.isBad(lba, sectors)) return this.#fail(nic, view, ATA_ERROR_ABRT);
        if (!this.#random.chance(troubles.forgetsWrites)) {
          disk.write(lba, new Int32Array(frame.buffer, ATA_DATA, (sectors * SECTOR_BYTES) / 4));
        }
        break;
      case ATA_FLUSH:
        if (disk.identity.flush === 'none') return this.#fail(nic, view, ATA_ERROR_ABRT);
        if (!troubles.liesAboutFlush) disk.flush();
        break;
      case ATA_FLUSH_EXT:
        if (disk.identity.flush !== 'ext') return this.#fail(nic, view, ATA_ERROR_ABRT);
        if (!troubles.liesAboutFlush) disk.flush();
        break;
      case ATA_DATA_SET_MANAGEMENT:
        return this.#trim(nic, view);
      default:
        return this.#fail(nic, view, ATA_ERROR_ABRT);
    }
    return new Uint8Array(this.#reply(nic, view, 0, 0).buffer);
  }

  #trim(nic: Nic, view: DataView): Uint8Array<ArrayBuffer> {
    const { disk } = this;
    if (!disk.identity.trim) return this.#fail(nic, view, ATA_ERROR_ABRT);
    for (let range = 0; range < TRIM_RANGES_MAX; range++) {
      const lba = readTrimRangeLba(view, ATA_DATA, range);
      const sectors = readTrimRangeSectors(view, ATA_DATA, range);
      if (sectors === 0) continue;
      if (lba + sectors > disk.identity.sectors) return this.#fail(nic, view, ATA_ERROR_IDNF);
      disk.trim(lba, sectors);
    }
    return new Uint8Array(this.#reply(nic, view, 0, 0).buffer);
  }

  #writeConfig(nic: Nic, view: DataView): void {
    const facts = { bufferCount: this.setup.bufferCount, firmware: 1, sectorsPerFrame: nic.sectorsPerFrame };
    writeConfigResponse(view, 0, facts, CONFIG_READ, new Uint8Array(0));
  }

  /** A reply with `dataBytes` after the ATA header, which says success. */
  #reply(nic: Nic, request: DataView, error: number, dataBytes: number): DataView<ArrayBuffer> {
    const reply = new DataView(new ArrayBuffer(ATA_DATA + dataBytes));
    this.#writeHeader(nic, request, reply, error);
    reply.setUint8(ATA_COMMAND, ATA_STATUS_DRDY);
    return reply;
  }

  #fail(nic: Nic, request: DataView, error: number): Uint8Array<ArrayBuffer> {
    const reply = this.#reply(nic, request, 0, 0);
    reply.setUint8(ATA_COMMAND, ATA_STATUS_DRDY | ATA_STATUS_ERR);
    reply.setUint8(ATA_FEATURE, error);
    return new Uint8Array(reply.buffer);
  }

  /** As short as an error may be. */
  #refuse(nic: Nic, request: DataView, error: number): Uint8Array<ArrayBuffer> {
    const reply = new DataView(new ArrayBuffer(ARGUMENT));
    this.#writeHeader(nic, request, reply, error);
    return new Uint8Array(reply.buffer);
  }

  #writeHeader(nic: Nic, request: DataView, reply: DataView, error: number): void {
    writeEthernet(reply, 0, readMac(request, SRC_MAC), nic.mac);
    const flags = error === 0 ? VERSION_FLAGS_RESPONSE : VERSION_FLAGS_ERROR;
    const command = request.getUint8(COMMAND);
    writeCommon(reply, 0, flags, error, this.setup.shelf, this.setup.slot, command, request.getUint32(TAG));
  }
}

/** Six octets that no other network card of the simulation has. */
export function modelMac(kind: number, number: number): Mac {
  return 0x0200_0000_0000 + kind * 0x1_0000 + number;
}
