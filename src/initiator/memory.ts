import { reserveEngineMemory, type EngineMemory } from '../aoe/engine.ts';
import { ArenaPlan, type Arena } from '../buffers/arena.ts';
import { CHUNK_BYTES } from '../buffers/chunk-pool.ts';
import { STAGING_BYTES } from '../nbd/session.ts';
import { StreamIo } from '../system/stream-io.ts';
import { mapArena } from '../system/memory.ts';
import { PortDriver } from './port-driver.ts';

/** Interfaces one initiator serves. */
export const INTERFACES_MAX = 8;
/** NBD connections open at once; further ones are accepted and closed, so that their client sees an end and not a hang. */
export const CONNECTIONS_MAX = 256;
/** Requests under way: as many as Linux makes of a device at once, on each connection. What one has is missed by no other. */
export const REQUESTS_MAX = CONNECTIONS_MAX * 128;
/** Ranges that one receive or send on a stream socket names. */
export const STREAM_RANGES_MAX = 256;

/** All memory of the data path, dealt out once: nothing is allocated while I/O runs. Untouched parts cost no physical memory. */
export interface DataPathMemory {
  readonly arena: Arena;
  readonly engine: EngineMemory;
  readonly chunksOffset: number;
  readonly chunks: number;
  readonly ports: readonly number[];
  readonly stagings: readonly number[];
  readonly stream: number;
}

export function mapDataPathMemory(chunks: number): DataPathMemory {
  const plan = new ArenaPlan();
  const engine = reserveEngineMemory(plan, INTERFACES_MAX);
  const stream = plan.reserve(StreamIo.sizeBytes(STREAM_RANGES_MAX));
  const ports = Array.from({ length: INTERFACES_MAX }, () => plan.reserve(PortDriver.sizeBytes(), 4096));
  const stagings = Array.from({ length: CONNECTIONS_MAX }, () => plan.reserve(STAGING_BYTES, 4096));
  const chunksOffset = plan.reserve(chunks * CHUNK_BYTES, 4096);
  return { arena: mapArena(plan.sizeBytes), engine, chunksOffset, chunks, ports, stagings, stream };
}
