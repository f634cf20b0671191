import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from '../logging/logger.ts';
import { isVolumeError } from '../volumes/errors.ts';
import { parseVolumeId } from '../volumes/volume-id.ts';
import { followEvents } from './initiator-events.ts';
import type { NodeParts } from './node-parts.ts';
import type { Places } from './places.ts';
import { Sights } from './sights.ts';

/** Longest time between two looks. */
const LOOK_MS = 5_000;
/** Events come in bursts: what happens within this time is looked at once. */
const BURST_MS = 100;
/** An initiator that restarts is back by then; if not, this node sees nothing. */
const BLIND_MS = 30_000;

/** Keeps this node's record up to what the initiator sees: looks when something has happened there, and now and then. */
export class Reporter {
  readonly #parts: NodeParts;
  readonly #places: Places;
  readonly #logger: Logger;
  readonly #sights: Sights;
  readonly #stopping = new AbortController();
  #wake = Promise.withResolvers<void>();
  #lastSeenMs = performance.now();
  /** What was last complained about: said once. */
  #complaint = '';
  #ended: Promise<unknown> = Promise.resolve();

  constructor(parts: NodeParts, places: Places, logger: Logger) {
    this.#parts = parts;
    this.#places = places;
    this.#logger = logger.with({ component: 'reporter' });
    this.#sights = new Sights(parts.initiator);
  }

  /** Writes the node's record once, and goes on by itself. */
  async start(): Promise<void> {
    await this.#report();
    const listening = followEvents(this.#parts.initiator, this.#stopping.signal, () => this.#wake.resolve());
    this.#ended = Promise.all([this.#loop(), listening]);
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#wake.resolve();
    await this.#ended;
  }

  /**
   * Looks at a target anew, after its config string was changed, and reports before this resolves. No other target is asked: whoever
   * waits for this may hold the lock of a volume.
   */
  async refresh(address: string): Promise<void> {
    this.#sights.forget(address);
    await this.#report(address);
  }

  async #loop(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      await Promise.race([this.#wake.promise, sleep(LOOK_MS, undefined, { signal }).catch(() => undefined)]);
      await sleep(BURST_MS, undefined, { signal }).catch(() => undefined);
      this.#wake = Promise.withResolvers<void>();
      if (!signal.aborted) await this.#report();
    }
  }

  /** Never throws: there is always a next time. @param only the target to ask; all when left out */
  async #report(only?: string): Promise<void> {
    const { recorder } = this.#parts;
    try {
      const view = await this.#sights.look(only).catch((error: unknown) => this.#blind(error));
      const { interfaces } = view;
      const whole = interfaces === undefined ? view : { ...view, segments: this.#places.segmentsOn(interfaces) };
      await recorder.report(whole, only !== undefined);
      await recorder.markFenced(await this.#fenced());
      this.#complain('');
    } catch (error) {
      this.#complain((error as Error).message);
    }
  }

  /** What is reported while the initiator does not answer: first nothing new, then that nothing is seen. */
  #blind(error: unknown): Parameters<NodeParts['recorder']['report']>[0] {
    if (!isVolumeError(error)) throw error;
    this.#logger.debug(error.message);
    return performance.now() - this.#lastSeenMs < BLIND_MS ? {} : { targets: {} };
  }

  async #fenced(): Promise<ReadonlySet<string>> {
    const { initiator, recorder } = this.#parts;
    const attachments = await initiator.attachments();
    this.#lastSeenMs = performance.now();
    const fenced = new Set(attachments.filter((each) => each.state === 'fenced').map(({ name }) => name));
    return new Set(Object.keys(recorder.staged).filter((volumeId) => fenced.has(parseVolumeId(volumeId)?.address ?? '')));
  }

  #complain(complaint: string): void {
    if (complaint === this.#complaint) return;
    if (complaint === '') this.#logger.info('what this node sees is reported again');
    else this.#logger.warn(`what this node sees can't be reported: ${complaint}; trying again`);
    this.#complaint = complaint;
  }
}
