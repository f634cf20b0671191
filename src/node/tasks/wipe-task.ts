import { setTimeout as sleep } from 'node:timers/promises';
import { isVolumeError, VolumeError } from '../../volumes/errors.ts';
import type { WipePolicy } from '../../volumes/parameter-table.ts';
import { settingsOfVolume } from '../../volumes/parameters.ts';
import type { ClaimRecord } from '../../volumes/records.ts';
import { crashPoint } from '../crash-points.ts';
import { describeProbe, probeDevice, type Probe } from '../format/probe.ts';
import { requireIdle, type BlockDevice } from '../kernel/block-device.ts';
import { run, runWell } from '../kernel/run.ts';
import { attachDevice } from '../staging/attach-device.ts';
import { attachSettings } from '../staging/attach-settings.ts';
import { requireSameContents } from '../staging/known-disk.ts';
import { clearClaim, releaseReservation, requireClaim, requireIdentity } from '../staging/ownership.ts';
import { changeTask, type HandedTask, type TaskParts } from './target-task.ts';
import { reserveForTask } from './task-reservation.ts';
import { planBytes, remainingSteps, wipePlan, type WipeStep } from './wipe-plan.ts';

const ATTACH_MS = 30_000;
const DETACH_MS = 30_000;
/** The record is written after the first step of a wipe, and then this often at most. */
const PROGRESS_MS = 5_000;
/**
 * A node that has been silent for NODE_SILENT_MS, and its last beat may have been NODE_HEARTBEAT_MS before that, loses its wipe to
 * another one, and then the target may soon be a new volume's: zeros that come late would land in that. So what this node has not
 * written is failed before, by these two; one step beyond the last look at the record is the longest that it goes on alone.
 */
export const STEP_MS = 60_000;
export const WIPE_DEAD_SECONDS = 45;
const DROP_RETRY_MS = 2_000;

/**
 * Wipes a target that was given back, as the class of its last volume wants it, and frees it: goes on where an interrupted wipe has
 * stopped. What is on the disk afterwards is looked at before anybody else gets it. A volume that no node has ever used has written
 * nothing: its disk is only looked at.
 * @throws VolumeError why it can't be done now
 */
export async function wipeTarget(parts: TaskParts, handed: HandedTask): Promise<void> {
  const { address, claim, identity, fencing } = handed.target;
  if (claim === undefined) throw new VolumeError('internal', `cannot wipe ${address}: its record does not say whose it was`);
  const { initiator, clusterId } = parts;
  await requireIdentity(initiator, address, identity);
  await requireClaim(initiator, address, clusterId, claim.claim);
  const { wipe } = settingsOfVolume(claim);
  // From whoever had the volume last: to write, and to give it back.
  if (fencing === 'reserve') await reserveForTask(parts, handed);
  if (wipe !== 'none') await wipeDisk(parts, handed, claim, wipe);
  crashPoint('wipe-written');
  if (fencing === 'reserve') await releaseReservation(initiator, address);
  await clearClaim(initiator, address, clusterId, claim.claim);
  crashPoint('wipe-cleared');
  // Before the target is free: who still saw our claim on it would take it for a stranger's.
  await parts.reporter.refresh(address);
  const isFree = await changeTask(parts, handed, (record) => ({
    ...record,
    state: 'Available',
    reason: '',
    claim: undefined,
    publications: [],
    task: undefined,
  }));
  crashPoint('wipe-done');
  if (isFree) handed.logger.info(`${address} is wiped (${wipe}) and free`, { target: address });
}

async function wipeDisk(parts: TaskParts, handed: HandedTask, claim: ClaimRecord, wipe: WipePolicy): Promise<void> {
  const { initiator } = parts;
  const { address } = handed.target;
  const wanted = { ...settingsOfVolume(claim), deadSeconds: WIPE_DEAD_SECONDS };
  const settings = await attachSettings(initiator, address, wanted, false);
  try {
    const device = await attachDevice(initiator, address, settings, ATTACH_MS);
    await requireIdle(device);
    // A stranger's disk behind this address is not wiped either.
    await requireSameContents(address, claim, device);
    const isOurs = claim.format.state !== 'never';
    // All of the disk, which may have grown since somebody wrote down its size.
    if (isOurs) await carryOut(parts, handed, device, wipePlan(wipe, device.sizeBytes));
    const probe = await probeDevice(device);
    if (probe.kind !== 'blank') throw notBlank(address, probe, isOurs);
  } catch (error) {
    // The next attempt finds it attached, should this not do: nothing is under way to it.
    await initiator.detach(address, false, DETACH_MS).catch(() => undefined);
    throw error;
  }
  await initiator.detach(address, false, DETACH_MS);
}

