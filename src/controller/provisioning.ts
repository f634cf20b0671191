import { compareAddresses } from '../volumes/addresses.ts';
import { isWithin, type CapacityRange } from '../volumes/capacity.ts';
import { claimOf } from '../volumes/claim.ts';
import { formatBytes } from '../volumes/byte-size.ts';
import { VolumeError } from '../volumes/errors.ts';
import { differenceOf, settingsOf } from '../volumes/parameters.ts';
import { PARAMETERS } from '../volumes/parameter-table.ts';
import { placeVolume, type Candidate, type PlacementRequest } from '../volumes/placement.ts';
import { noPlace } from '../volumes/placement-report.ts';
import type { ClaimRecord, NodeRecord, TargetRecord, VolumeParameters } from '../volumes/records.ts';
import { isConflict, type Versioned } from '../volumes/store.ts';
import type { TopologyRequirement } from '../volumes/topology.ts';
import { waitForRecord } from '../volumes/wait-for-record.ts';
import { crashPoint } from './crash-points.ts';
import { asWiped, Clearance } from './clearance.ts';
import { liveNodes, type ControllerParts } from './parts.ts';
import { claimTask, handedTo, isDecided, nodeFor, nodeInService, wipeTask } from './tasks.ts';

/** A volume as CreateVolume wants it, checked. */
export interface WantedVolume {
  readonly name: string;
  readonly range: CapacityRange;
  /** See records.ts. */
  readonly parameters: VolumeParameters;
  readonly mutableParameters: VolumeParameters;
  readonly labels: Readonly<Record<string, string>>;
  readonly topology: TopologyRequirement;
}

type Holder = Versioned<TargetRecord>;

/**
 * Makes volumes: finds a target, claims it in its record, and has a node claim it on the storage network.
 *
 * ```
 * Available ──taken──► Claimed, no task ──decided──► Claimed, task claim ──node──► Claimed, confirmed
 *     ▲                       │ yielded to another target,         │ failed, and another target can be had,
 *     └───────────────────────┘ or not seen   Released ◄───────────┘ or it is not seen
 * ```
 *
 * Each arrow is one compare-and-set, and every call begins with what it finds: so it makes no difference whether a call comes again,
 * the controller was killed, or another controller makes the same volume at the same time. In the last case both may take a target.
 * Each looks at all targets after it has taken one, so the later of them sees both; as a target is given back or decided on only
 * from "no task", one compare-and-set settles which one stays.
 */
export class Provisioning {
  readonly #parts: ControllerParts;

  constructor(parts: ControllerParts) {
    this.#parts = parts;
  }

