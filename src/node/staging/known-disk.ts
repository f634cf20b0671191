import { VolumeError } from '../../volumes/errors.ts';
import type { ClaimRecord, FingerprintRecord, FormatRecord, TargetRecord } from '../../volumes/records.ts';
import { change, type Store } from '../../volumes/store.ts';
import { fingerprintOfDevice, isComparable } from '../format/fingerprint.ts';
import { describeProbe, probeDevice } from '../format/probe.ts';
import { RAW } from '../format/verdict.ts';
import type { BlockDevice } from '../kernel/block-device.ts';
import type { KnownVolume } from './known-volume.ts';

/**
 * IDENTIFY is a poor passport: software targets give all their disks the same one. So a node that gives a volume back records what its
 * disk holds then, and the next one compares before it writes. In between, while somebody may write, nothing is recorded: a node that
 * dies leaves "unknown", never a fingerprint that is no longer true.
 */

const COMPARE_MS = 120_000;

/** Who uses the volume, by which publication. */
export interface Holder {
  readonly nodeId: string;
  readonly epoch: number;
}

/**
 * That a disk holds what it held when it was last given back. Nothing has been written to it yet.
 * @throws VolumeError `failed-precondition` with what is known of both; `unavailable` when it can't be read
 */
export async function requireSameContents(address: string, claim: ClaimRecord | undefined, device: BlockDevice): Promise<void> {
  if (claim === undefined || !isComparable(claim.fingerprint)) return;
  const { fingerprint: expected, format } = claim;
  const isShort = device.sizeBytes < expected.sizeBytes;
  const found = isShort ? undefined : await fingerprintOfDevice(device, expected.sizeBytes, COMPARE_MS);
  if (found?.sha256 === expected.sha256) return;
  const holds = describeProbe(await probeDevice(device));
  const now = `${device.sizeBytes} bytes with ${holds}${found === undefined ? '' : `, fingerprint ${shown(found.sha256)}`}`;
  throw new VolumeError(
    'failed-precondition',
    `cannot use ${address}: its disk is not as it was left. ${describe(expected, format)}; found ${now}. It is another disk, or an older ` +
      'state of it, or somebody else has written to it. Bring the right disk back; or, if it is right as it is, because it was ' +
      `restored or repaired, take the volume from all nodes and run: aoe-csi accept ${address}`,
  );
}

function describe({ sizeBytes, nodeId, takenAtMs, sha256 }: FingerprintRecord, { state, fsType, uuid }: FormatRecord): string {
  const known = state === 'formatted' && fsType !== RAW ? `${fsType}, UUID ${uuid}` : 'data of its own';
  return `Node ${nodeId} left ${sizeBytes} bytes with ${known}, fingerprint ${shown(sha256)}, at ${new Date(takenAtMs).toISOString()}`;
}

/** Enough to tell two apart. */
function shown(sha256: string): string {
  return sha256.slice(0, 16);
}

/**
 * From here on the disk may change: the record must not say any more what it holds.
 * @throws VolumeError `failed-precondition` when the volume is not this holder's any more
 */
export async function withdrawFingerprint(store: Store, volume: KnownVolume, holder: Holder): Promise<void> {
  if (volume.claim === undefined) return;
  await change(store.targets, volume.address, (record) => {
    const claim = claimHeld(record, volume.claim?.claim, holder);
    if (claim === undefined) {
      const why = `it was deleted or taken from node ${holder.nodeId} meanwhile`;
      throw new VolumeError('failed-precondition', `cannot use ${volume.volumeId}: ${why}`);
    }
    return claim.fingerprint === undefined ? undefined : { ...record, claim: { ...claim, fingerprint: undefined } };
  });
}

/**
 * Records what a disk holds that its holder gives back: nobody on this machine writes to it any more, and no other machine may yet.
 * @param claim that the disk is read for
 * @returns false when the volume is not this holder's any more
 * @throws VolumeError `unavailable` when it can't be read in time
 */
export async function recordFingerprint(
  store: Store,
  { address, claim }: { readonly address: string; readonly claim: string },
  holder: Holder,
  device: BlockDevice,
  timeoutMs: number,
): Promise<boolean> {
  const seen = await fingerprintOfDevice(device, device.sizeBytes, timeoutMs);
  const fingerprint: FingerprintRecord = { ...seen, nodeId: holder.nodeId, takenAtMs: Date.now() };
  let isRecorded = false;
  await change(store.targets, address, (record) => {
    const held = claimHeld(record, claim, holder);
    isRecorded = held !== undefined;
    return held && { ...record, claim: { ...held, fingerprint } };
  });
  return isRecorded;
}

/** The claim in a record, as long as it is this one and this holder's. */
function claimHeld({ claim, publications }: TargetRecord, expected: string | undefined, holder: Holder): ClaimRecord | undefined {
  if (claim === undefined || claim.claim !== expected) return undefined;
  const isHeld = publications.some(({ nodeId, epoch }) => nodeId === holder.nodeId && epoch === holder.epoch);
  return isHeld ? claim : undefined;
}