/** What a volume that was never used finds on its disk has been there before it, and is not ours to wipe. */
function notBlank(address: string, probe: Probe, isOurs: boolean): VolumeError {
  if (isOurs) return new VolumeError('internal', `cannot free ${address}: after the wipe there is ${describeProbe(probe)}`);
  return new VolumeError(
    'failed-precondition',
    `cannot free ${address}: found ${describeProbe(probe)}, which no volume of this cluster has written; nothing is done to it. ` +
      'If nobody needs it, clear the disk by hand (wipefs, dd): it becomes free within minutes. Else give it a claim of its owner',
  );
}

/** @throws VolumeError; nothing of it is written any more then */
async function carryOut(parts: TaskParts, handed: HandedTask, device: BlockDevice, plan: readonly WipeStep[]): Promise<void> {
  try {
    await takeSteps(parts, handed, device, plan);
  } catch (error) {
    await drop(parts, handed, error as Error);
    throw error;
  }
}

/**
 * What a failed wipe has not written yet is never written: whoever gets the task next may have wiped and freed the target by then. Only
 * when that is sure is the task given back, so this goes on for as long as the initiator is away.
 */
async function drop({ initiator }: TaskParts, { target: { address }, logger }: HandedTask, reason: Error): Promise<void> {
  for (let complaint = ''; ; await sleep(DROP_RETRY_MS)) {
    try {
      await initiator.detach(address, true, DETACH_MS);
      return;
    } catch (error) {
      const { message } = error as Error;
      if (message !== complaint) {
        logger.warn(`the wipe of ${address} has failed (${reason.message}) and can't be given back: ${message}; trying again`, {
          target: address,
        });
      }
      complaint = message;
    }
  }
}

async function takeSteps(parts: TaskParts, handed: HandedTask, device: BlockDevice, plan: readonly WipeStep[]): Promise<void> {
  const totalBytes = planBytes(plan);
  let doneBytes = handed.task.totalBytes === totalBytes ? handed.task.doneBytes : 0;
  let savedMs = -Infinity;
  const save = async (): Promise<void> => {
    const isOurs = await changeTask(parts, handed, (record) => ({
      ...record,
      state: 'Wiping',
      claim: record.claim && { ...record.claim, fingerprint: undefined },
      task: record.task && { ...record.task, state: 'running', message: '', doneBytes, totalBytes },
    }));
    if (!isOurs) throw new VolumeError('aborted', `${handed.target.address} is wiped by another node now`);
  };
  await save();
  crashPoint('wipe-started');
  for (const step of remainingSteps(plan, doneBytes)) {
    await (step.action === 'zero' ? zero(device, step) : discard(device, step));
    doneBytes += step.lengthBytes;
    if (performance.now() - savedMs < PROGRESS_MS) continue;
    await save();
    savedMs = performance.now();
    crashPoint('wipe-progress');
    const percent = Math.floor((doneBytes * 100) / totalBytes);
    handed.logger.info(`wiping ${handed.target.address}: ${percent} % of ${totalBytes} bytes`, { target: handed.target.address });
  }
}

/** Past the page cache and through to the disk, in a process of its own: the target may be silent for long. */
async function zero({ path }: BlockDevice, { startBytes, lengthBytes }: WipeStep): Promise<void> {
  const words = ['if=/dev/zero', `of=${path}`, 'bs=1M', `count=${lengthBytes}`, `seek=${startBytes}`];
  const flags = ['iflag=count_bytes,fullblock', 'oflag=direct,seek_bytes', 'conv=notrunc,nocreat,fdatasync', 'status=none'];
  try {
    await runWell('dd', [...words, ...flags], { timeoutMs: STEP_MS });
  } catch (error) {
    throw new VolumeError(
      'unavailable',
      `cannot write ${lengthBytes} bytes at ${startBytes} of ${path}: ${(error as Error).message}`,
    );
  }
}

/** A disk that can't discard keeps its data, but for the headers: `discard` promises no more than the disk can. */
async function discard({ path }: BlockDevice, { startBytes, lengthBytes }: WipeStep): Promise<void> {
  const words = ['--offset', String(startBytes), '--length', String(lengthBytes), path];
  try {
    await run('blkdiscard', words, { timeoutMs: STEP_MS });
  } catch (error) {
    throw new VolumeError(
      'unavailable',
      `cannot discard ${lengthBytes} bytes at ${startBytes} of ${path}: ${(error as Error).message}`,
    );
  }
}

/** For the agent: a failure that may pass by itself. */
export function mayPass(error: unknown): boolean {
  return isVolumeError(error) && (error.code === 'unavailable' || error.code === 'aborted');
}
