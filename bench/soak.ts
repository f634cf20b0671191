import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Engine, reserveEngineMemory } from '../src/aoe/engine.ts';
import type { EngineEvents } from '../src/aoe/events.ts';
import type { Identity } from '../src/aoe/identify.ts';
import { VOLUME_OPTIONS_DEFAULT } from '../src/aoe/volume.ts';
import { RequestPool } from '../src/block/request.ts';
import { ArenaPlan, plainArena } from '../src/buffers/arena.ts';
import { CHUNK_BYTES, ChunkPool } from '../src/buffers/chunk-pool.ts';
import { NbdSession, STAGING_BYTES } from '../src/nbd/session.ts';
import { nowUs } from '../src/time/clock.ts';
import type { Row } from './row.ts';
import { EchoTarget } from './soak/echo-target.ts';
import { NbdLoad } from './soak/nbd-load.ts';
import { formatNumber, formatTable } from './support/table.ts';

const CHUNKS = 128;
const DEPTH = 32;
const BLOCK_BYTES = 4_096;
const VOLUME_SECTORS = 1 << 20;
const SECTOR_BYTES = 512;
const ADDRESS = { shelf: 10, slot: 3 };
const OUR_MAC = 0x02_00_00_00_00_01;
const TARGET_MAC = 0x02_00_00_00_00_02;
const WARM_UP_REQUESTS = 1_000_000;
const ATTACH_TIMEOUT_US = 5_000_000;
const CHECKPOINTS = 10;
/** Few enough that no collection comes between two looks at the heap, even if each request allocated a kilobyte. */
const PROBE_REQUESTS = 5_000;
const PROBES = 20;

export interface SoakOptions {
  readonly requests: number;
  readonly mtu: number;
  /** Where tables and progress go. */
  readonly print: (text: string) => void;
  readonly progress: (text: string) => void;
}

/** What is left after a full collection, and what the process takes from the system. */
interface Checkpoint {
  readonly requests: number;
  readonly heapBytes: number;
  readonly rssBytes: number;
}

/**
 * Both engines under load for many requests, NBD bytes in, AoE frames out and back, NBD bytes out, with a client and a target
 * that allocate nothing, all in this process and without a system call: whatever the heap does is the engines' doing. Shows the
 * heap after collection at ten points, the bytes allocated per request, and the time that both engines take.
 */
export function soak(options: SoakOptions): Row[] {
  const setup = prepare(options.mtu);
  run(setup, WARM_UP_REQUESTS);
  const collect = exposeCollector();
  const allocated = allocatedBytesPerRequest(setup, collect);
  const checkpoints = [look(0, collect)];
  const framesBefore = setup.engine.counters.answers;
  let elapsedUs = 0;
  for (let point = 1; point <= CHECKPOINTS; point++) {
    const requests = Math.ceil(options.requests / CHECKPOINTS);
    const beganUs = nowUs();
    run(setup, requests);
    elapsedUs += nowUs() - beganUs;
    checkpoints.push(look(point * requests, collect));
    options.progress(`soak mtu ${options.mtu}: ${formatNumber(point * requests)} requests`);
  }
  const frames = setup.engine.counters.answers - framesBefore;
  return report(options, checkpoints, allocated, elapsedUs, frames);
}

interface Setup {
  readonly engine: Engine;
  readonly load: NbdLoad;
  readonly turn: () => void;
}

