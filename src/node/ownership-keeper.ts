import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from '../logging/logger.ts';
import { formatConfigString, staticClaimOf } from '../volumes/claim.ts';
import { isVolumeError } from '../volumes/errors.ts';
import type { KeyedLock } from '../volumes/keyed-lock.ts';
import { parseVolumeId } from '../volumes/volume-id.ts';
import { followEvents } from './initiator-events.ts';
import type { NodeParts } from './node-parts.ts';
import type { Reporter } from './reporter.ts';
import { findVolume, publicationFor } from './staging/known-volume.ts';
import { giveVolumeBack } from './staging/late-reservation.ts';
import { ownMacs, requireClaim, reserveForUs, reserveIfOurs } from './staging/ownership.ts';
import type { StagedVolume } from './staging/staged-volume.ts';

/** A target that has started again says so. Should that be lost on the way, it is found out by then. */
const ASK_MS = 60_000;
/** What could not be done, because the API server is away, say, is tried again. */
const RETRY_MS = 2_000;
const QUESTIONS_PARALLEL = 8;
/** An operation on the volume that goes on longer leaves it as it should be, or is followed by another look. */
const PATIENCE_MS = 60_000;

/** The reporter is to look again when a config string has changed. */
export interface KeeperParts extends NodeParts {
  readonly reporter: Pick<Reporter, 'refresh'>;
}

/**
 * Tells targets again whose they are. Software targets forget config string and reservation when they restart: then a node that has
 * lost the volume could write to it, and another cluster could take it. Only who has the volume now does that, by its record.
 */
export class OwnershipKeeper {
  readonly #parts: KeeperParts;
  readonly #lock: KeyedLock;
  readonly #logger: Logger;
  readonly #stopping = new AbortController();
  /** Addresses to look at. */
  readonly #due = new Set<string>();
  /** What was last complained about, by address: said once. */
  readonly #complaints = new Map<string, string>();
  #wake = Promise.withResolvers<void>();
  #ended: Promise<unknown> = Promise.resolve();

  constructor(parts: KeeperParts, lock: KeyedLock, logger: Logger) {
    this.#parts = parts;
    this.#lock = lock;
    this.#logger = logger.with({ component: 'ownership' });
  }

