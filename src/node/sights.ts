import { configStringText } from '../aoe/config.ts';
import { MAC_GONE_US } from '../aoe/limits.ts';
import type { TargetReport } from '../initiator/messages.ts';
import { isVolumeError } from '../volumes/errors.ts';
import { FENCING_UNKNOWN } from '../volumes/fencing.ts';
import type { FencingLevel, SightRecord } from '../volumes/records.ts';
import type { InitiatorClient } from './initiator-client.ts';
import type { NodeView } from './node-recorder.ts';

const SECTOR_BYTES = 512;
/** Targets asked at a time, and in one look. */
const QUESTIONS_PARALLEL = 8;
const QUESTIONS_MAX = 128;
/** A target that is not attached is asked this often whether it is still there. */
const ASK_AGAIN_MS = 60_000;
/** A target that did not answer this many questions in a row is not seen any more, until it answers one. */
const SILENT_QUESTIONS = 2;
/** It is lost then: asked again after this, and twice as late each time, until discovery hears of it. Each question takes seconds. */
const LOST_PAUSE_MS = 10_000;
const LOST_PAUSE_MS_MAX = 300_000;
/** Lost targets asked in one look, so that many of them don't hold up what is to be told of the others. */
const LOST_QUESTIONS_MAX = QUESTIONS_PARALLEL;
/** Of a target that discovery has not heard of for so long it takes no questions to say that it is lost. */
const LOST_MS = MAC_GONE_US / 1_000;
/** A target that leaves this many questions about reservations unanswered, but is there, counts as one that knows nothing of them. */
const UNKNOWN_QUESTIONS = 2;
const RESERVED_MS = 2_000;
/** It may only have been busy, or the network: it is asked again, and if it goes on being silent twice as late each time, up to this. */
const UNKNOWN_PAUSE_MS_MAX = 3_600_000;

/** What is known of a disk that nobody here has attached. */
interface Acquaintance {
  /** Another disk at the same address may belong to another kind of target. */
  readonly identity: string;
  fencing: FencingLevel | undefined;
  /** As it said when asked; undefined until then. */
  configString: string | undefined;
  /** When it was asked last, or else seen for the first time. */
  askedMs: number;
  dueMs: number;
  /** Asked so far. Only an answer to the latest one counts. */
  questions: number;
  silentQuestions: number;
  unknownQuestions: number;
  /** When to ask about reservations again; Infinity when it has said what it knows of them. */
  fencingDueMs: number;
}

/** What this node sees of the storage network, and what the targets there can do. */
export class Sights {
  readonly #initiator: InitiatorClient;
  readonly #known = new Map<string, Acquaintance>();

  constructor(initiator: InitiatorClient) {
    this.#initiator = initiator;
  }