function prepare(mtu: number): Setup {
  const plan = new ArenaPlan();
  const memory = reserveEngineMemory(plan, 1);
  const targetMemory = EchoTarget.reserve(plan);
  const stagingOffset = plan.reserve(STAGING_BYTES);
  const chunksOffset = plan.reserve(CHUNKS * CHUNK_BYTES);
  const arena = plainArena(plan.sizeBytes);
  const chunks = new ChunkPool(chunksOffset, CHUNKS);
  const engine = new Engine({ arena, memory, chunks, events: SILENT, random: Math.random, tagPrefix: 0 });
  const port = engine.addPort({ name: 'san0', mac: OUR_MAC, mtu, up: true }, nowUs());
  if (port === undefined) throw new Error('soak: the engine took no port');
  const target = new EchoTarget(arena, targetMemory, TARGET_MAC, ADDRESS, IDENTITY, Math.floor((mtu - 36) / SECTOR_BYTES));
  const exchange = (): void => {
    const now = nowUs();
    engine.advance(now);
    while (target.exchange(engine, port, now) > 0) engine.advance(now);
  };
  const volume = engine.attach(ADDRESS.shelf, ADDRESS.slot, VOLUME_OPTIONS_DEFAULT, nowUs());
  if (typeof volume === 'string') throw new Error(volume);
  const deadlineUs = nowUs() + ATTACH_TIMEOUT_US;
  while (!volume.ready) {
    if (nowUs() > deadlineUs) throw new Error(`soak: ${volume.name} is not attached: ${volume.target.obstacle}`);
    exchange();
  }
  const requests = new RequestPool(2 * DEPTH);
  const session = new NbdSession({ arena, chunks, requests, stagingOffset, device: volume });
  const load = new NbdLoad(session, arena, DEPTH, BLOCK_BYTES, (VOLUME_SECTORS * SECTOR_BYTES) / BLOCK_BYTES);
  const turn = (): void => {
    load.send();
    exchange();
    load.receive();
  };
  return { engine, load, turn };
}

function run({ load, turn }: Setup, requests: number): void {
  for (const end = load.answered + requests; load.answered < end;) turn();
}

/** The median of short stretches: looking at the heap allocates, too, and V8 may do things of its own in one of them. */
function allocatedBytesPerRequest(setup: Setup, collect: () => void): number {
  const samples: number[] = [];
  for (let probe = 0; probe < PROBES; probe++) {
    collect();
    const before = process.memoryUsage().heapUsed;
    const empty = process.memoryUsage().heapUsed - before;
    const began = process.memoryUsage().heapUsed;
    run(setup, PROBE_REQUESTS);
    samples.push((process.memoryUsage().heapUsed - began - empty) / PROBE_REQUESTS);
  }
  return Math.max(0, samples.toSorted((a, b) => a - b)[PROBES >> 1]);
}

function look(requests: number, collect: () => void): Checkpoint {
  collect();
  const { heapUsed, rss } = process.memoryUsage();
  return { requests, heapBytes: heapUsed, rssBytes: rss };
}

function report(
  options: SoakOptions,
  checkpoints: readonly Checkpoint[],
  allocated: number,
  elapsedUs: number,
  frames: number,
): Row[] {
  const first = checkpoints[0];
  const last = checkpoints[checkpoints.length - 1];
  const lines = checkpoints.map(({ requests, heapBytes, rssBytes }) => [
    formatNumber(requests),
    (heapBytes / 1024).toFixed(0),
    (rssBytes / 1024).toFixed(0),
  ]);
  const measures: [value: number, unit: string][] = [
    [last.heapBytes - first.heapBytes, 'heap growth bytes'],
    [last.rssBytes - first.rssBytes, 'rss growth bytes'],
    [allocated, 'bytes allocated/request'],
    [elapsedUs / last.requests, 'us/request'],
    [elapsedUs / frames, 'us/frame'],
  ];
  options.print(`\n${formatTable([`requests, MTU ${options.mtu}`, 'heap KiB after collection', 'RSS KiB'], lines)}`);
  for (const [value, unit] of measures) options.print(`${unit}: ${formatNumber(value)}`);
  const workload = `read and write 4k qd${DEPTH} mtu${options.mtu}`;
  return measures.map(([value, unit]) => ({ suite: 'soak', workload, subject: 'aoe-csi engines', value, unit }));
}

/** V8's full collection, without starting Node with a flag for it. */
function exposeCollector(): () => void {
  setFlagsFromString('--expose-gc');
  return runInNewContext('gc') as () => void;
}

const SILENT: EngineEvents = {
  notice: () => undefined,
  attached: () => undefined,
  attachRefused: (target, reason) => {
    throw new Error(`soak: ${target.name} refused: ${reason}`);
  },
  detached: () => undefined,
};

const IDENTITY: Identity = {
  serial: 'soak',
  firmware: '1',
  model: 'echo',
  sectors: VOLUME_SECTORS,
  lba48: true,
  flush: 'ext',
  trim: false,
  trimBlocksMax: 0,
  readZeroAfterTrim: false,
  physicalSectorBytes: 512,
  logicalSectorBytes: 512,
  rotational: false,
};
