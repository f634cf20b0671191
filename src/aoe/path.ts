import type { Mac } from './address.ts';
import { NO_COPY } from './copies.ts';
import { ETHERTYPE_AOE, VERSION_FLAGS_REQUEST } from './constants.ts';
import { Exchange } from './exchange.ts';
import type { Identity } from './identify.ts';
import { REORDER_FRAMES_MAX, REORDER_FRAMES_MIN, SECTORS_UNPROVEN } from './limits.ts';
import type { Port } from './port.ts';
import { RoundTrip } from './round-trip.ts';
import type { Target } from './target.ts';
import { Window } from './window.ts';

/** Not asked yet, or not answering: takes no I/O until identity and a read have been checked. */
export const STANDING_UNPROVEN = 0;
/** Identity is right; a small read is still out. */
export const STANDING_IDENTIFIED = 1;
/** Takes I/O. */
export const STANDING_PROVEN = 2;
/** Answers with another identity than the volume has: a stranger's disk. Takes no I/O. */
export const STANDING_CONFLICT = 3;

export type Standing = 0 | 1 | 2 | 3;

const STANDING_NAMES: Record<Standing, string> = {
  [STANDING_UNPROVEN]: 'unproven',
  [STANDING_IDENTIFIED]: 'identified',
  [STANDING_PROVEN]: 'proven',
  [STANDING_CONFLICT]: 'conflict',
};

export function standingName(standing: Standing): string {
  return STANDING_NAMES[standing];
}

export const DOUBT_NONE = 0;
/** Nothing was asked of it for long: another disk may be there by now. */
export const DOUBT_IDLE = 1;
/** It does not answer. */
export const DOUBT_SILENT = 2;

export type Doubt = 0 | 1 | 2;

/** One way to a target: a local interface and one MAC of the target. */
export class Path {
  readonly target: Target;
  readonly port: Port;
  readonly mac: Mac;
  /** First four and last two bytes of the MAC, for comparing frames. */
  readonly macHigh: number;
  readonly macLow: number;
  standing: Standing = STANDING_UNPROVEN;
  /** Proven, but it must say who it is before it takes I/O again. */
  doubt: Doubt = DOUBT_NONE;
  /** How often it was too silent since it last answered a frame of I/O. */
  doubts = 0;

  readonly roundTrip = new RoundTrip();
  readonly window = new Window();
  /** Frames waited for, oldest first, linked through Copies. */
  head = NO_COPY;
  tail = NO_COPY;
  inFlight = 0;
  /** Frames sent on this path so far. */
  sequence = 0;
  /** The three highest sequence numbers answered, highest first. */
  #answered1 = 0;
  #answered2 = 0;
  #answered3 = 0;
  /** How far answers may overtake each other here before the overtaken frame counts as lost. */
  reorder = REORDER_FRAMES_MIN;
  /** Loss of a frame sent before this number has already been paid for by a smaller window. */
  recovery = 0;
  /** Answers to frames up to this number don't count: whoever gives them need not have the volume's disk. */
  #distrusted = 0;

  /** Sectors per frame now, and the best that interface and target allow. */
  sectorsMax = SECTORS_UNPROVEN;
  sectorsBest = SECTORS_UNPROVEN;

  /** The path's own questions: who are you, do you read, do large frames pass. */
  readonly identify = new Exchange();
  readonly probe = new Exchange();
  /** Sectors of the payload size under probe; 0 = none. */
  probing = 0;
  /** When to try larger frames again. */
  payloadRetryUs = Infinity;
  payloadPauseUs = 0;
  /** When to ask for configuration and identity again, while all is well. */
  reverifyUs = Infinity;
  pauseUs = 0;
  lastAnswerUs = -Infinity;
  /** When it was last heard of in a config response. */
  seenUs = -Infinity;
  /** When an announcement last started the questions again. */
  announcedUs = -Infinity;
  /** What this path says the disk is, as last asked, and when that was found right. */
  found: Identity | undefined = undefined;
  identifiedUs = -Infinity;
  /** What people were told that its disk is, since it was last announced, while nobody uses it. */
  told: Identity | undefined = undefined;
  /** A second MAC has been reported as such. */
  reported = false;
  /** It has been told that the target is reserved for other MACs of this node than the path's. */
  refused = false;
  /** The tag of the last directed query, and how often it was answered: twice means two targets behind one MAC. */
  queryTag = 0;
  queriedUs = -Infinity;
  queryAnswers = 0;
  queriesAnswered = 0;
  doubleAnswers = 0;
  /** Attach: its first answer has begun the time to listen for another target. */
  settling = false;

  /** Counters for people. */
  framesSent = 0;
  framesResent = 0;
  timeouts = 0;
  reordered = 0;

  /** The first 20 bytes of every frame on this path. */
  readonly headerWords = new Uint32Array(5);

  constructor(target: Target, port: Port, mac: Mac) {
    this.target = target;
    this.port = port;
    this.mac = mac;
    this.macHigh = Math.floor(mac / 0x1_0000);
    this.macLow = mac % 0x1_0000;
    this.refreshHeader();
  }

  /** To be called when the interface's own MAC has changed. */
  refreshHeader(): void {
    const words = this.headerWords;
    words[0] = this.macHigh;
    words[1] = (this.macLow << 16) | Math.floor(this.port.mac / 0x1_0000_0000);
    words[2] = this.port.mac % 0x1_0000_0000;
    words[3] = (ETHERTYPE_AOE << 16) | (VERSION_FLAGS_REQUEST << 8);
    words[4] = (this.target.shelf << 16) | (this.target.slot << 8);
  }

  get usable(): boolean {
    return this.standing === STANDING_PROVEN && this.doubt === DOUBT_NONE && this.port.up && !this.port.blocked;
  }

  /** Records that frame `sequence` was answered. Frames below `lostBelow` have then been overtaken by enough others. */
  answered(sequence: number): void {
    if (sequence > this.#answered1) {
      this.#answered3 = this.#answered2;
      this.#answered2 = this.#answered1;
      this.#answered1 = sequence;
    } else if (sequence > this.#answered2) {
      this.#answered3 = this.#answered2;
      this.#answered2 = sequence;
    } else if (sequence > this.#answered3) {
      this.#answered3 = sequence;
    }
  }

  /**
   * Another disk may be here since now, and may have taken frames that were sent to the former one: answers to all frames sent so far
   * are worth nothing.
   */
  distrust(): void {
    this.#distrusted = this.sequence;
  }

  /** Whether an answer to frame `sequence` counts. */
  trusts(sequence: number): boolean {
    return sequence > this.#distrusted;
  }

  /** A frame sent after number `sequence` has been answered: the path works, whatever has become of that one. */
  hasAnsweredSince(sequence: number): boolean {
    return this.#answered1 > sequence;
  }

  /** Frames still waited for whose number is below this one are lost: three later ones, sent `reorder` later, were answered. */
  get lostBelow(): number {
    const byDistance = this.#answered1 - this.reorder + 1;
    return byDistance < this.#answered3 ? byDistance : this.#answered3;
  }

  /** A frame taken for lost because others overtook it was answered after all: be more patient. */
  overtaken(): void {
    this.reordered++;
    this.reorder = Math.min(this.reorder * 2, REORDER_FRAMES_MAX);
  }

  /** A frame ran out of time that others may have overtaken long before: be less patient. */
  timedOut(): void {
    this.timeouts++;
    this.reorder = Math.max(this.reorder >> 1, REORDER_FRAMES_MIN);
  }
}
