import { AtaRequest, readAtaRequest, readTrimRangeLba, readTrimRangeSectors, writeAtaStatus } from '../aoe/ata.ts';
import {
  AOE_ERROR_BAD_ARGUMENT,
  ATA_CHECK_POWER_MODE,
  ATA_DATA_SET_MANAGEMENT,
  ATA_ERROR_ABRT,
  ATA_ERROR_IDNF,
  ATA_ERROR_UNC,
  ATA_FEATURE_TRIM,
  ATA_FLUSH,
  ATA_FLUSH_EXT,
  ATA_IDENTIFY,
  ATA_READ,
  ATA_READ_EXT,
  ATA_STATUS_DRDY,
  ATA_STATUS_ERR,
  ATA_WRITE,
  ATA_WRITE_EXT,
  SECTOR_BYTES,
  TRIM_RANGES_MAX,
} from '../aoe/constants.ts';
import { encodeIdentify, IDENTIFY_BYTES, type Identity } from '../aoe/identify.ts';
import { ATA_COUNT, ATA_DATA, ATA_FLAGS, ATA_LBA } from '../aoe/layout.ts';
import { ataCommandName } from '../aoe/names.ts';
import { ENOSPC, errnoName } from '../system/errno.ts';
import type { Backing } from './backing.ts';
import type { Faults } from './faults.ts';
import type { TargetLog } from './log.ts';
import type { Call } from './reply.ts';

const FAILED = ATA_STATUS_DRDY | ATA_STATUS_ERR;
/** "Active or idle", the answer to CHECK POWER MODE, in the count register. */
const POWER_MODE_ACTIVE = 0xff;
const MODEL = 'aoe-csi target';
/** Blocks of 64 trim ranges that one command may carry: what fits into a frame at MTU 1500. */
const TRIM_BLOCKS_MAX = 2;

/** What a disk is called and where it hangs. */
export interface DiskIdentity {
  /** For messages, e.g. `e10.3`. */
  readonly name: string;
  readonly shelf: number;
  readonly slot: number;
  readonly serial: string;
  readonly firmware: string;
}

/** Answers ATA commands (AoEr11 §3.1) over a backing: what stands behind command 0 of a target. Makes nothing per frame. */
export class Disk {
  readonly #identity: DiskIdentity;
  readonly #backing: Backing;
  readonly #log: TargetLog;
  readonly #faults: Faults | undefined;
  readonly #request = new AtaRequest();
  /** The last operation failed: only the first failure of a row is logged. */
  #failing = false;
  /** errno of a flush that failed; see #flush. */
  #flushFailure = 0;

  constructor(identity: DiskIdentity, backing: Backing, log: TargetLog, faults?: Faults) {
    this.#identity = identity;
    this.#backing = backing;
    this.#log = log;
    this.#faults = faults;
  }

  /** Carries out the request and writes the reply. @returns the reply's length */
  answer(call: Call): number {
    const request = this.#request;
    readAtaRequest(call.view, call.request, call.length, request);
    if (request.opcode === ATA_IDENTIFY) return this.#identify(call);
    const injected = this.#faults?.nextError();
    if (injected !== undefined) {
      return injected.aoeError !== 0 ? this.#refuse(call, injected.aoeError) : this.#fail(call, injected.error);
    }
    switch (request.opcode) {
      case ATA_READ:
      case ATA_READ_EXT:
        return this.#read(call);
      case ATA_WRITE:
      case ATA_WRITE_EXT:
        return this.#write(call);
      case ATA_FLUSH:
      case ATA_FLUSH_EXT:
        return this.#flush(call);
      case ATA_DATA_SET_MANAGEMENT:
        return this.#trim(call);
      case ATA_CHECK_POWER_MODE:
        return this.#done(call, POWER_MODE_ACTIVE, 0);
      default:
        return this.#fail(call, ATA_ERROR_ABRT);
    }
  }

  #read(call: Call): number {
    const { lba, sectors } = this.#request;
    if (sectors > call.port.sectorsPerFrame) return this.#refuse(call, AOE_ERROR_BAD_ARGUMENT);
    if (!this.#contains(lba, sectors)) return this.#fail(call, ATA_ERROR_IDNF);
    const result = sectors === 0 ? 0 : this.#backing.read(lba, sectors, call.reply + ATA_DATA);
    if (result < 0) return this.#failed(call, ATA_ERROR_UNC, result);
    return this.#succeeded(call, sectors * SECTOR_BYTES);
  }

