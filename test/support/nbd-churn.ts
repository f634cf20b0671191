import { STATUS_OK } from '../../src/block/status.ts';
import type { BlockDevice } from '../../src/block/device.ts';
import { IoVector } from '../../src/buffers/io-vector.ts';
import { encodeCommand } from './nbd-client.ts';
import { NbdWire } from './nbd-wire.ts';

/**
 * Sends a session requests in batches, as long as asked for, and prints how many bytes JavaScript's heap grew by: `node
 * --expose-gc --min-semi-space-size=64 nbd-churn.js <requests>`. With the collector held back like that, growth is allocation.
 */

const BATCH = 64;
const WARM_UP_ROUNDS = 5_000;

const wire = new NbdWire({ chunks: 128, requests: 128 });
const device: BlockDevice = {
  name: 'e10.3',
  sectors: 2 ** 20,
  readOnly: false,
  canTrim: true,
  submit(request) {
    request.status = STATUS_OK;
    request.owner?.completed(request);
  },
  abandon: () => undefined,
};
const session = wire.session({ device });
const vector = new IoVector(64);

/** Reads and writes of 4 KiB and 64 KiB, flushes and refusals; cookies that don't fit into 31 bits. */
const batch = Buffer.concat(
  Array.from({ length: BATCH }, (_, index) => {
    const cookie = 0xffff_fff0_ffff_0000n + BigInt(index);
    const length = index % 8 === 7 ? 65_536 : 4096;
    const type = [0, 1, 0, 1, 3, 1, 99, 1][index % 8];
    const data = type === 1 ? { data: Buffer.alloc(length, index) } : {};
    return encodeCommand({ type, cookie, offset: type === 3 ? 0n : 8192n, length: type === 3 ? 0 : length, ...data });
  }),
);

function exchangeBatch(): void {
  let at = 0;
  while (at < batch.length) {
    session.fillReceive(vector);
    const before = at;
    for (let range = 0; range < vector.count && at < batch.length; range++) {
      at += batch.copy(wire.arena.bytes, vector.offsets[range], at, at + vector.lengths[range]);
    }
    session.received(at - before);
    for (session.fillTransmit(vector); vector.count > 0; session.fillTransmit(vector)) session.transmitted(vector.sizeBytes);
  }
}

for (let round = 0; round < WARM_UP_ROUNDS; round++) exchangeBatch();
globalThis.gc?.();
const heapBefore = process.memoryUsage().heapUsed;
const rounds = Number(process.argv[2]) / BATCH;
for (let round = 0; round < rounds; round++) exchangeBatch();
const heapGrowthBytes = process.memoryUsage().heapUsed - heapBefore;
const { read, write, flush } = session.counters.requests;
console.log(JSON.stringify({ requests: read + write + flush + session.counters.refused.unknownCommand, heapGrowthBytes }));
