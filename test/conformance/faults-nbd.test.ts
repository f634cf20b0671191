import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from '@jest/globals';
import { fioVerifyFor, runProgram } from '../support/faults-clients.ts';
import { DISK_BYTES, inLaboratory, MIB, SAN, type Laboratory } from '../support/faults-laboratory.ts';
import type { InitiatorClient } from '../support/faults-initiator-client.ts';
import { NBD_EINVAL, NbdClient } from '../support/faults-nbd-client.ts';
import { eventually, within } from '../support/faults-process.ts';
import { CLIENT_FLAGS, encodeCommand, encodeOption } from '../support/nbd-client.ts';
import { command, describeIf, root } from '../support/requires.ts';

const WRITE = 1;

/** e10.3 on Debian's target, attached; afterwards everything that clients had must be back. */
async function withVolume(run: (lab: Laboratory, initiator: InitiatorClient) => Promise<void>): Promise<void> {
  await inLaboratory(async (lab) => {
    lab.wire();
    await lab.vblade('e10.3', lab.disk());
    const initiator = lab.initiate(SAN);
    await initiator.attachNow('e10.3');
    const { 'loop.chunksFree': free } = await initiator.statistics();
    await run(lab, initiator);
    await eventually('all memory to be back', 3_000, async () => (await initiator.statistics())['loop.chunksFree'] === free);
    expect(await initiator.attachment('e10.3')).toMatchObject({ state: 'up', requestsInFlight: 0 });
  });
}

async function canWrite(initiator: InitiatorClient): Promise<void> {
  const client = await NbdClient.open(initiator.socketPath('e10.3'), 'e10.3');
  const content = randomBytes(65_536);
  expect((await client.write(MIB, content)).error).toBe(0);
  expect((await client.read(MIB, 65_536)).data.equals(content)).toBe(true);
  await client.close();
}

