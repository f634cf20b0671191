import { createInterface } from 'node:readline';
import { nowUs } from '../../src/time/clock.ts';
import {
  CONTENT_SECTORS,
  FAKE_TARGET_DEFAULTS,
  SILENT,
  type FakeTargetCommand,
  type FakeTargetOptions,
  type Storm,
} from './faults-fake-target-client.ts';
import { FramePort, runPorts } from './faults-frame-port.ts';
import { isLate, LIES } from './faults-lies.ts';

/**
 * A target that does what a test tells it, written from the wire format (reference: AoEr11) with Buffers and nothing from src/aoe.
 * Arguments: the interface, and the first options as JSON. Every line of input is a command, answered with what it has seen.
 */
const SECTOR_BYTES = 512;
const IDENTIFY = 0xec;
const READS: readonly number[] = [0x20, 0x24];
const WRITES: readonly number[] = [0x30, 0x34];
const FLUSHES: readonly number[] = [0xe7, 0xea];

interface Waiting {
  readonly dueUs: number;
  readonly answer: Buffer;
}

const [interfaceName, firstOptions] = process.argv.slice(2);
const port = new FramePort(interfaceName);
const content = Buffer.alloc(CONTENT_SECTORS * SECTOR_BYTES);
const seen = { configs: 0, identifies: 0, reads: 0, writes: 0, waitingMax: 0, liesTold: 0 };
const waiting: Waiting[] = [];
let options: FakeTargetOptions = { ...FAKE_TARGET_DEFAULTS, ...(JSON.parse(firstOptions) as Partial<FakeTargetOptions>) };

function mac(): Buffer {
  return options.mac === undefined ? port.mac : Buffer.from(options.mac.replaceAll(':', ''), 'hex');
}

/** A response to `request` of `sizeBytes` bytes in all, with the request's argument in it. */
function answerTo(request: Buffer, sizeBytes: number): Buffer {
  const answer = Buffer.alloc(Math.max(sizeBytes, 60));
  request.copy(answer, 0, 0, Math.min(request.length, 36));
  request.copy(answer, 0, 6, 12);
  mac().copy(answer, 6);
  answer.writeUInt8(0x18, 14);
  answer.writeUInt16BE(options.shelf, 16);
  answer.writeUInt8(options.slot, 18);
  return answer;
}

function answerConfig(request: Buffer): void {
  seen.configs++;
  if (options.config === 'silent') return;
  const answer = answerTo(request, 32);
  writeConfig(answer);
  port.send(answer);
}

function writeConfig(frame: Buffer): void {
  frame.writeUInt16BE(options.bufferCount, 24);
  frame.writeUInt16BE(0x4001, 26);
  frame.writeUInt8(options.sectorCount, 28);
  frame.writeUInt8(0x10, 29);
  frame.writeUInt16BE(0, 30);
}

function answerIdentify(request: Buffer): void {
  seen.identifies++;
  if (options.identify === 'silent') return;
  const answer = answerTo(request, options.identify === 'short' ? 36 + 100 : 36 + SECTOR_BYTES);
  answer.writeUInt8(options.identify === 'error' ? 0x41 : 0x40, 27);
  answer.writeUInt8(options.identify === 'error' ? 0x04 : 0, 25);
  if (options.identify === 'good') identify().copy(answer, 36);
  port.send(answer);
}

function identify(): Buffer {
  const block = Buffer.alloc(SECTOR_BYTES);
  const text = (word: number, chars: number, value: string): void => {
    Buffer.from(value.padEnd(chars).slice(0, chars), 'latin1')
      .swap16()
      .copy(block, 2 * word);
  };
  text(10, 20, options.serial);
  text(23, 8, 'fake');
  text(27, 40, 'fake target');
  block.writeUInt16LE(1 << 9, 2 * 49);
  block.writeUInt32LE(Math.min(options.sectors, 0x0fff_ffff), 2 * 60);
  for (const word of [83, 86]) block.writeUInt16LE(0x5400, 2 * word);
  if (options.sizeField === undefined) block.writeBigUInt64LE(BigInt(options.sectors), 2 * 100);
  else block.write(options.sizeField, 2 * 100, 'hex');
  return block;
}