  start(): void {
    const { signal } = this.#stopping;
    const notice = (target: string): void => {
      if (this.#parts.state.get(target) === undefined) return;
      this.#due.add(target);
      this.#wake.resolve();
    };
    this.#ended = Promise.all([this.#loop(), followEvents(this.#parts.initiator, signal, ({ target }) => notice(target))]);
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#wake.resolve();
    await this.#ended;
  }

  async #loop(): Promise<void> {
    const { signal } = this.#stopping;
    let askedMs = -Infinity;
    while (!signal.aborted) {
      if (performance.now() - askedMs >= ASK_MS) {
        askedMs = performance.now();
        for (const { address } of this.#parts.state.list()) this.#due.add(address);
      }
      await this.#lookAtDue();
      const waitMs = this.#due.size > 0 ? RETRY_MS : ASK_MS;
      await Promise.race([this.#wake.promise, sleep(waitMs, undefined, { signal }).catch(() => undefined)]);
      this.#wake = Promise.withResolvers<void>();
    }
  }

  /** Who is not up is looked at when it is: its disk may be another one. */
  async #lookAtDue(): Promise<void> {
    const { state, initiator } = this.#parts;
    try {
      const attachments = await initiator.attachments();
      const up = new Set(attachments.filter((each) => each.state === 'up').map(({ name }) => name));
      const staged = state.list().filter(({ phase }) => phase === 'staged');
      for (const address of this.#due) if (!staged.some((each) => each.address === address)) this.#due.delete(address);
      const ready = staged.filter(({ address }) => this.#due.has(address) && up.has(address));
      for (let at = 0; at < ready.length; at += QUESTIONS_PARALLEL) {
        await Promise.all(ready.slice(at, at + QUESTIONS_PARALLEL).map(async (each) => this.#look(each)));
      }
    } catch (error) {
      this.#logger.debug((error as Error).message);
    }
  }

  /** Never throws. */
  async #look(staged: StagedVolume): Promise<void> {
    const { address, volumeId } = staged;
    // What happens from now on is another reason to look.
    this.#due.delete(address);
    try {
      if (await this.#seemsForgotten(staged)) {
        const key = `volume ${address}`;
        await this.#lock.runWhenFree(key, AbortSignal.timeout(PATIENCE_MS), async () => this.#tellAgain(staged));
      }
      this.#complaints.delete(address);
    } catch (error) {
      // What a person has to decide is looked at again in a minute.
      if (!isVolumeError(error) || error.code !== 'failed-precondition') this.#due.add(address);
      const { message } = error as Error;
      if (this.#complaints.get(address) === message) return;
      this.#complaints.set(address, message);
      this.#logger.warn(`cannot keep ${address} for ${volumeId}: ${message}`, { target: address });
    }
  }

  /** Whether something may not be there that has to be; asks nobody but the target. */
  async #seemsForgotten({ address, volumeId, isReserved }: StagedVolume): Promise<boolean> {
    const { initiator, clusterId } = this.#parts;
    const { texts } = await initiator.configString(address, 'READ');
    const claim = parseVolumeId(volumeId)?.claim;
    // A static volume has one only where its PersistentVolume asked for it: the record knows.
    const wanted = claim === undefined ? undefined : formatConfigString(clusterId, claim);
    if (texts.some((text) => (wanted === undefined ? text === '' : text !== wanted))) return true;
    return isReserved && (await this.#lacksOurs(address));
  }

  /** Whether nobody has reserved it, or this node has, for fewer interfaces than it has now, or not at each of the target's MACs. */
  async #lacksOurs(address: string): Promise<boolean> {
    const { initiator } = this.#parts;
    const { lists } = await initiator.reserved(address);
    const own = await ownMacs(initiator);
    const isFree = lists.every((macs) => macs.length === 0);
    const isOurs = lists.some((macs) => own.some((mac) => macs.includes(mac)));
    return (isFree || isOurs) && !lists.every((macs) => own.every((mac) => macs.includes(mac)));
  }

  /** The caller holds the target's lock. @throws VolumeError, also when it is not this node that has the volume now */
  async #tellAgain({ address, volumeId }: StagedVolume): Promise<void> {
    const { state, initiator, clusterId, reporter } = this.#parts;
    const staged = state.get(address);
    if (staged?.phase !== 'staged' || staged.volumeId !== volumeId) return;
    const claim = await this.#claimOf(staged);
    const { texts } = await initiator.configString(address, 'READ');
    if (claim !== undefined) await requireClaim(initiator, address, clusterId, claim);
    const isReservedAgain = staged.isReserved && (await this.#lacksOurs(address)) && (await this.#reserveAgain(address));
    if (isReservedAgain) await this.#requireStillOurs(staged);
    if (!isReservedAgain && (claim === undefined || !texts.includes(''))) return;
    await reporter.refresh(address);
    this.#logger.info(`${address} did not know all of whose it is, ${volumeId}'s on this node, and has been told again`, {
      target: address,
    });
  }

  /**
   * A MAC that was silent when the volume was staged still names the node before, which may write there. The caller knows by the record
   * that the volume is this node's.
   */
  async #reserveAgain(address: string): Promise<boolean> {
    const { initiator } = this.#parts;
    if (await reserveIfOurs(initiator, address)) return true;
    const { lists } = await initiator.reserved(address);
    const own = await ownMacs(initiator);
    // Taken from this node everywhere: by whoever has the volume since.
    if (!lists.some((macs) => own.some((mac) => macs.includes(mac)))) return false;
    await reserveForUs(initiator, address);
    return true;
  }

  /** @returns undefined for a static volume that has none. @throws VolumeError when this node has not got the volume any more */
  async #claimOf({ volumeId, address, epoch }: StagedVolume): Promise<string | undefined> {
    const { store, nodeId, clusterId } = this.#parts;
    const volume = await findVolume(store, volumeId);
    publicationFor(volume, nodeId, String(epoch));
    if (volume.claim !== undefined) return volume.claim.claim;
    return volume.record.value.state === 'Static' ? staticClaimOf(clusterId, address) : undefined;
  }

  /** A node that stalled since it looked has taken the target from whoever has the volume by now: it gives it back. */
  async #requireStillOurs(staged: StagedVolume): Promise<void> {
    try {
      await this.#claimOf(staged);
    } catch (error) {
      await giveVolumeBack(this.#parts, staged.address);
      throw error;
    }
  }
}