/** Clients of the NBD socket that do what no client should. The volume and its other clients must not notice. */
describeIf(
  [root(), command('ip', 'iproute2'), command('vblade'), command('fio'), command('qemu-io', 'qemu-utils')],
  'NBD',
  () => {
    test('the volume goes on when clients disappear in the middle of writes and with reads unanswered', async () => {
      await withVolume(async (lab, initiator) => {
        const io = fioVerifyFor(3, initiator.uri('e10.3'), lab.folder);
        for (let round = 0; round < 40; round++) {
          const client = await NbdClient.open(initiator.socketPath('e10.3'), 'e10.3');
          const [length, offset] = [4 * MIB, BigInt(56 * MIB)];
          // Beyond fio's area: half a write, then reads whose answers nobody takes.
          client.socket.write(encodeCommand({ type: WRITE, cookie: 1n, offset, length, data: randomBytes(round * 100_000) }));
          if (round % 2 === 0) {
            client.socket.write(randomBytes(length - round * 100_000));
            for (let read = 0; read < 10; read++) client.socket.write(encodeCommand({ type: 0, cookie: 2n, offset, length }));
          }
          await sleep(round % 5);
          client.socket.destroy();
        }
        expect(await io).toMatchObject({ error: 0, text: '' });
        await eventually('the connections to end', 2_000, async () => (await initiator.attachment('e10.3')).connections === 0);
        await canWrite(initiator);
      });
    });

    test('a client that talks nonsense is cut off, at any point of the conversation, and the others are not', async () => {
      await withVolume(async (lab, initiator) => {
        const io = fioVerifyFor(3, initiator.uri('e10.3'), lab.folder);
        const nonsense = [
          randomBytes(4096),
          Buffer.from('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n'),
          Buffer.concat([CLIENT_FLAGS, randomBytes(64)]),
          Buffer.concat([CLIENT_FLAGS, encodeOption(0xffff_fff0, randomBytes(100))]),
          Buffer.concat([CLIENT_FLAGS, Buffer.from('IHAVEOPT'), Buffer.from('00000007ffffffff', 'hex')]),
        ];
        for (const bytes of nonsense) {
          const client = await NbdClient.connect(initiator.socketPath('e10.3'));
          client.socket.write(bytes);
          // Politely refused options leave the connection open; the end of ours must end theirs.
          client.socket.end();
          if (!client.socket.closed) await within('the end of a nonsensical connection', 2_000, once(client.socket, 'close'));
        }
        for (let round = 0; round < 20; round++) {
          const client = await NbdClient.open(initiator.socketPath('e10.3'), 'e10.3');
          const closed = once(client.socket, 'close');
          client.socket.write(randomBytes(28 + round * 100));
          await within('the end of a connection without a request magic', 2_000, closed);
        }
        expect(await io).toMatchObject({ error: 0, text: '' });
        expect((await initiator.statistics())['nbd.dropped.requestMagic']).toBe(20);
        await initiator.notice('nbd', /NBD connection dropped: e10\.3: /);
        await canWrite(initiator);
      });
    });

    test('requests beyond the end are refused, to the byte, and the connection goes on', async () => {
      await withVolume(async (_lab, initiator) => {
        const client = await NbdClient.open(initiator.socketPath('e10.3'), 'e10.3');
        for (const [offset, length] of [
          [DISK_BYTES, 512],
          [DISK_BYTES - 512, 1024],
          [DISK_BYTES * 2, 4096],
          [Number.MAX_SAFE_INTEGER - 511, 512],
          [0, DISK_BYTES + 512],
          [1, 512],
          [0, 511],
        ]) {
          expect([offset, (await client.read(offset, length)).error]).toEqual([offset, NBD_EINVAL]);
        }
        expect((await client.write(DISK_BYTES - 512, randomBytes(1024))).error).not.toBe(0);
        expect((await client.read(DISK_BYTES - 512, 512)).error).toBe(0);
        await client.close();
        const past = await runProgram('qemu-io', '-f', 'raw', '-c', `read ${String(DISK_BYTES)} 512`, initiator.uri('e10.3'));
        expect(past.text).toMatch(/read failed|Input\/output error|Invalid argument/);
      });
    });

    test('200 connections are served at once, and those beyond the limit see an end and not a hang', async () => {
      await withVolume(async (_lab, initiator) => {
        const path = initiator.socketPath('e10.3');
        const clients = await Promise.all(Array.from({ length: 200 }, async () => NbdClient.open(path, 'e10.3')));
        expect((await initiator.attachment('e10.3')).connections).toBe(200);
        const contents = clients.map(() => randomBytes(4096));
        const writes = await Promise.all(clients.map(async (client, index) => client.write(index * 4096, contents[index])));
        expect(writes.every(({ error }) => error === 0)).toBe(true);
        const reads = await Promise.all(clients.map(async (client, index) => client.read(index * 4096, 4096)));
        expect(reads.every(({ data }, index) => data.equals(contents[index]))).toBe(true);

        const idle = await Promise.all(Array.from({ length: 56 }, async () => NbdClient.connect(path)));
        await eventually('256 connections', 2_000, async () => (await initiator.attachment('e10.3')).connections === 256);
        await expect(NbdClient.open(path, 'e10.3')).rejects.toThrow('the server has closed the connection');
        await initiator.notice('nbd', /more than 256 NBD connections/);
        for (const client of [...idle, ...clients]) client.socket.destroy();
        await eventually('no connections', 2_000, async () => (await initiator.attachment('e10.3')).connections === 0);
        await canWrite(initiator);
      });
    });

    test('a client that takes no answers holds neither memory for ever nor the others up', async () => {
      await withVolume(async (lab, initiator) => {
        const greedy = await NbdClient.open(initiator.socketPath('e10.3'), 'e10.3');
        greedy.socket.pause();
        for (let read = 0; read < 200; read++) {
          greedy.socket.write(encodeCommand({ type: 0, cookie: 9n, offset: 0n, length: MIB }));
        }
        await sleep(500);
        const result = await fioVerifyFor(2, initiator.uri('e10.3'), lab.folder, '--bs=4k');
        expect(result).toMatchObject({ error: 0, text: '' });
        expect(result.writes).toBeGreaterThan(100);
        greedy.socket.destroy();
      });
    });

    test('clients see the end of their connections, and the socket is gone, when the volume is detached', async () => {
      await inLaboratory(async (lab) => {
        lab.wire();
        await lab.vblade('e10.3', lab.disk());
        const initiator = lab.initiate(SAN);
        await initiator.attachNow('e10.3');
        const client = await NbdClient.open(initiator.socketPath('e10.3'), 'e10.3');
        const content = randomBytes(65_536);
        expect((await client.write(0, content)).error).toBe(0);
        const closed = once(client.socket, 'close');
        await initiator.detach('e10.3');
        await within('the end of the connection', 1_000, closed);
        await expect(NbdClient.connect(initiator.socketPath('e10.3'))).rejects.toThrow(/ENOENT|ECONNREFUSED/);
        await initiator.attachNow('e10.3');
        const again = await NbdClient.open(initiator.socketPath('e10.3'), 'e10.3');
        expect((await again.read(0, 65_536)).data.equals(content)).toBe(true);
      });
    });
  },
);
