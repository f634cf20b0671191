import { MAC_BROADCAST, type Mac } from '../../src/aoe/address.ts';
import { SECTOR_BYTES } from '../../src/aoe/constants.ts';
import { ETHERNET_HEADER_BYTES } from '../../src/aoe/layout.ts';
import type { EventQueue } from './event-queue.ts';
import type { Random } from './random.ts';

/** What a network does to frames. Probabilities are 0 to 1. */
export interface Conditions {
  lossToTarget: number;
  lossToInitiator: number;
  /** Requests that arrive twice, back to back; answers that arrive twice, at any time. */
  duplicate: number;
  latencyUs: number;
  /** Added to the latency, different for each frame: frames overtake each other within this. */
  jitterUs: number;
  /** How often a frame is held up for much longer, and up to how long. */
  late: number;
  lateUs: number;
  /** Longer frames vanish, as in a switch with a smaller MTU. */
  dropAboveBytes: number;
}

export const GOOD_NETWORK: Conditions = {
  lossToTarget: 0,
  lossToInitiator: 0,
  duplicate: 0,
  latencyUs: 100,
  jitterUs: 0,
  late: 0,
  lateUs: 0,
  dropAboveBytes: Infinity,
};

export type Frame = Uint8Array<ArrayBuffer>;

/** A network card of a target. */
export class Nic {
  readonly segment: Segment;
  readonly mac: Mac;
  mtu: number;
  /** One-way partitions: frames to it, frames from it are lost. */
  deaf = false;
  mute = false;
  /** Who takes its frames. */
  received: (nic: Nic, frame: Frame) => void = () => undefined;

  constructor(segment: Segment, mac: Mac, mtu: number) {
    this.segment = segment;
    this.mac = mac;
    this.mtu = mtu;
    segment.nics.push(this);
  }

  /** As targets count: the Ethernet header is taken off the MTU although it need not be. */
  get sectorsPerFrame(): number {
    return Math.min(Math.floor((this.mtu - 36) / SECTOR_BYTES), 255);
  }

  send(frame: Frame, to: Mac): void {
    if (!this.mute) this.segment.toInitiator(frame, to);
  }
}

/** The initiator's end of a segment. */
export interface Station {
  readonly mac: Mac;
  deliver(frame: Frame): void;
}

/** One layer-2 network: targets' cards, interfaces of the initiator, and what happens in between. */
export class Segment {
  readonly nics: Nic[] = [];
  readonly stations: Station[] = [];
  conditions: Conditions = { ...GOOD_NETWORK };
  readonly #events: EventQueue;
  readonly #random: Random;
  readonly #nowUs: () => number;

  constructor(events: EventQueue, random: Random, nowUs: () => number) {
    this.#events = events;
    this.#random = random;
    this.#nowUs = nowUs;
  }

  /**
   * A frame of the initiator's. A network that duplicates a request does so on the spot: a copy that shows up long after its twin was
   * answered, with the same tag, can't be told from a lost answer's cause by any initiator, and none could defend against it.
   */
  toTarget(frame: Frame, to: Mac): void {
    const { conditions } = this;
    if (this.#vanishes(frame, conditions.lossToTarget)) return;
    const timeUs = this.#arrivalUs();
    const copies = this.#random.chance(conditions.duplicate) ? 2 : 1;
    for (const nic of this.nics) {
      if (nic.mac !== to && to !== MAC_BROADCAST) continue;
      this.#events.at(timeUs, () => {
        if (nic.deaf || frame.length > nic.mtu + ETHERNET_HEADER_BYTES) return;
        for (let copy = 0; copy < copies; copy++) nic.received(nic, frame);
      });
    }
  }

  toInitiator(frame: Frame, to: Mac): void {
    const { conditions } = this;
    const copies = this.#random.chance(conditions.duplicate) ? 2 : 1;
    for (let copy = 0; copy < copies; copy++) {
      if (this.#vanishes(frame, conditions.lossToInitiator)) continue;
      this.#events.at(this.#arrivalUs(), () => {
        for (const station of this.stations) if (station.mac === to || to === MAC_BROADCAST) station.deliver(frame);
      });
    }
  }

  #vanishes(frame: Frame, loss: number): boolean {
    return frame.length > this.conditions.dropAboveBytes || this.#random.chance(loss);
  }

  #arrivalUs(): number {
    const { latencyUs, jitterUs, late, lateUs } = this.conditions;
    const jitter = jitterUs === 0 ? 0 : this.#random.integer(0, jitterUs);
    const lateness = this.#random.chance(late) ? this.#random.integer(0, lateUs) : 0;
    return this.#nowUs() + latencyUs + jitter + lateness;
  }
}