  #write(call: Call): number {
    const { lba, sectors, dataLength } = this.#request;
    if (sectors > call.port.sectorsPerFrame || dataLength < sectors * SECTOR_BYTES) {
      return this.#refuse(call, AOE_ERROR_BAD_ARGUMENT);
    }
    if (this.#backing.readOnly) return this.#fail(call, ATA_ERROR_ABRT);
    if (!this.#contains(lba, sectors)) return this.#fail(call, ATA_ERROR_IDNF);
    const result = sectors === 0 ? 0 : this.#backing.write(lba, sectors, call.request + ATA_DATA);
    if (result < 0) return this.#failed(call, ATA_ERROR_ABRT, result);
    return this.#succeeded(call, 0);
  }

  /**
   * A failed flush stays failed. The kernel reports a lost write once and forgets it; the answer to the initiator may get lost,
   * and its retransmission must not be told that all is well.
   */
  #flush(call: Call): number {
    if (this.#flushFailure !== 0) return this.#failed(call, ATA_ERROR_ABRT, this.#flushFailure);
    const result = this.#backing.flush();
    if (result < 0) {
      this.#flushFailure = result;
      return this.#failed(call, ATA_ERROR_ABRT, result);
    }
    return this.#succeeded(call, 0);
  }

  /** All ranges are looked at before the first one is trimmed. */
  #trim(call: Call): number {
    const { feature, sectors: blocks, dataLength } = this.#request;
    if (!this.#backing.canTrim || this.#backing.readOnly || (feature & ATA_FEATURE_TRIM) === 0)
      return this.#fail(call, ATA_ERROR_ABRT);
    if (blocks > call.port.sectorsPerFrame || blocks > TRIM_BLOCKS_MAX || dataLength < blocks * SECTOR_BYTES) {
      return this.#refuse(call, AOE_ERROR_BAD_ARGUMENT);
    }
    const data = call.request + ATA_DATA;
    const ranges = blocks * TRIM_RANGES_MAX;
    for (let range = 0; range < ranges; range++) {
      const sectors = readTrimRangeSectors(call.view, data, range);
      if (!this.#contains(readTrimRangeLba(call.view, data, range), sectors) && sectors > 0)
        return this.#fail(call, ATA_ERROR_IDNF);
    }
    for (let range = 0; range < ranges; range++) {
      const sectors = readTrimRangeSectors(call.view, data, range);
      if (sectors === 0) continue;
      const result = this.#backing.trim(readTrimRangeLba(call.view, data, range), sectors);
      if (result < 0) return this.#failed(call, ATA_ERROR_ABRT, result);
    }
    return this.#succeeded(call, 0);
  }

  /** Identity and size; the size is looked at anew, so that growth shows without a restart. */
  #identify(call: Call): number {
    if (this.#request.sectors !== 1) return this.#refuse(call, AOE_ERROR_BAD_ARGUMENT);
    const before = this.#backing.sectors;
    const result = this.#backing.refresh();
    if (result < 0) this.#report('look at the size of', result);
    if (this.#backing.sectors !== before) {
      this.#log.info(`${this.#identity.name}: ${this.#backing.name} went from ${before} to ${this.#backing.sectors} sectors`);
    }
    encodeIdentify(call.view, call.reply + ATA_DATA, this.#describe());
    return this.#done(call, 0, IDENTIFY_BYTES);
  }

  #describe(): Identity {
    const backing = this.#backing;
    return {
      serial: this.#identity.serial,
      firmware: this.#identity.firmware,
      model: MODEL,
      sectors: backing.sectors,
      lba48: true,
      flush: 'ext',
      trim: backing.canTrim && !backing.readOnly,
      trimBlocksMax: TRIM_BLOCKS_MAX,
      readZeroAfterTrim: backing.readZeroAfterTrim,
      physicalSectorBytes: backing.physicalSectorBytes,
      logicalSectorBytes: SECTOR_BYTES,
      rotational: false,
    };
  }

  #contains(lba: number, sectors: number): boolean {
    return lba + sectors <= this.#backing.sectors;
  }

  #succeeded(call: Call, dataLength: number): number {
    if (this.#failing) {
      this.#failing = false;
      this.#log.info(`${this.#identity.name}: ${this.#backing.name} works again`);
    }
    return this.#done(call, 0, dataLength);
  }

  #failed(call: Call, error: number, errno: number): number {
    if (!this.#failing) this.#report(`${ataCommandName(this.#request.opcode)} at sector ${this.#request.lba} of`, errno);
    this.#failing = true;
    return this.#fail(call, error);
  }

  #report(attempt: string, errno: number): void {
    const advice = -errno === ENOSPC ? '; its file system is full: make room there, initiators will try again' : '';
    this.#log.error(`${this.#identity.name}: cannot ${attempt} ${this.#backing.name}: ${errnoName(errno)}${advice}`);
  }

  /** A good reply; `dataLength` bytes of data have been put behind its header. */
  #done(call: Call, count: number, dataLength: number): number {
    this.#writeReply(call, count, ATA_STATUS_DRDY, 0);
    return call.finish(ATA_DATA + dataLength);
  }

  /** A good AoE reply that says that the disk failed. The count tells how many sectors were not done: all of them. */
  #fail(call: Call, error: number): number {
    this.#writeReply(call, this.#request.sectors, FAILED, error);
    return call.finish(ATA_DATA);
  }

  #writeReply(call: Call, count: number, status: number, error: number): void {
    const { arena, request, reply } = call;
    call.writeHeader(this.#identity.shelf, this.#identity.slot);
    arena.bytes.fill(0, reply + ATA_FLAGS, reply + ATA_DATA);
    arena.bytes[reply + ATA_FLAGS] = this.#request.flags;
    arena.bytes[reply + ATA_COUNT] = count;
    arena.bytes.copyWithin(reply + ATA_LBA, request + ATA_LBA, request + ATA_LBA + 6);
    writeAtaStatus(arena.view, reply, status, error);
  }

  #refuse(call: Call, error: number): number {
    return call.refuse(this.#identity.shelf, this.#identity.slot, error);
  }
}