function answerData(request: Buffer): void {
  const opcode = request.readUInt8(27);
  const sectors = request.readUInt8(26);
  const lba = request.readUIntLE(28, 6);
  const at = (lba % CONTENT_SECTORS) * SECTOR_BYTES;
  const sizeBytes = sectors * SECTOR_BYTES;
  const isRead = READS.includes(opcode);
  const isWrite = WRITES.includes(opcode);
  if (isRead) seen.reads++;
  if (isWrite) seen.writes++;
  if (lba + sectors > options.silentFromLba) options = { ...options, ...SILENT };
  if (options[isRead ? 'reads' : 'writes'] === 'silent' || lba + sectors > options.hangsFromLba) return;
  if (lba + sectors > options.badFromLba) {
    answerError(request);
    return;
  }
  if (isWrite) request.copy(content, at, 36, 36 + sizeBytes);
  const whole = isRead && options.reads !== 'no data' ? sizeBytes : 0;
  const answer = answerTo(request, 36 + (options.reads === 'short' ? Math.max(whole - SECTOR_BYTES, 0) : whole));
  answer.writeUInt8(0, 25);
  answer.writeUInt8(0x40, 27);
  if (isRead) content.copy(answer, 36, at, at + answer.length - 36);
  later(answer);
}

function answerError(request: Buffer): void {
  const answer = answerTo(request, 36);
  answer.writeUInt8(options.ataError, 25);
  answer.writeUInt8(options.ataStatus, 27);
  if (options.aoeError !== 0) {
    answer.writeUInt8(0x1c, 14);
    answer.writeUInt8(options.aoeError, 15);
  }
  later(answer);
}

/** Sends the answer when it is due, among its lies. */
function later(answer: Buffer): void {
  waiting.push({ dueUs: nowUs() + options.delayMs * 1000, answer });
  seen.waitingMax = Math.max(seen.waitingMax, waiting.length);
  if (options.delayMs === 0) sendDue();
}

function sendDue(): void {
  while (waiting.length > 0 && waiting[0].dueUs <= nowUs()) {
    const due = waiting.shift();
    if (due === undefined) return;
    tellLies(due.answer, false);
    port.send(due.answer);
    tellLies(due.answer, true);
  }
}

function tellLies(answer: Buffer, late: boolean): void {
  for (const lie of options.lies) {
    if (isLate(lie) !== late) continue;
    port.send(LIES[lie](answer));
    seen.liesTold++;
  }
}

function receive(request: Buffer): void {
  if (request.length < 24 || (request.readUInt8(14) & 0x08) !== 0) return;
  const [shelf, slot, command] = [request.readUInt16BE(16), request.readUInt8(18), request.readUInt8(19)];
  const mine = (shelf === options.shelf || shelf === 0xffff) && (slot === options.slot || slot === 0xff);
  const forMe = request.readUInt8(0) === 0xff || request.subarray(0, 6).equals(mac());
  if (!mine || !forMe) return;
  if (command === 1) answerConfig(request);
  else if (command === 0 && request.readUInt8(27) === IDENTIFY) answerIdentify(request);
  else if (command === 0 && [...READS, ...WRITES, ...FLUSHES].includes(request.readUInt8(27))) answerData(request);
}

function storm({ kind, frames }: Storm): void {
  const announcement = Buffer.alloc(60);
  announcement.fill(0xff, 0, 6);
  mac().copy(announcement, 6);
  announcement.writeUInt16BE(0x88a2, 12);
  announcement.writeUInt8(0x08, 14);
  announcement.writeUInt16BE(options.shelf, 16);
  announcement.writeUInt8(options.slot, 18);
  announcement.writeUInt8(1, 19);
  writeConfig(announcement);
  for (let frame = 0; frame < frames; frame++) port.send(kind === 'announcements' ? announcement : noise(announcement));
  port.flush();
}

/** Random bytes of random length that get past every filter: broadcast, EtherType and response bit are right. */
function noise(header: Buffer): Buffer {
  const frame = Buffer.allocUnsafe(24 + Math.floor(Math.random() * 1490));
  for (let at = 14; at < frame.length; at++) frame[at] = Math.floor(Math.random() * 256);
  header.copy(frame, 0, 0, 14);
  frame.writeUInt8(frame.readUInt8(14) | 0x08, 14);
  // Half of them from the target's MAC and address, the others from anywhere.
  if (Math.random() < 0.5) header.copy(frame, 16, 16, 19);
  else frame.writeUInt8(Math.floor(Math.random() * 128) * 2, 6);
  frame.writeUInt8(Math.floor(Math.random() * 4), 19);
  return frame;
}

function execute(command: FakeTargetCommand): void {
  if (command.set !== undefined) options = { ...options, ...command.set };
  if (command.storm !== undefined) storm(command.storm);
  process.stdout.write(`${JSON.stringify(seen)}\n`);
}

const input = createInterface({ input: process.stdin });
input.on('line', (line) => execute(JSON.parse(line) as FakeTargetCommand));
input.on('close', () => process.exit());
process.stdout.write('ready\n');
runPorts([port], () => {
  port.receive(receive);
  sendDue();
});
