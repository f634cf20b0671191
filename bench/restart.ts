import { setTimeout as sleep } from 'node:timers/promises';
import { inLaboratory, SAN } from '../test/support/faults-laboratory.ts';
import { NbdClient } from '../test/support/faults-nbd-client.ts';
import type { Row } from './row.ts';
import { summarize } from './support/statistics.ts';
import { formatNumber, formatTable } from './support/table.ts';

export interface RestartOptions {
  readonly rounds: number;
  readonly print: (text: string) => void;
  readonly progress: (text: string) => void;
}

/** Restarts of a round: each is longer than the one before, so that the initiator has slowed its asking down. */
const AWAY_MS = [100, 500, 1_000, 2_000, 4_000];
const ADDRESS = 'e10.3';
const BLOCK_BYTES = 4096;
const SUITE = 'restart';

/**
 * How long a write that waits for a target waits after the target serves again: from the line in which our target says so, which it
 * prints before its first announcement, to the write's reply. Lowest values are below 0 where the reply overtakes the line.
 */
export async function measureRestarts({ rounds, print, progress }: RestartOptions): Promise<Row[]> {
  const waits = AWAY_MS.map((): number[] => []);
  await inLaboratory(async (lab) => {
    lab.wire();
    const words = `${ADDRESS}=${lab.disk()}`;
    let target = await lab.aoeCsiTarget(words);
    const initiator = lab.initiate(SAN);
    await initiator.attachNow(ADDRESS);
    const client = await NbdClient.open(initiator.socketPath(ADDRESS), ADDRESS);
    const content = Buffer.alloc(BLOCK_BYTES, 1);
    for (let round = 0; round < rounds; round++) {
      for (const [index, awayMs] of AWAY_MS.entries()) {
        await client.write(0, content);
        await target.end('SIGKILL');
        const written = client.write(0, content).then(({ error }) => ({ error, atMs: performance.now() }));
        await sleep(awayMs);
        target = await lab.aoeCsiTarget(words);
        const servesMs = performance.now();
        const { error, atMs } = await written;
        if (error !== 0) throw new Error(`the write that waited failed with NBD error ${error}`);
        waits[index].push(atMs - servesMs);
        progress(`${SUITE} ${awayMs} ms away, round ${round + 1}/${rounds}`);
      }
    }
  });
  const lines = AWAY_MS.map((awayMs, index) => {
    const { median, low, high } = summarize(waits[index]);
    return [`${awayMs / 1000} s`, formatNumber(median), formatNumber(low), formatNumber(high)];
  });
  print(`\n${formatTable(['target killed for', 'ms until the write is done, median', 'lowest', 'highest'], lines)}`);
  return AWAY_MS.flatMap((awayMs, index) => {
    const { median, high } = summarize(waits[index]);
    const workload = `write after ${awayMs} ms`;
    return [
      { suite: SUITE, workload, subject: 'aoe-csi+nbd', value: median, unit: 'ms median' },
      { suite: SUITE, workload, subject: 'aoe-csi+nbd', value: high, unit: 'ms highest' },
    ];
  });
}
