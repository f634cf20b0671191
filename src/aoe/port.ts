import type { Arena } from '../buffers/arena.ts';
import type { Mac } from './address.ts';
import { MTU_OVERHEAD_BYTES } from './layout.ts';
import { SECTOR_BYTES } from './constants.ts';
import { FRAME_SECTORS_MAX } from './limits.ts';
import { TransmitBatch } from './transmit-batch.ts';

/** What the engine must know of a local interface; the driver keeps it current. */
export interface PortInfo {
  readonly name: string;
  readonly mac: Mac;
  readonly mtu: number;
  /** Administratively up with carrier. */
  readonly up: boolean;
}

/** A local interface the engine may use, with the frames that wait to be sent there. */
export class Port {
  readonly id: number;
  readonly name: string;
  readonly batch: TransmitBatch;
  mtu = 0;
  up = false;
  mac: Mac = 0;
  /** The kernel took no more frames; cleared when it does again. */
  blocked = false;
  /** Frames that have gone out and come in, of any kind. */
  framesSent = 0;
  framesReceived = 0;
  /** Next broadcast query, and how many of the first burst have been sent. */
  discoverUs = Infinity;
  discoverBurst = 0;

  constructor(id: number, name: string, arena: Arena, batchOffset: number) {
    this.id = id;
    this.name = name;
    this.batch = new TransmitBatch(arena, batchOffset);
  }

  update(info: PortInfo): void {
    this.mtu = info.mtu;
    this.up = info.up;
    this.mac = info.mac;
  }

  /** Sectors that fit into one frame here. */
  get sectorsMax(): number {
    const sectors = Math.floor((this.mtu - MTU_OVERHEAD_BYTES) / SECTOR_BYTES);
    return sectors > FRAME_SECTORS_MAX ? FRAME_SECTORS_MAX : sectors < 0 ? 0 : sectors;
  }
}
