import { writeSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { EngineEvents } from '../../src/aoe/events.ts';
import type { Volume } from '../../src/aoe/volume.ts';
import type { Freezing } from '../../src/initiator/freezing.ts';
import { Loop, type CommandSource } from '../../src/initiator/loop.ts';
import type { Connection } from '../../src/initiator/nbd-front.ts';
import { COMMAND_READ } from '../../src/nbd/constants.ts';
import { EventFd } from '../../src/system/eventfd.ts';
import { closeFd, socketPair } from '../../src/system/unix-socket.ts';
import { nowUs } from '../../src/time/clock.ts';
import { MemoryDevice } from '../support/nbd-memory-device.ts';
import { encodeCommand } from '../support/nbd-client.ts';

/** Seven connections leave no floor to any of so few chunks: one that has a quarter of them makes all others wait. */
const CHUNKS = 8;
const CONNECTIONS = 7;
const QUARTER_BYTES = (CHUNKS / 4) * 65_536;
/** How long a turn waits at most here, when nothing happens. */
const WAIT_MS = 500;

const ignore = (): void => undefined;
const events: EngineEvents = { attached: ignore, attachRefused: ignore, detached: ignore, notice: ignore };
const source: CommandSource = { takeCommands: ignore, notice: ignore, kernelGone: ignore, linkDead: ignore };

interface Client {
  readonly connection: Connection;
  readonly device: MemoryDevice;
  readonly fd: number;
}

let control: EventFd;
let loop: Loop;
let clients: Client[];

beforeEach(() => {
  control = EventFd.create();
  const options = { eventFd: control.fd, interfaces: [], chunks: CHUNKS, lockMemory: false, listening: false };
  loop = new Loop(options, control, events, source);
  clients = Array.from({ length: CONNECTIONS }, (_, index) => connect(index));
});

afterEach(() => {
  loop.close();
  control.close();
  for (const { fd } of clients) closeFd(fd);
});

function connect(index: number): Client {
  const device = new MemoryDevice(loop.memory.arena, loop.chunks, { sectors: 1_024 });
  const [fd, other] = socketPair();
  const connection = loop.front.serveKernel(loop.front.add(device as unknown as Volume, ''), fd, index + 1);
  return { connection: connection!, device, fd: other };
}

function read({ fd }: Client, length: number): void {
  writeSync(fd, encodeCommand({ type: COMMAND_READ, cookie: 1n, offset: 0n, length }));
}

/** A turn that waits for nothing; or one that waits WAIT_MS if it has nothing to do: answers whether it did. */
function turn(): void {
  control.signal();
  loop.turn();
}

function idleTurn(): boolean {
  const startUs = nowUs();
  loop.freezing = { dueUs: startUs + WAIT_MS * 1_000, check: ignore } as unknown as Freezing;
  loop.turn();
  loop.freezing = undefined;
  return nowUs() - startUs >= (WAIT_MS * 1_000) / 2;
}

describe('Loop', () => {
  test.each([
    ['lower', 0, CONNECTIONS - 1],
    ['higher', CONNECTIONS - 1, 0],
  ])('a request at a %s place that waits for memory goes on in the turn in which that is free', (_where, waits, holds) => {
    const [waiting, holding] = [clients[waits], clients[holds]];
    read(holding, QUARTER_BYTES);
    turn();
    read(waiting, 512);
    turn();
    expect([holding, waiting].map(({ device }) => device.pending.length)).toEqual([1, 0]);
    holding.device.complete(0);
    turn();
    expect(waiting.device.pending).toHaveLength(1);
    // What has been taken after the engine had its turn is not left lying until somebody calls.
    expect([idleTurn(), idleTurn()]).toEqual([false, true]);
  });

  test('a request goes on when one that held the memory has been ended after its connection', () => {
    const [waiting, holding] = clients;
    read(holding, QUARTER_BYTES);
    turn();
    read(waiting, 512);
    turn();
    loop.front.close(holding.connection);
    holding.device.complete(0);
    expect(idleTurn()).toBe(false);
    expect(waiting.device.pending).toHaveLength(1);
  });

  test('a listener whose connections can not be accepted is tried once a second', () => {
    // Readable, and nothing that can be accepted from.
    const readable = EventFd.create();
    readable.signal();
    const [client] = clients;
    client.connection.listener.fd = readable.fd;
    loop.listening(client.connection.listener, readable.fd);
    expect([idleTurn(), idleTurn(), idleTurn()]).toEqual([false, true, true]);
    expect(client.connection.listener.rests).toBe(true);
    client.connection.listener.fd = undefined;
    loop.unlistening(readable.fd);
    readable.close();
  });

  test('a refusal of what has waited for memory is sent at once', () => {
    const [waiting, holding] = clients;
    read(holding, QUARTER_BYTES);
    turn();
    read(waiting, 512);
    turn();
    waiting.connection.session.shutdown();
    turn();
    expect(idleTurn()).toBe(false);
    expect(waiting.connection.closed).toBe(true);
  });
});