  /**
   * The volume of this name: as it is, or made now.
   * @param patience ends the waiting for the node; the next call goes on
   * @throws VolumeError `already-exists` when it is another one; as noPlace; `unavailable` when no node can claim the target now;
   * `aborted` when patience was over first
   */
  async create(wanted: WantedVolume, patience: AbortSignal): Promise<TargetRecord> {
    const claim = claimOf(this.#parts.clusterId, wanted.name);
    crashPoint('create-started');
    const clearance = new Clearance(patience);
    while (!patience.aborted) {
      const holders = (await this.#parts.store.targets.list()).filter(({ value }) => holds(value, claim));
      if (holders.length === 0) {
        await this.#take(wanted, claim, clearance);
        continue;
      }
      const elected = elect(holders);
      requireSame(wanted, elected.value);
      const others = holders.filter((holder) => holder !== elected && !isDecided(holder.value));
      // Whatever has changed meanwhile, the next turn sees it.
      if (!(await this.#yield(others)) || !(await this.#decide(elected, claim, wanted))) continue;
      const confirmed = await this.#confirmation(elected.name, claim, patience);
      if (confirmed === undefined) continue;
      crashPoint('create-confirmed');
      return confirmed;
    }
    throw unfinished(wanted.name, 'nothing is decided yet');
  }

  /** Takes the best target there is, if nobody is faster; or waits for one. */
  async #take(wanted: WantedVolume, claim: string, clearance: Clearance): Promise<void> {
    const { store, nowMs } = this.#parts;
    const request = requestOf(wanted);
    const live = await liveNodes(this.#parts);
    const targets = await store.targets.list();
    const records = targets.map(({ value }) => value);
    const placement = placeVolume(request, records, live);
    const [best] = placement.candidates;
    if (best === undefined) {
      if (placeVolume(request, records.map(asWiped), live).candidates.length > 0 && (await clearance.next())) return;
      throw noPlace(request, placement, live);
    }
    const version = targets.find(({ name }) => name === best.target.address)?.version ?? '';
    const next: TargetRecord = { ...best.target, state: 'Claimed', reason: '', claim: newClaim(wanted, claim, best, nowMs()) };
    if (await this.#update(best.target.address, version, next)) crashPoint('create-taken');
  }

  /** Gives targets back that were taken for the same volume. False when one of them has changed meanwhile. */
  async #yield(holders: readonly Holder[]): Promise<boolean> {
    for (const { name, version, value } of holders) {
      if (!(await this.#update(name, version, notTaken(value)))) return false;
      crashPoint('create-yielded');
    }
    return true;
  }

  /** Has a node claim the target, unless that is under way. False when the record has changed, or was given up. */
  async #decide({ name, version, value }: Holder, claim: string, wanted: WantedVolume): Promise<boolean> {
    const { task } = value;
    if (value.claim?.confirmed === true || (task !== undefined && task.state !== 'failed')) return true;
    const live = await liveNodes(this.#parts);
    const nodeId = await nodeInService(
      this.#parts.store,
      live,
      (able) => nodeFor(value, able, task?.nodeId) ?? nodeFor(value, able),
    );
    // Where nobody sees it any more, the next turn finds another target, or says of all what is wrong with them.
    const isSeen = nodeFor(value, live) !== undefined;
    if (!isSeen || (task !== undefined && (await this.#hasAnother(wanted, live)))) {
      const next = task === undefined ? notTaken(value) : givenUp(value, nodeId);
      if (await this.#update(name, version, next)) crashPoint('create-given-up');
      return false;
    }
    // To give it back would be of no use: the next turn would take it again.
    if (nodeId === undefined) {
      throw new VolumeError(
        'unavailable',
        `cannot claim ${name} for the volume: all live nodes that see it are declared to be out of service; call again when another one does`,
      );
    }
    const next = task === undefined ? claimTask(claim, nodeId) : handedTo(task, nodeId);
    const done = await this.#update(name, version, { ...value, task: next });
    if (done) crashPoint('create-decided');
    return done;
  }

  /** Whether the volume need not be on the target that could not be claimed. */
  async #hasAnother(wanted: WantedVolume, live: readonly NodeRecord[]): Promise<boolean> {
    const records = (await this.#parts.store.targets.list()).map(({ value }) => value);
    return placeVolume(requestOf(wanted), records, live).candidates.length > 0;
  }

  /** Waits for the node's word. Undefined when the target turned out to be somebody else's: another one is needed. */
  async #confirmation(address: string, claim: string, patience: AbortSignal): Promise<TargetRecord | undefined> {
    const isSettled = (record: Holder | undefined): boolean =>
      record === undefined ||
      !holds(record.value, claim) ||
      record.value.claim?.confirmed === true ||
      record.value.task?.state === 'failed';
    const record = await waitForRecord(this.#parts.store.targets, address, isSettled, patience);
    if (record === undefined || !holds(record.value, claim)) return undefined;
    const { claim: held, task } = record.value;
    if (held?.confirmed === true) return record.value;
    if (task?.state === 'failed') {
      throw new VolumeError(
        'unavailable',
        `cannot claim ${address} for the volume on node ${task.nodeId}: ${task.message}; call again`,
      );
    }
    throw unfinished(held?.volumeName ?? '', `node ${task?.nodeId ?? '(none)'} has not claimed ${address} yet`);
  }

  /** False when somebody else was faster. */
  async #update(address: string, version: string, next: TargetRecord): Promise<boolean> {
    try {
      await this.#parts.store.targets.update(address, version, next);
      return true;
    } catch (error) {
      if (isConflict(error)) return false;
      throw error;
    }
  }
}

/** Whether a target is taken for the volume with this claim. */
function holds({ state, claim }: TargetRecord, wanted: string): boolean {
  return state === 'Claimed' && claim?.claim === wanted;
}

/** Which of the targets taken for one volume is to stay: the one that is decided on, else the lowest address. */
function elect(holders: readonly Holder[]): Holder {
  const ordered = holders.toSorted((a, b) => compareAddresses(a.name, b.name));
  return ordered.find(({ value }) => value.claim?.confirmed) ?? ordered.find(({ value }) => isDecided(value)) ?? ordered[0];
}

/** A target that was only taken in its record, as it is given back. */
function notTaken(target: TargetRecord): TargetRecord {
  return { ...target, state: 'Available', claim: undefined };
}

/**
 * A target that could not be claimed, as it is given back. Somebody may have got the claim there all the same, so a node takes it off;
 * but nothing of ours was written, so nothing is wiped.
 */
function givenUp(target: TargetRecord, nodeId: string | undefined): TargetRecord {
  const { claim } = target;
  if (claim === undefined) return target;
  const parameters = { ...claim.parameters, [PARAMETERS.wipe.name]: 'none' };
  const task = nodeId === undefined ? undefined : wipeTask(claim.claim, nodeId);
  return { ...target, state: 'Released', reason: target.task?.message ?? '', claim: { ...claim, parameters }, task };
}

function requestOf({ range, parameters, mutableParameters, topology }: WantedVolume): PlacementRequest {
  return { range, settings: settingsOf(parameters, mutableParameters), topology };
}

function newClaim(
  { name, parameters, mutableParameters, labels }: WantedVolume,
  claim: string,
  place: Candidate,
  nowMs: number,
): ClaimRecord {
  return {
    volumeName: name,
    claim,
    capacityBytes: place.grantedBytes,
    parameters,
    mutableParameters,
    confirmed: false,
    format: { state: 'never', fsType: '', uuid: '' },
    // A volume of the same name may have been here before: its epochs are in the past.
    epoch: nowMs,
    labels,
  };
}

/** @throws VolumeError `already-exists` when the volume of this name is not what is wanted */
function requireSame({ name, range, parameters }: WantedVolume, { address, claim }: TargetRecord): void {
  if (claim === undefined) return;
  const exists = `cannot make volume ${name}: it exists on ${address}`;
  if (!isWithin(range, claim.capacityBytes)) {
    throw new VolumeError('already-exists', `${exists} with ${formatBytes(claim.capacityBytes)}, which is not what is asked for`);
  }
  const other = differenceOf(claim.parameters, parameters);
  if (other === undefined) return;
  throw new VolumeError('already-exists', `${exists} with ${other.name} '${other.has}', not '${other.asked}' as is asked for`);
}

function unfinished(name: string, why: string): VolumeError {
  return new VolumeError('aborted', `volume ${name} is still being made: ${why}; call again, and it goes on from there`);
}
