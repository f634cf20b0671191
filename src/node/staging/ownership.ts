import { setTimeout as sleep } from 'node:timers/promises';
import { RESERVE_ENTRIES_MAX } from '../../aoe/constants.ts';
import { formatConfigString, ownershipOf, staticClaimOf } from '../../volumes/claim.ts';
import { isVolumeError, VolumeError } from '../../volumes/errors.ts';
import type { DiskIdentity } from '../../volumes/records.ts';
import type { TargetReport } from '../../initiator/messages.ts';
import type { InitiatorClient, ReserveAnswer } from '../initiator-client.ts';

const SECTOR_BYTES = 512;

/** A target that is there has answered discovery and said what it is by then. */
const SEEN_MS = 2_000;
const LOOK_MS = 100;

/**
 * That the disk at an address now is the one the volume is on. The initiator may not know it at this moment, because it has just
 * started or given up an attach: then it looks.
 * @throws VolumeError `unavailable` while it does not answer; `failed-precondition` for a stranger, with both identities
 */
export async function requireIdentity(initiator: InitiatorClient, address: string, expected: DiskIdentity): Promise<void> {
  const found = await lookFor(initiator, address);
  if (found === undefined) {
    throw new VolumeError(
      'unavailable',
      `cannot use ${address}: no target answers at this address on the allowed interfaces; check its power and network, and call again`,
    );
  }
  const { serial, model } = found;
  const sizeBytes = found.sectors * SECTOR_BYTES;
  if (serial === expected.serial && model === expected.model && sizeBytes >= expected.sizeBytes) return;
  throw new VolumeError(
    'failed-precondition',
    `cannot use ${address}: another disk is there. The volume is on ${describe(expected)}; found ${describe({ serial, model, sizeBytes })}. ` +
      `Bring the right disk back to this address; if it was replaced on purpose, say so: aoe-csi accept ${address}`,
  );
}

async function lookFor(initiator: InitiatorClient, address: string): Promise<TargetReport | undefined> {
  const endMs = performance.now() + SEEN_MS;
  for (let looks = 0; ; looks++) {
    const found = await initiator.target(address);
    if (found !== undefined && found.sectors > 0) return found;
    if (performance.now() >= endMs) return undefined;
    if (looks === 0) await initiator.discover();
    await sleep(LOOK_MS);
  }
}

function describe({ serial, model, sizeBytes }: DiskIdentity): string {
  return `serial '${serial}', model '${model}', ${sizeBytes} bytes`;
}

/**
 * That the target carries this claim of ours. One that has forgotten its config string (software targets do, when they restart) is
 * told again: "set" succeeds only where nothing else stands, so nobody's claim is lost by that.
 * @param claim undefined for a static volume that asks for none: nothing may stand there but what it has asked for earlier
 * @throws VolumeError `failed-precondition` naming the owner; `unavailable` when it does not answer
 */
export async function requireClaim(
  initiator: InitiatorClient,
  address: string,
  clusterId: string,
  claim: string | undefined,
): Promise<void> {
  const { texts } = await initiator.configString(address, 'READ');
  const wanted = formatConfigString(clusterId, claim ?? staticClaimOf(clusterId, address));
  const stranger = strangerIn(texts, wanted);
  if (claim === undefined) {
    if (stranger === undefined) return;
    throw new VolumeError(
      'failed-precondition',
      `cannot use ${address} as a static volume: it is claimed by ${ownerName(stranger, clusterId)}; use that volume, or free the target`,
    );
  }
  if (texts.every((text) => text === wanted)) return;
  const other = stranger === undefined ? await setClaim(initiator, address, clusterId, claim) : ownerName(stranger, clusterId);
  if (other === undefined) return;
  throw new VolumeError(
    'failed-precondition',
    `cannot use ${address} for claim ${claim}: it is claimed by ${other}; a person has to decide whose it is`,
  );
}

/**
 * Writes our claim on a target that has none, and reads it back.
 * @returns undefined when it stands there now, or who the target belongs to
 * @throws VolumeError `unavailable` when it can't be made sure
 */
export async function setClaim(
  initiator: InitiatorClient,
  address: string,
  clusterId: string,
  claim: string,
): Promise<string | undefined> {
  const wanted = formatConfigString(clusterId, claim);
  const { error } = await initiator.configString(address, 'SET', wanted);
  const { texts } = await initiator.configString(address, 'READ');
  const stranger = strangerIn(texts, wanted);
  if (stranger !== undefined) return ownerName(stranger, clusterId);
  if (texts.every((text) => text === wanted)) return undefined;
  const what = error === 0 ? 'it was set, but reads back as empty' : `the target refused with error ${error}`;
  throw new VolumeError('unavailable', `cannot claim ${address}: ${what}; does the target keep config strings?`);
}

/**
 * Takes our claim off a target, after reading that it is ours, and reads back that it is gone.
 * @throws VolumeError `failed-precondition` when it is not ours; `unavailable` when it can't be made sure
 */
export async function clearClaim(initiator: InitiatorClient, address: string, clusterId: string, claim: string): Promise<void> {
  const { texts, silent } = await initiator.configString(address, 'READ');
  requireAllMacs(address, silent);
  if (texts.every((text) => text === '')) return;
  const stranger = strangerIn(texts, formatConfigString(clusterId, claim));
  if (stranger !== undefined) {
    throw new VolumeError(
      'failed-precondition',
      `cannot give ${address} back: it is claimed by ${ownerName(stranger, clusterId)}; a person has to decide whose it is`,
    );
  }
  // AoE has no "clear if equal"; nobody but us writes over a string of ours.
  await initiator.configString(address, 'FORCE_SET', '');
  const after = await initiator.configString(address, 'READ');
  const left = after.texts.find((text) => text !== '');
  if (left !== undefined)
    throw new VolumeError('unavailable', `cannot give ${address} back: its config string is still '${left}'`);
  requireAllMacs(address, after.silent);
}

