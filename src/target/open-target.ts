import { createHash } from 'node:crypto';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { formatTargetAddress, type Mac, type TargetAddress } from '../aoe/address.ts';
import { ArenaPlan, type Arena } from '../buffers/arena.ts';
import { FileIo } from '../system/file-io.ts';
import { mapArena } from '../system/memory.ts';
import type { Backing } from './backing.ts';
import { FileBacking } from './backing-file.ts';
import { TargetDevice } from './device.ts';
import { Faults, type FaultOptions } from './faults.ts';
import { HeldRequests } from './held-requests.ts';
import type { TargetLog } from './log.ts';
import { FRAME_STRIDE, TargetServer } from './server.ts';
import { StateFile } from './state-file.ts';
import { VolatileState, type StateStore } from './state.ts';
import { FRAME_SECTORS_MAX, TargetPort } from './target-port.ts';
import { VolatileCache } from './volatile-cache.ts';

/** Most exports of one process, and most requests that all of them together can hold. */
export const EXPORTS_MAX = 256;
export const HELD_REQUESTS_MAX = 16_384;
export const BUFFER_COUNT_MAX = 4096;
export const BUFFER_COUNT_DEFAULT = 128;

/** A file or block device and the address it is served at. */
export interface ExportOptions {
  readonly address: TargetAddress;
  readonly path: string;
  readonly readOnly: boolean;
  /** IDENTIFY's serial, up to 20 characters, for a target without saved state; else one is made. */
  readonly serial?: string | undefined;
}

export interface TargetOptions {
  /** Interface names; every export is served on each. */
  readonly interfaces: readonly string[];
  readonly exports: readonly ExportOptions[];
  readonly bufferCount: number;
  /** Cap on sectors per frame; the MTU decides where it is left out. */
  readonly sectorsPerFrame?: number | undefined;
  /** MAC mask of targets without saved state. */
  readonly mask: readonly Mac[];
  /** Folder for state files; beside each exported file where it is left out. Block devices need it. */
  readonly stateFolder?: string | undefined;
  /** Config string, mask and reserve list are forgotten when the process ends. */
  readonly forgetState: boolean;
  /** Writes that have not been flushed stay in memory only. */
  readonly volatileCache: boolean;
  readonly faults?: FaultOptions | undefined;
  /** Version of the program, for IDENTIFY: up to 8 characters. */
  readonly firmware: string;
}

/** A target that runs: its server, and its volatile caches by name. */
export interface RunningTarget {
  readonly server: TargetServer;
  readonly caches: readonly VolatileCache[];
}

/**
 * Opens everything a target needs and returns it ready to `run`.
 * @throws BackingError, StateFileError, SystemError or InterfaceRefused, each with what to do; nothing stays open then but
 * what the end of the process closes
 */
export function openTarget(options: TargetOptions, log: TargetLog): RunningTarget {
  const { exports, bufferCount } = options;
  const faults = options.faults === undefined ? undefined : new Faults(options.faults);
  const heldCount = faults?.holds === true ? exports.length * bufferCount : 0;
  if (heldCount > HELD_REQUESTS_MAX) {
    throw new RangeError(
      `cannot hold ${heldCount} requests back: with --delay or --slow, exports times --buffers is at most ${HELD_REQUESTS_MAX}`,
    );
  }
  const plan = new ArenaPlan();
  const layout = TargetServer.reserve(plan);
  const ioOffset = plan.reserve(FileIo.sizeBytes(1));
  const heldOffset = HeldRequests.reserve(plan, heldCount, FRAME_STRIDE);
  const stagingOffset = plan.reserve(exports.length * VolatileCache.stagingBytes);
  const arena = mapArena(plan.sizeBytes);
  const io = new FileIo(arena, ioOffset, 1);

  const caches: VolatileCache[] = [];
  const devices = exports.map((item, index) => {
    const staging = stagingOffset + index * VolatileCache.stagingBytes;
    const backing = openBacking(io, arena, staging, item, options.volatileCache);
    if (backing instanceof VolatileCache) caches.push(backing);
    const state = stateOf(item, options);
    return new TargetDevice({ address: item.address, backing, state, log, bufferCount, firmware: options.firmware, faults });
  });
  const queueFrames = bufferCount * exports.length;
  const sectorsMax = options.sectorsPerFrame ?? FRAME_SECTORS_MAX;
  const ports = options.interfaces.map((name) => new TargetPort(name, sectorsMax, queueFrames));
  const held = new HeldRequests(arena, heldOffset, heldCount === 0 ? 0 : exports.length, bufferCount, FRAME_STRIDE);
  const network = faults === undefined ? undefined : { faults, held };
  return { server: new TargetServer(arena, layout, ports, devices, log, network), caches };
}

function openBacking(io: FileIo, arena: Arena, staging: number, item: ExportOptions, isVolatile: boolean): Backing {
  const backing = FileBacking.open(io, item.path, item.readOnly);
  return isVolatile ? new VolatileCache(backing, arena, staging) : backing;
}

function stateOf({ address, path, serial }: ExportOptions, { forgetState, stateFolder, mask }: TargetOptions): StateStore {
  if (forgetState) return new VolatileState(serial ?? derivedSerial(path), mask);
  const file =
    stateFolder === undefined ? `${path}.aoe` : join(stateFolder, `${formatTargetAddress(address.shelf, address.slot)}.json`);
  return new StateFile(file, { mask, serial });
}

/** The same for the same path on the same machine: without saved state that is all there is to recognize. */
function derivedSerial(path: string): string {
  return createHash('sha256').update(`${hostname()}:${path}`).digest('hex').slice(0, 20);
}
