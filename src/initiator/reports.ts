/** Turns the data path's state into what is told to people. */
import { formatMac } from '../aoe/address.ts';
import { SECTOR_BYTES } from '../aoe/constants.ts';
import { standingName, type Path } from '../aoe/path.ts';
import { TARGET_ATTACHING, type Target } from '../aoe/target.ts';
import type { Loop } from './loop.ts';
import type { PathState, Statistics, TargetReport } from './messages.ts';

export function targetReport(target: Target, nowUs: number): TargetReport {
  const { identity } = target;
  return {
    name: target.name,
    shelf: target.shelf,
    slot: target.slot,
    state: target.state,
    reason: target.state === TARGET_ATTACHING ? target.obstacle : target.reason,
    sectors: identity?.sectors ?? 0,
    serial: identity?.serial ?? '',
    model: identity?.model ?? '',
    firmware: identity?.firmware ?? '',
    bufferCount: target.bufferCount,
    sectorsPerFrame: target.sectorCount,
    configString: target.configString,
    flush: identity?.flush ?? '',
    trim: identity?.trim ?? false,
    paths: target.paths.map(pathState),
    silentMs: silentMs(target, nowUs),
  };
}

function silentMs({ paths }: Target, nowUs: number): number {
  const seenUs = Math.max(...paths.map((path) => path.seenUs));
  return seenUs === -Infinity ? Number.MAX_SAFE_INTEGER : Math.max(0, Math.round((nowUs - seenUs) / 1_000));
}

function pathState(path: Path): PathState {
  return {
    interface: path.port.name,
    mac: formatMac(path.mac),
    standing: path.target.volume === undefined ? '' : standingName(path.standing),
    payloadBytes: path.sectorsMax * SECTOR_BYTES,
    roundTripUs: Math.round(path.roundTrip.smoothedUs),
    timeoutUs: Math.round(path.roundTrip.timeoutUs),
    window: path.window.size,
    inFlight: path.inFlight,
    framesSent: path.framesSent,
    framesResent: path.framesResent,
    timeouts: path.timeouts,
  };
}

/** Everything that is counted, under one flat set of names. */
export function statisticsOf(loop: Loop): Statistics {
  const statistics: Record<string, number> = {};
  for (const [name, value] of Object.entries(loop.engine.counters)) statistics[`aoe.${name}`] = value as number;
  const nbd = loop.front.counters;
  for (const [name, value] of Object.entries(nbd.requests)) statistics[`nbd.requests.${name}`] = value;
  for (const [name, value] of Object.entries(nbd.bytes)) statistics[`nbd.bytes.${name}`] = value;
  for (const [name, value] of Object.entries(nbd.refused)) statistics[`nbd.refused.${name}`] = value;
  for (const [name, value] of Object.entries(nbd.dropped)) statistics[`nbd.dropped.${name}`] = value;
  statistics['nbd.failed'] = nbd.failed;
  statistics['nbd.pauses'] = nbd.pauses;
  statistics['nbd.refusedConnections'] = loop.front.refusedConnections;
  statistics['loop.turns'] = loop.turns;
  statistics['loop.chunksFree'] = loop.chunks.free;
  for (const { name, framesSent, framesReceived, framesDropped } of loop.interfaces.states()) {
    statistics[`interface.${name}.framesSent`] = framesSent;
    statistics[`interface.${name}.framesReceived`] = framesReceived;
    statistics[`interface.${name}.framesDropped`] = framesDropped;
  }
  return statistics;
}