/** Whoever is silent has our claim still, and would be a stray when it is back. */
function requireAllMacs(address: string, silent: number): void {
  if (silent === 0) return;
  throw new VolumeError(
    'unavailable',
    `cannot give ${address} back: ${silent} more MAC(s) of it do not answer; bring them back, or wait until they are gone for minutes`,
  );
}

/** What stands at one of a target's MACs that is neither nothing nor this. */
function strangerIn(texts: readonly string[], wanted: string): string | undefined {
  return texts.find((text) => text !== '' && text !== wanted);
}

function ownerName(text: string, clusterId: string): string {
  const owner = ownershipOf(text, clusterId);
  return owner.kind === 'foreign' ? owner.owner : `another volume of this cluster (${text})`;
}

/** AoE error 6: the target is reserved by others. */
const ERROR_RESERVED = 6;
/** Nobody waits longer for a target that may never answer such a question. */
const RESERVED_MS = 1_000;

/** This node's MACs, all of which hold a reservation together. */
export async function ownMacs(initiator: InitiatorClient): Promise<readonly string[]> {
  const interfaces = await initiator.interfaces();
  return interfaces.filter(({ state, mac }) => (state === 'up' || state === 'down') && mac !== '').map(({ mac }) => mac);
}

/**
 * Makes the target refuse the I/O of all nodes but this one, and reads that back, before the first write.
 * @returns what it said then; MACs of it that are silent may not know
 * @throws VolumeError `unavailable` when it can't be made sure
 */
export async function reserveForUs(initiator: InitiatorClient, address: string): Promise<ReserveAnswer> {
  const set = await initiator.reserve(address, 'FORCE_SET', 'own');
  if (set.error !== 0) {
    throw new VolumeError('unavailable', `cannot reserve ${address}: the target refused with error ${set.error}; call again`);
  }
  const answer = await initiator.reserved(address);
  const own = await ownMacs(initiator);
  const wrong = answer.lists.find((macs) => macs.length === 0 || !macs.every((mac) => own.includes(mac)));
  if (wrong === undefined) return answer;
  const who = wrong.length === 0 ? 'nobody' : wrong.join(', ');
  throw new VolumeError('unavailable', `cannot reserve ${address}: it was set, but is now reserved for ${who}; call again`);
}

/**
 * Whether a target that counts as one that knows nothing of reservations has one all the same: of a time when it did not. One that
 * does not answer that has none, for all that can be known.
 */
export async function isReserved(initiator: InitiatorClient, address: string): Promise<boolean> {
  try {
    return (await initiator.reserved(address, RESERVED_MS)).lists.some((macs) => macs.length > 0);
  } catch (error) {
    if (!isVolumeError(error)) throw error;
    return false;
  }
}

/**
 * Reserves a target for all of this node's MACs, if nobody has or one of them is in the list: a plain "set" is refused otherwise.
 * @returns whether it is reserved for us now
 */
export async function reserveIfOurs(initiator: InitiatorClient, address: string): Promise<boolean> {
  return (await initiator.reserve(address, 'SET', 'own')).error === 0;
}

/**
 * Lets those in who read a volume together, this node among them, where a reservation of its last writer, or of the node that fenced
 * that one off, is left. Who is fenced off stays out.
 * @param readers MACs of all nodes that the volume is published to
 * @throws VolumeError `failed-precondition` for more than a target's list holds; `unavailable` when it can't be made sure
 */
export async function letReadersIn(initiator: InitiatorClient, address: string, readers: readonly string[]): Promise<void> {
  const wanted = [...new Set([...readers, ...(await ownMacs(initiator))])];
  const closed = async (): Promise<readonly string[] | undefined> =>
    (await initiator.reserved(address)).lists.find((macs) => macs.length > 0 && !wanted.every((mac) => macs.includes(mac)));
  if ((await closed()) === undefined) return;
  if (wanted.length > RESERVE_ENTRIES_MAX) {
    throw new VolumeError(
      'failed-precondition',
      `cannot read ${address}: it is reserved, and to let all readers in, ${wanted.length} MACs would have to be in its reserve list, which holds ` +
        `${RESERVE_ENTRIES_MAX} at most; let fewer nodes read it at a time, or give the nodes fewer storage interfaces`,
    );
  }
  await initiator.reserve(address, 'FORCE_SET', wanted);
  const still = await closed();
  if (still === undefined) return;
  throw new VolumeError('unavailable', `cannot read ${address}: it is reserved for ${still.join(', ')}; call again`);
}

/**
 * Gives a reservation back, if it is still ours: a plain "set" is refused to those who are not in the list.
 * @param heirs MACs that alone may do I/O from then on; everybody may where there are none
 * @returns false when it is somebody else's by now
 */
export async function releaseReservation(
  initiator: InitiatorClient,
  address: string,
  heirs: readonly string[] = [],
): Promise<boolean> {
  const { error } = await initiator.reserve(address, 'SET', heirs);
  return error !== ERROR_RESERVED;
}
