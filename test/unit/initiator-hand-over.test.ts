import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { Channel } from '../../src/initiator/hand-over/channel.ts';
import { isTaken } from '../../src/initiator/hand-over/giver.ts';
import { decodeMessage, encodeMessage } from '../../src/initiator/hand-over/protocol.ts';
import { RECEIVE_BYTES } from '../../src/nbd/limits.ts';
import { sendDescriptors } from '../../src/system/descriptor-passing.ts';
import { acceptUnix, closeFd, listenUnix } from '../../src/system/unix-socket.ts';

const SOON_MS = 20;
const LONG_MS = 10_000;
const TAKEN = { kind: 'taken' } as const;
const CONNECTION = { kind: 'connection', identifier: 'aoe-csi/e10.3/00', quietMs: 0, unflushedWrites: 0 } as const;

let folder: string;
let giver: Channel;
/** The taker's end, for nonsense; and as a channel. */
let takerFd: number;
let taker: Channel;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'aoe-csi-hand-over-'));
  const path = join(folder, 'hand-over.sock');
  const listener = listenUnix(path, { backlog: 1, mode: 0o600, kind: 'messages' });
  giver = Channel.connect(path);
  takerFd = acceptUnix(listener);
  taker = new Channel(takerFd);
  closeFd(listener);
});

afterEach(() => rmSync(folder, { recursive: true }));

describe('isTaken(): the moment at which devices change hands', () => {
  test('what was sent counts, also when its sender has died since', async () => {
    await taker.send(TAKEN, LONG_MS);
    taker.close();
    expect(await isTaken(giver, SOON_MS)).toBe(true);
    giver.close();
  });

  test('a taker that is late can not say it any more, and knows', async () => {
    expect(await isTaken(giver, SOON_MS)).toBe(false);
    await expect(taker.send(TAKEN, LONG_MS)).rejects.toMatchObject({ code: 'EPIPE' });
    for (const each of [giver, taker]) each.close();
  });

  test('what was sent before the taker was cut off is still heard, and nonsense before it is passed over', async () => {
    sendDescriptors(takerFd, [], Buffer.from('nonsense'));
    await taker.send(CONNECTION, LONG_MS);
    await taker.send(TAKEN, LONG_MS);
    giver.cutOff();
    expect(await isTaken(giver, SOON_MS)).toBe(true);
    for (const each of [giver, taker]) each.close();
  });

  test('a taker that says something else, or goes without a word, has not taken anything', async () => {
    await taker.send(CONNECTION, LONG_MS);
    sendDescriptors(takerFd, [], Buffer.from('nonsense'));
    taker.close();
    expect(await isTaken(giver, LONG_MS)).toBe(false);
    giver.close();
  });
});

describe('Channel', () => {
  test('carries a connection with as many unread bytes as a session may have', async () => {
    const unread = Uint8Array.from({ length: RECEIVE_BYTES }, (_, index) => index * 7);
    await giver.send(CONNECTION, LONG_MS, [0, 1], unread);
    const received = await taker.receive(LONG_MS);
    expect(received?.message).toEqual(CONNECTION);
    expect(Buffer.compare(received?.unread ?? Buffer.alloc(0), unread)).toBe(0);
    expect(received?.descriptors).toHaveLength(2);
    for (const fd of received?.descriptors ?? []) closeFd(fd);
    for (const each of [giver, taker]) each.close();
  });

  test('closes the descriptors of what it does not understand', async () => {
    const before = readdirSync('/proc/self/fd').length;
    sendDescriptors(takerFd, [0, 1], Buffer.from('nonsense'));
    await expect(giver.receive(LONG_MS)).rejects.toThrow(/no message of a hand-over/);
    expect(readdirSync('/proc/self/fd')).toHaveLength(before);
    for (const each of [giver, taker]) each.close();
  });
});

test.each([
  ['nothing', Buffer.alloc(0)],
  ['a length beyond its end', Buffer.from('ffffffff7b7d', 'hex')],
  ['no JSON', Buffer.from(encodeMessage(TAKEN)).fill(0x2a, 4)],
  ['another kind', Buffer.from(encodeMessage({ kind: 'given' } as never))],
  ['a negative pause', Buffer.from(encodeMessage({ ...CONNECTION, quietMs: -1 }))],
  ['null', Buffer.from(encodeMessage(null as never))],
])('decodeMessage() refuses a record with %s', (_, record) => {
  expect(() => decodeMessage(record)).toThrow();
});

test('decodeMessage() passes over fields that it does not know', () => {
  const { message } = decodeMessage(Buffer.from(encodeMessage({ ...CONNECTION, newer: true } as never)));
  expect(message).toMatchObject(CONNECTION);
});
