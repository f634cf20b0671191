import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from '@jest/globals';
import { fioVerifyFor } from '../support/faults-clients.ts';
import { inLaboratory, MIB, SAN, type Laboratory } from '../support/faults-laboratory.ts';
import { NbdClient } from '../support/faults-nbd-client.ts';
import { patiently } from '../support/patience.ts';
import { command, describeIf, root } from '../support/requires.ts';
import { startTarget } from '../support/target-process.ts';

/** Our target and our initiator, joined by a wire and by what a network may do to frames. */

const BLOCK_BYTES = 65_536;

/** Writes random blocks in random order, over each other too, flushes, and returns what the disk has to hold. */
async function writeBlocks(client: NbdClient, blocks: number, writes: number): Promise<Buffer> {
  const expected = Buffer.alloc(blocks * BLOCK_BYTES);
  for (let write = 0; write < writes; write++) {
    const offset = ((write * 7) % blocks) * BLOCK_BYTES;
    const data = randomBytes(BLOCK_BYTES);
    data.copy(expected, offset);
    expect((await client.write(offset, data)).error).toBe(0);
  }
  expect((await client.flush()).error).toBe(0);
  return expected;
}

async function openVolume(laboratory: Laboratory): Promise<NbdClient> {
  const initiator = laboratory.initiate(SAN);
  await initiator.attachNow('e10.3');
  return NbdClient.open(initiator.socketPath('e10.3'), 'e10.3');
}

describeIf([root(), command('ip', 'iproute2'), command('fio')], 'aoe-csi target and initiator', () => {
  test.each([
    ['a good network', 9000, []],
    ['loss, duplicates and frames that overtake each other', 1500, ['--loss', '0.02', '--duplicate', '0.1', '--delay', '0,4']],
    ['a switch that drops jumbo frames', 9000, ['--drop-large', '1514']],
    ['a slow disk with a short queue', 9000, ['--slow', '1', '--buffers', '4']],
  ])(
    'no byte is wrong through %s',
    async (_name, mtu, faults) => {
      await inLaboratory(async (laboratory) => {
        laboratory.wire(mtu);
        const disk = laboratory.disk();
        await startTarget(laboratory, '--seed', '11', ...faults, `e10.3=${disk}`);
        const client = await openVolume(laboratory);
        const expected = await writeBlocks(client, 12, 24);
        const { error, data } = await client.read(0, expected.length);
        expect([error, data.equals(expected)]).toEqual([0, true]);
        expect(readFileSync(disk).subarray(0, expected.length).equals(expected)).toBe(true);
      });
    },
    60_000,
  );

  test('a flush is durable: what it covered survives a target that loses its cache', async () => {
    await inLaboratory(async (laboratory) => {
      laboratory.wire();
      const disk = laboratory.disk();
      const words = ['--volatile-cache', `e10.3=${disk}`];
      const target = await startTarget(laboratory, ...words);
      const client = await openVolume(laboratory);
      const flushed = await writeBlocks(client, 8, 8);
      expect((await client.write(8 * BLOCK_BYTES, randomBytes(BLOCK_BYTES))).error).toBe(0);
      await target.end('SIGKILL');
      const content = readFileSync(disk);
      expect(content.subarray(0, flushed.length).equals(flushed)).toBe(true);
      expect(content.subarray(8 * BLOCK_BYTES, 9 * BLOCK_BYTES).equals(Buffer.alloc(BLOCK_BYTES))).toBe(true);
      await startTarget(laboratory, ...words);
      expect((await client.read(0, flushed.length)).data.equals(flushed)).toBe(true);
    });
  });

  test('I/O goes on by itself when the target is killed and started again', async () => {
    await inLaboratory(async (laboratory) => {
      laboratory.wire(9000);
      const disk = laboratory.disk('disk', 64 * MIB);
      const target = await startTarget(laboratory, `e10.3=${disk}`);
      const initiator = laboratory.initiate(SAN);
      await initiator.attachNow('e10.3');
      const io = fioVerifyFor(4, initiator.uri('e10.3'), laboratory.folder);
      await initiator.busy('e10.3');
      await sleep(1_000);
      await target.end('SIGKILL');
      await sleep(300);
      await startTarget(laboratory, `e10.3=${disk}`);
      const result = await io;
      expect(result).toMatchObject({ error: 0, text: '' });
      // The outage, the start of a process, and the announcement by which the initiator notices it.
      expect(result.slowestMs).toBeLessThan(patiently(2_500));
    });
  });
});
