import { execFileSync, spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { IoVector } from '../src/buffers/io-vector.ts';
import { EPOLLIN } from '../src/system/constants.ts';
import { Epoll } from '../src/system/epoll.ts';
import { EventFd } from '../src/system/eventfd.ts';
import { listInterfaces, type InterfaceInfo } from '../src/system/interfaces.ts';
import { close } from '../src/system/libc.ts';
import { mapArena } from '../src/system/memory.ts';
import { MessageBatch } from '../src/system/message-batch.ts';
import { initiatorFilter } from '../src/system/packet-filter.ts';
import { PacketSocket } from '../src/system/packet-socket.ts';
import { StreamIo } from '../src/system/stream-io.ts';
import { socketPair } from '../src/system/unix-socket.ts';

/**
 * What the data path's system calls cost from JavaScript: per call, and per frame over a pair of veth interfaces within one
 * network namespace, made for the purpose. Everything runs on one thread, so that a frame's send includes the kernel's work of
 * delivering it. Needs root. Usage: `node dist/bench/syscalls.js [--rounds N] [--json FILE]`.
 */

interface Row {
  readonly suite: 'syscalls';
  readonly workload: string;
  readonly subject: string;
  /** Median of the rounds. */
  readonly value: number;
  readonly unit: 'ns';
}

const NAMESPACE = `aoe-csi-bench-${process.pid}`;
const FRAME_HEADER_BYTES = 36;
const BATCHES = [1, 8, 64];
const PAYLOADS = [0, 1024, 8192];
const BATCH_MAX = 64;
const SLOT_BYTES = 9216;
const STREAM_BYTES = 65_536;
/** Long enough that the clock and the first, slower calls don't show. */
const ROUND_MS = 100;

const options = parseArgs({ options: { rounds: { type: 'string', default: '5' }, json: { type: 'string' } } }).values;
const rounds = Number(options.rounds);
const rows: Row[] = [];

const arena = mapArena(1 << 22);
const sent = new MessageBatch(arena, 0, BATCH_MAX, 2);
const received = new MessageBatch(arena, 16_384, BATCH_MAX, 2);
const stream = new StreamIo(arena, 32_768, 4);
const DATA = 65_536;

/** Nanoseconds per piece of work, which `work` returns the number of. */
function measure(workload: string, subject: string, work: () => number): void {
  const results = Array.from({ length: rounds + 1 }, () => {
    const begin = performance.now();
    let pieces = 0;
    let now = begin;
    while (now - begin < ROUND_MS) {
      for (let turn = 0; turn < 50; turn++) pieces += work();
      now = performance.now();
    }
    return ((now - begin) * 1e6) / pieces;
  }).slice(1);
  const median = results.toSorted((one, other) => one - other)[Math.floor(results.length / 2)];
  rows.push({ suite: 'syscalls', workload, subject, value: Math.round(median * 10) / 10, unit: 'ns' });
  console.log(`${workload.padEnd(34)} ${subject.padEnd(28)} ${median.toFixed(1).padStart(10)} ns`);
}

function measureCalls(): void {
  measure('a failing call', 'close(-1)', () => {
    close(-1);
    return 1;
  });
  measure('headers of a frame', 'two setVector', () => {
    for (let message = 0; message < BATCH_MAX; message++) {
      sent.setVector(message, 0, DATA + message * SLOT_BYTES, FRAME_HEADER_BYTES);
      sent.setVector(message, 1, DATA + message * SLOT_BYTES + 64, 1024);
    }
    return BATCH_MAX;
  });
  const signal = EventFd.create();
  measure('wake-up', 'signal + drain', () => {
    signal.signal();
    signal.drain();
    return 1;
  });
  const epoll = new Epoll(16);
  epoll.add(signal.fd, EPOLLIN, 1);
  measure('epoll_wait(0)', 'nothing ready', () => {
    epoll.wait(0);
    return 1;
  });
  signal.signal();
  measure('epoll_wait(0)', 'one ready', () => {
    epoll.wait(0);
    return 1;
  });
}

function measureStream(): void {
  const [ours, theirs] = socketPair();
  const request = vectorOf([DATA, 28]);
  const reply = vectorOf([DATA, 16], [DATA + 4096, STREAM_BYTES]);
  for (const [subject, vector] of Object.entries({ 'send + receive 28 B': request, 'send + receive 16 B + 64 KiB': reply })) {
    measure('unix stream', subject, () => {
      stream.send(ours, vector);
      stream.receive(theirs, vector);
      return 1;
    });
  }
}

function measureFrames(): void {
  const [left, right] = [linkNamed('left'), linkNamed('right')];
  const [from, to] = [open(left), open(right)];
  writeHeaders(left, right);
  for (const payloadBytes of PAYLOADS) {
    for (let message = 0; message < BATCH_MAX; message++) prepare(message, payloadBytes);
    for (const batch of BATCHES) {
      let sendNs = 0;
      let frames = 0;
      measure(`${FRAME_HEADER_BYTES + payloadBytes} B frame, send + receive`, `batches of ${batch}`, () => {
        const begin = performance.now();
        const count = from.send(sent, 0, batch);
        sendNs += (performance.now() - begin) * 1e6;
        for (let taken = 0; taken < count;) taken += Math.max(0, to.receive(received, taken, count - taken));
        frames += count;
        return count;
      });
      console.log(`${''.padEnd(34)} ${'  of which sending'.padEnd(28)} ${(sendNs / frames).toFixed(1).padStart(10)} ns`);
    }
  }
  measure('recvmmsg', 'nothing there', () => {
    to.receive(received, 0, BATCH_MAX);
    return 1;
  });
}

/** An ATA response of e10.3 from `left` to `right`, in front of each payload. */
function writeHeaders(left: InterfaceInfo, right: InterfaceInfo): void {
  for (let message = 0; message < BATCH_MAX; message++) {
    const at = DATA + message * SLOT_BYTES;
    arena.bytes.set(right.mac, at);
    arena.bytes.set(left.mac, at + 6);
    arena.bytes.set([0x88, 0xa2, 0x18, 0, 0, 10, 3, 0, 0x80, 0, 0, message], at + 12);
  }
}

function prepare(message: number, payloadBytes: number): void {
  const [from, to] = [DATA + message * SLOT_BYTES, DATA + (BATCH_MAX + message) * SLOT_BYTES];
  sent.setVector(message, 0, from, FRAME_HEADER_BYTES);
  sent.setVector(message, 1, from + 64, payloadBytes);
  received.setVector(message, 0, to, FRAME_HEADER_BYTES);
  received.setVector(message, 1, to + 64, SLOT_BYTES - 64);
}

function open(link: InterfaceInfo): PacketSocket {
  const interfaceIndex = link.index;
  const filter = initiatorFilter({ interfaceIndex, loopback: false, tagPrefix: 1, tagPrefixBits: 1 });
  return PacketSocket.open({ interfaceIndex, receiveBufferBytes: 1 << 22, sendBufferBytes: 1 << 22, filter });
}

function linkNamed(name: string): InterfaceInfo {
  const link = listInterfaces().find((one) => one.name === name);
  if (link === undefined) throw new Error(`no interface ${name} in this network namespace`);
  return link;
}

function vectorOf(...ranges: [offset: number, lengthBytes: number][]): IoVector {
  const vector = new IoVector(ranges.length);
  for (const [offset, lengthBytes] of ranges) vector.push(offset, lengthBytes);
  return vector;
}

/** Makes the namespace with its wire, and runs this file again inside it. */
function runInNamespace(): number {
  const ip = (commandLine: string) => execFileSync('ip', commandLine.split(' '));
  ip(`netns add ${NAMESPACE}`);
  try {
    ip(`-n ${NAMESPACE} link add left mtu 9000 type veth peer name right mtu 9000`);
    for (const side of ['left', 'right']) ip(`-n ${NAMESPACE} link set ${side} up`);
    const script = [process.execPath, fileURLToPath(import.meta.url), ...process.argv.slice(2)];
    const env = { ...process.env, AOE_CSI_BENCH_INSIDE: '1' };
    return spawnSync('ip', ['netns', 'exec', NAMESPACE, ...script], { stdio: 'inherit', env }).status ?? 1;
  } finally {
    ip(`netns delete ${NAMESPACE}`);
  }
}

if (process.env['AOE_CSI_BENCH_INSIDE'] === undefined) {
  process.exitCode = runInNamespace();
} else {
  measureCalls();
  measureStream();
  measureFrames();
  if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify(rows, undefined, 2)}\n`);
}
