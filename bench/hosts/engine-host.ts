/**
 * `engine-host.js INTERFACE SHELF SLOT PATTERN BLOCK-BYTES DEPTH SECONDS`: our initiator's loop with requests made inside it, so
 * without NBD and its client. Warms up, runs one workload for SECONDS and prints an EngineReport as JSON.
 */
import { OP_READ, OP_WRITE, RequestPool, type BlockRequest, type RequestOwner } from '../../src/block/request.ts';
import { STATUS_OK, blockStatusName } from '../../src/block/status.ts';
import { SECTOR_BYTES } from '../../src/aoe/constants.ts';
import type { Volume } from '../../src/aoe/volume.ts';
import type { Loop } from '../../src/initiator/loop.ts';
import { DataPathMeter, type DataPathCosts } from './data-path-meter.ts';
import { openVolume } from './open-volume.ts';

const WARM_UP_SECONDS = 0.5;

/** Of one measured run. */
export interface EngineReport extends DataPathCosts {
  readonly requests: number;
  readonly bytes: number;
}

/** Keeps a number of requests in flight on a volume until it is told to stop. */
class Load implements RequestOwner {
  finished = 0;
  inFlight = 0;
  stopping = false;
  readonly #volume: Volume;
  readonly #random: boolean;
  readonly #blockSectors: number;
  readonly #blocks: number;
  #next = 0;

  constructor(loop: Loop, volume: Volume, pattern: string, blockBytes: number, depth: number) {
    this.#volume = volume;
    this.#random = pattern.startsWith('rand');
    this.#blockSectors = blockBytes / SECTOR_BYTES;
    this.#blocks = Math.floor(volume.sectors / this.#blockSectors);
    const pool = new RequestPool(depth);
    for (let request = pool.take(); request !== undefined; request = pool.take()) {
      request.op = pattern.endsWith('read') ? OP_READ : OP_WRITE;
      request.sectors = this.#blockSectors;
      request.chunk = loop.chunks.allocate(blockBytes);
      request.owner = this;
      this.#submit(request);
    }
  }

  completed(request: BlockRequest): void {
    if (request.status !== STATUS_OK) throw new Error(`request failed: ${blockStatusName(request.status)}`);
    this.finished++;
    this.inFlight--;
    if (!this.stopping) this.#submit(request);
  }

  #submit(request: BlockRequest): void {
    const block = this.#random ? Math.floor(Math.random() * this.#blocks) : this.#next++ % this.#blocks;
    request.lba = block * this.#blockSectors;
    this.inFlight++;
    this.#volume.submit(request);
  }
}

function runFor(loop: Loop, load: Load, seconds: number): void {
  const stopAtMs = performance.now() + seconds * 1000;
  load.finished = 0;
  while (performance.now() < stopAtMs) loop.turn();
}

const [networkInterface, shelf, slot, pattern, blockBytes, depth, seconds] = process.argv.slice(2);
const meter = new DataPathMeter();
const { loop, volume, wake } = openVolume(networkInterface, Number(shelf), Number(slot));
const load = new Load(loop, volume, pattern, Number(blockBytes), Number(depth));
wake();
runFor(loop, load, WARM_UP_SECONDS);
meter.begin(loop);
runFor(loop, load, Number(seconds));
const report: EngineReport = { ...meter.end(loop), requests: load.finished, bytes: load.finished * Number(blockBytes) };
load.stopping = true;
while (load.inFlight > 0) loop.turn();
console.log(JSON.stringify(report));
process.exit(0);