  /**
   * @param only the target to ask, if it is due; all that are due when left out
   * @throws VolumeError when the initiator does not answer
   */
  async look(only?: string): Promise<Omit<NodeView, 'segments'>> {
    const interfaces = (await this.#initiator.interfaces()).filter(({ state }) => state === 'up' || state === 'down');
    const targets = (await this.#initiator.targets()).filter(({ sectors, paths }) => sectors > 0 && paths.length > 0);
    const names = new Set(targets.map(({ name }) => name));
    for (const name of this.#known.keys()) if (!names.has(name)) this.#known.delete(name);
    await this.#ask(this.#due(targets.filter(({ name }) => only === undefined || name === only)));
    const seen = targets.filter((target) => this.#isSeen(target)).toSorted((a, b) => a.shelf - b.shelf || a.slot - b.slot);
    return {
      macs: interfaces.map(({ mac }) => mac).toSorted(),
      interfaces: interfaces.map(({ name }) => name).toSorted(),
      targets: Object.fromEntries(seen.map((target) => [target.name, this.#sight(target)])),
    };
  }

  /** That a target's config string has changed: it is read again with the next look. What it knows of reservations stays. */
  forget(address: string): void {
    const known = this.#known.get(address);
    if (known === undefined) return;
    known.configString = undefined;
    known.dueMs = 0;
    // Who is being asked now may answer what was there before.
    known.questions++;
    known.silentQuestions = 0;
  }

  #acquaintance(target: TargetReport): Acquaintance {
    const identity = `${target.serial} ${target.model}`;
    const known = this.#known.get(target.name);
    if (known?.identity === identity) return known;
    const silentQuestions = target.silentMs > LOST_MS ? SILENT_QUESTIONS : 0;
    const made = {
      ...{ identity, fencing: undefined, configString: undefined, askedMs: performance.now(), dueMs: 0 },
      ...{ questions: 0, silentQuestions, unknownQuestions: 0, fencingDueMs: 0 },
    };
    this.#known.set(target.name, made);
    return made;
  }

  /** Whom to ask now: those who have waited longest, and then some of the lost. */
  #due(targets: readonly TargetReport[]): TargetReport[] {
    const due = targets.filter((target) => this.#isHeardAgain(target) || this.#acquaintance(target).dueMs <= performance.now());
    due.sort((a, b) => this.#acquaintance(a).askedMs - this.#acquaintance(b).askedMs);
    const present = due.filter((target) => !this.#isLost(target));
    const lost = due.filter((target) => this.#isLost(target));
    return [...present.slice(0, QUESTIONS_MAX), ...lost.slice(0, LOST_QUESTIONS_MAX)];
  }

  #isLost(target: TargetReport): boolean {
    return this.#acquaintance(target).silentQuestions >= SILENT_QUESTIONS && !this.#isHeardAgain(target);
  }

  /** It has said that it is there since it left a question unanswered. */
  #isHeardAgain(target: TargetReport): boolean {
    const { silentQuestions, askedMs } = this.#acquaintance(target);
    return silentQuestions > 0 && performance.now() - target.silentMs > askedMs;
  }

  /** What the data path says of a volume in use is better than any question. */
  #isSeen(target: TargetReport): boolean {
    if (target.state === 'up' || target.state === 'fenced') return true;
    return target.state === 'discovered' && this.#acquaintance(target).silentQuestions < SILENT_QUESTIONS;
  }

  #sight(target: TargetReport): SightRecord {
    const { serial, model, sectors, paths } = target;
    const { configString = configStringText(target.configString), fencing } = this.#acquaintance(target);
    return {
      identity: { serial, model, sizeBytes: sectors * SECTOR_BYTES },
      configString,
      interfaces: [...new Set(paths.map((path) => path.interface))].toSorted(),
      ...(fencing === undefined ? { fencing: FENCING_UNKNOWN, isFencingUnknown: true } : { fencing }),
    };
  }

  async #ask(targets: readonly TargetReport[]): Promise<void> {
    for (let at = 0; at < targets.length; at += QUESTIONS_PARALLEL) {
      await Promise.all(targets.slice(at, at + QUESTIONS_PARALLEL).map(async (target) => this.#askOne(target)));
    }
  }

  async #askOne(target: TargetReport): Promise<void> {
    const known = this.#acquaintance(target);
    known.askedMs = performance.now();
    const question = ++known.questions;
    const configString = await this.#readConfigString(target.name);
    if (known.questions !== question) return;
    if (configString === undefined) {
      known.dueMs = performance.now() + lostPauseMs(++known.silentQuestions);
      return;
    }
    known.configString = configString;
    known.silentQuestions = 0;
    known.dueMs = known.askedMs + ASK_AGAIN_MS;
    if (known.fencingDueMs <= performance.now()) await this.#askFencing(target.name, known);
    if (known.fencing === undefined) known.dueMs = 0;
  }

  /** @returns undefined when it is silent */
  async #readConfigString(address: string): Promise<string | undefined> {
    try {
      const { texts } = await this.#initiator.configString(address, 'READ');
      // Whoever has claimed it at one of its MACs has it.
      return texts.find((text) => text !== '') ?? '';
    } catch (error) {
      if (!isVolumeError(error)) throw error;
      return undefined;
    }
  }

  /**
   * A target that knows command 3 answers it, at all of its MACs; one that does not says so, or nothing at all. Reading changes nothing.
   */
  async #askFencing(address: string, known: Acquaintance): Promise<void> {
    try {
      const { error, silent } = await this.#initiator.reserved(address, RESERVED_MS);
      // Some of its MACs know reservations: it is asked with each look until the others answer, or are gone.
      if (error === 0 && silent > 0) return;
      known.fencing = error === 0 ? 'reserve' : 'claim';
      known.fencingDueMs = Infinity;
    } catch (error) {
      if (!isVolumeError(error)) throw error;
      if (++known.unknownQuestions < UNKNOWN_QUESTIONS) return;
      known.fencing = 'claim';
      const pauseMs = ASK_AGAIN_MS * 2 ** (known.unknownQuestions - UNKNOWN_QUESTIONS);
      known.fencingDueMs = performance.now() + Math.min(pauseMs, UNKNOWN_PAUSE_MS_MAX);
    }
  }
}

function lostPauseMs(silentQuestions: number): number {
  if (silentQuestions < SILENT_QUESTIONS) return 0;
  return Math.min(LOST_PAUSE_MS * 2 ** (silentQuestions - SILENT_QUESTIONS), LOST_PAUSE_MS_MAX);
}
