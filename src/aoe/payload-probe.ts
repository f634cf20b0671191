import type { Core } from './core.ts';
import { EXCHANGE_READ } from './exchange.ts';
import type { Exchanges } from './exchanges.ts';
import {
  FRAME_SECTORS_MAX,
  PAYLOAD_PROBES,
  PAYLOAD_RETRY_FIRST_US,
  PAYLOAD_RETRY_LONGEST_US,
  SECTORS_UNPROVEN,
} from './limits.ts';
import { STANDING_PROVEN, type Path } from './path.ts';

/** Payloads are kept to whole 4 KiB blocks where they can be, for disks that have no smaller ones. */
const ALIGN_SECTORS = 8;

/**
 * Finds out how large frames on a path may be. MTUs on both ends prove nothing: a switch between them may drop large frames in
 * silence, and then every small question is answered and no data ever comes. So I/O starts with small frames, and grows after a
 * read has passed whose request and answer are both as long as the largest frame.
 */
export class PayloadProbe {
  readonly #core: Core;
  readonly #exchanges: Exchanges;

  constructor(core: Core, exchanges: Exchanges) {
    this.#core = core;
    this.#exchanges = exchanges;
  }

  /** Small frames from now on, and larger ones when they have been seen to pass. */
  start(path: Path, nowUs: number): void {
    this.#stop(path);
    path.sectorsBest = best(path);
    path.sectorsMax = Math.min(SECTORS_UNPROVEN, path.sectorsBest);
    path.payloadPauseUs = PAYLOAD_RETRY_FIRST_US;
    this.#grow(path, nowUs);
  }

  /** The interface or the target may take other sizes than before; starts again only when they do. */
  refresh(path: Path, nowUs: number): void {
    if (path.standing === STANDING_PROVEN && best(path) !== path.sectorsBest) this.start(path, nowUs);
  }

  /** A frame of I/O was too large although the probe of that size had passed: some targets take larger reads than writes. */
  refused(path: Path, size: number, nowUs: number): void {
    this.#stop(path);
    path.sectorsMax = Math.min(SECTORS_UNPROVEN, path.sectorsBest);
    this.#shrink(path, size, nowUs);
  }

  /** A probe was answered: `passed` when all of its data came back. */
  answered(path: Path, passed: boolean, refusedSize: boolean, nowUs: number): void {
    const size = path.probing;
    this.#stop(path);
    if (passed) {
      path.sectorsMax = size;
      if (size < path.sectorsBest) this.#postpone(path, nowUs);
    } else if (refusedSize) {
      this.#shrink(path, size, nowUs);
    } else {
      this.#postpone(path, nowUs);
    }
  }

  /** Asks again, or gives up a size, when its time has come. */
  tick(path: Path, nowUs: number): void {
    if (path.payloadRetryUs <= nowUs) this.#grow(path, nowUs);
    if (path.probing === 0 || path.probe.dueUs > nowUs) return;
    if (path.probe.attempts < PAYLOAD_PROBES) {
      this.#ask(path, nowUs);
      return;
    }
    const size = path.probing;
    const { target, port } = path;
    this.#core.events.notice(
      'payload',
      target.name,
      `${target.name}: frames with ${String(size)} sectors get no answer on ${port.name} although both ends take them; ` +
        `a switch between them probably has a smaller MTU. Going on with smaller frames`,
    );
    this.#stop(path);
    this.#shrink(path, size, nowUs);
  }

  nextUs(path: Path): number {
    return Math.min(path.payloadRetryUs, path.probing === 0 ? Infinity : path.probe.dueUs);
  }

  /** Tries the best size; frames stay as they are until it has passed. */
  #grow(path: Path, nowUs: number): void {
    path.payloadRetryUs = Infinity;
    this.#probe(path, path.sectorsBest, nowUs);
  }

  /** Tries the next smaller size, unless that is known to pass anyway. */
  #shrink(path: Path, size: number, nowUs: number): void {
    this.#probe(path, smaller(size), nowUs);
    if (path.probing === 0) this.#postpone(path, nowUs);
  }

  /** The best size is tried again later: soon at first, because a few frames may be lost without any reason in the network. */
  #postpone(path: Path, nowUs: number): void {
    path.payloadRetryUs = nowUs + path.payloadPauseUs;
    path.payloadPauseUs = Math.min(path.payloadPauseUs * 2, PAYLOAD_RETRY_LONGEST_US);
  }

  #probe(path: Path, sectors: number, nowUs: number): void {
    if (sectors <= path.sectorsMax) return;
    path.probe.kind = EXCHANGE_READ;
    path.probe.sectors = sectors;
    path.probing = sectors;
    path.probe.attempts = 0;
    this.#ask(path, nowUs);
  }

  #ask(path: Path, nowUs: number): void {
    this.#exchanges.ask(path, path.probe, nowUs);
    // Each waits twice as long: a busy host is silent for a while, a black hole for ever.
    path.probe.dueUs = nowUs + path.roundTrip.timeoutUs * 2 ** (path.probe.attempts - 1);
  }

  #stop(path: Path): void {
    path.probing = 0;
    path.payloadRetryUs = Infinity;
    this.#exchanges.end(path.probe);
  }
}

/** The largest payload that interface, target and disk size allow. */
function best({ port, target }: Path): number {
  const sectors = Math.min(port.sectorsMax, target.sectorCount, FRAME_SECTORS_MAX, target.identity?.sectors ?? FRAME_SECTORS_MAX);
  return sectors >= ALIGN_SECTORS ? sectors - (sectors % ALIGN_SECTORS) : Math.max(sectors, 1);
}

/** The next size to try: half, in whole 4 KiB blocks while there are any. */
function smaller(sectors: number): number {
  const half = sectors >> 1;
  return half >= ALIGN_SECTORS ? half - (half % ALIGN_SECTORS) : half;
}
