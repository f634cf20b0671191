import { RequestQueue, type RequestOwner } from '../block/request.ts';
import type { Mac } from './address.ts';
import { SECTORS_PER_FRAME_LEGACY } from './constants.ts';
import { NO_COPY } from './copies.ts';
import { FragmentQueue } from './fragment.ts';
import type { Identity } from './identify.ts';
import type { Path } from './path.ts';
import type { Volume } from './volume.ts';

/** Known from discovery; nobody has attached it. */
export const TARGET_DISCOVERED = 'discovered';
/** Being attached: looked for, or its identity is being checked. */
export const TARGET_ATTACHING = 'attaching';
/** At least one path takes I/O. */
export const TARGET_UP = 'up';
/** No path answers. I/O is held and the paths are probed; see `deadSeconds`. */
export const TARGET_DOWN = 'down';
/** What answers at this address is not the disk that was attached. I/O is held until the right one is back. */
export const TARGET_MISMATCH = 'mismatch';
/** Reserved by another initiator. For good: I/O fails until a person or the CSI driver detaches it. */
export const TARGET_FENCED = 'fenced';

export type TargetState =
  | typeof TARGET_DISCOVERED
  | typeof TARGET_ATTACHING
  | typeof TARGET_UP
  | typeof TARGET_DOWN
  | typeof TARGET_MISMATCH
  | typeof TARGET_FENCED;

/** One address e<shelf>.<slot>: what is known of it, and the I/O under way there. */
export class Target {
  readonly shelf: number;
  readonly slot: number;
  /** `e<shelf>.<slot>` */
  readonly name: string;
  readonly paths: Path[] = [];
  state: TargetState = TARGET_DISCOVERED;
  /** Why it is in that state, for people. */
  reason = '';

  /** From its latest config response. */
  bufferCount = 0;
  sectorCount = SECTORS_PER_FRAME_LEGACY;
  firmware = 0;
  configString: Uint8Array = new Uint8Array(0);
  seenUs = -Infinity;
  /** From IDENTIFY: the disk that was attached, or the latest seen where nothing is. */
  identity: Identity | undefined = undefined;
  /** When it last said that it is the disk that was attached. */
  identifiedUs = -Infinity;
  identifyTries = 0;

  /** Who does I/O here. */
  volume: Volume | undefined = undefined;
  /** Requests not wholly cut into fragments yet. */
  readonly queue = new RequestQueue();
  /** Writes that wait for late copies of older writes. */
  readonly held = new RequestQueue();
  /** Fragments to be sent before anything new. */
  readonly ready = new FragmentQueue();
  /** Frames waited for, on all paths. */
  inFlight = 0;
  /** Requests accepted and not ended. */
  requests = 0;
  /** Owners that are gone; what is left of their requests is ended before anything is sent again. */
  readonly abandoned: RequestOwner[] = [];
  /** Late copies of finished writes, oldest first, linked through Copies. */
  lateHead = NO_COPY;
  lateTail = NO_COPY;
  lateCount = 0;
  lastAnswerUs = -Infinity;
  /** How often it may have started anew, as far as can be known, while a volume uses it: what it had not flushed may be gone. */
  starts = 0;
  /** Held I/O has been failed after `deadSeconds`; new I/O fails at once until something answers. */
  dead = false;
  /** When it was first found silent, while attached; Infinity while it answers. It counts as down a little later. */
  downSinceUs = Infinity;
  /** The MAC that takes I/O. Others that answer at this address are strangers until this one is silent. */
  owner: Mac | undefined = undefined;
  /** What keeps an attach waiting, or has ended it. */
  obstacle = '';

  constructor(shelf: number, slot: number) {
    this.shelf = shelf;
    this.slot = slot;
    this.name = `e${String(shelf)}.${String(slot)}`;
  }

  /** Frames that may be unanswered here: what the target says it buffers, and what the volume allows. */
  get framesMax(): number {
    const buffers = this.bufferCount < 1 ? 1 : this.bufferCount;
    const allowed = this.volume?.options.maxOutstanding ?? buffers;
    return buffers < allowed ? buffers : allowed;
  }

  get hasWork(): boolean {
    return this.queue.length > 0 || this.ready.length > 0;
  }
}
