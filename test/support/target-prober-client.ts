import { setTimeout as sleep } from 'node:timers/promises';
import { MAC_BROADCAST, type Mac } from '../../src/aoe/address.ts';
import {
  AtaResponse,
  readAtaResponse,
  writeFlushRequest,
  writeIdentifyRequest,
  writeReadRequest,
  writeTrimRange,
  writeTrimRequest,
  writeWriteRequest,
} from '../../src/aoe/ata.ts';
import { readConfigResponse, writeConfigRequest, type ConfigResponse } from '../../src/aoe/config.ts';
import {
  COMMAND_ATA,
  COMMAND_CONFIG,
  COMMAND_MASK,
  COMMAND_RESERVE,
  FLAG_ERROR,
  VERSION_FLAGS_REQUEST,
} from '../../src/aoe/constants.ts';
import { checkResponse, FRAME_OK, padFrame, writeCommon, writeEthernet } from '../../src/aoe/header.ts';
import { decodeIdentify, type Identity } from '../../src/aoe/identify.ts';
import { ATA_DATA, ERROR, TAG, VERSION_FLAGS } from '../../src/aoe/layout.ts';
import { readMask, writeMaskEdit, writeMaskRead, type MaskDirective, type MaskMessage } from '../../src/aoe/mask.ts';
import { readReserve, writeReserve, type ReserveMessage } from '../../src/aoe/reserve.ts';
import { eventually, type TestProcess } from './faults-process.ts';

/** How long silence has to last to count as an answer. */
const SILENCE_MS = 250;
const ANSWER_MS = 3_000;
const START_MS = 5_000;
const FRAME_BYTES = 16_384;

/** A received frame that has the form of a response. */
export class Answer {
  readonly bytes: Buffer;
  readonly view: DataView;

  constructor(bytes: Buffer) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  /** AoE error code; 0 without. */
  get aoeError(): number {
    return (this.view.getUint8(VERSION_FLAGS) & FLAG_ERROR) === 0 ? 0 : this.view.getUint8(ERROR);
  }

  get tag(): number {
    return this.view.getUint32(TAG);
  }

  /** E.g. `40`, `41/04`, or `AoE 6`: enough to tell answers apart in a test. */
  get outcome(): string {
    if (this.aoeError !== 0) return `AoE ${String(this.aoeError)}`;
    const { status, error } = this.ata;
    return (status & 1) === 0
      ? status.toString(16).padStart(2, '0')
      : `${status.toString(16)}/${error.toString(16).padStart(2, '0')}`;
  }

  get ata(): AtaResponse {
    const response = new AtaResponse();
    readAtaResponse(this.view, 0, this.bytes.length, response);
    return response;
  }

  /** ATA data: what stands behind the headers. */
  get data(): Buffer {
    return this.bytes.subarray(ATA_DATA);
  }

  get config(): ConfigResponse | undefined {
    return readConfigResponse(this.view, 0, this.bytes.length);
  }

  get mask(): MaskMessage | undefined {
    return readMask(this.view, 0, this.bytes.length);
  }

  get reserve(): ReserveMessage | undefined {
    return readReserve(this.view, 0, this.bytes.length);
  }

  get identity(): Identity | undefined {
    return decodeIdentify(this.view, ATA_DATA, this.bytes.length - ATA_DATA);
  }
}

export interface AskOptions {
  readonly command?: number;
  readonly shelf?: number;
  readonly slot?: number;
  /** Sender; the interface's own MAC where it is left out. */
  readonly source?: Mac;
  readonly destination?: Mac;
  /** Answers to wait for; 0 waits for silence and returns what breaks it. */
  readonly answers?: number;
}

/** Asks a real target single questions through target-prober.ts, and keeps everything that it says unasked. */
export class TargetProber {
  readonly process: TestProcess;
  /** Responses with tag 0. */
  readonly announcements: Answer[] = [];
  /** Frames that were no response, by hex; there should be none. */
  readonly malformed: string[] = [];
  mac: Mac = 0;
  readonly #answers = new Map<number, Answer[]>();
  #lastTag = 0x9000_0000;

  constructor(process: TestProcess) {
    this.process = process;
  }

  async ready(): Promise<this> {
    const line = await eventually('the prober to start', START_MS, () => {
      if (!this.process.running) throw new Error(this.process.report);
      return this.process.lines[0];
    });
    this.mac = Number.parseInt(line, 16);
    this.process.onLine((frame) => this.#take(frame));
    return this;
  }

  #take(hex: string): void {
    const answer = new Answer(Buffer.from(hex, 'hex'));
    if (checkResponse(answer.view, 0, answer.bytes.length) !== FRAME_OK) this.malformed.push(hex);
    else if (answer.tag === 0) this.announcements.push(answer);
    else this.#answers.set(answer.tag, [...(this.#answers.get(answer.tag) ?? []), answer]);
  }

  /** Sends one request, by default an ATA command to e10.3; `write` puts its argument and returns the frame's length. */
  send(write: (view: DataView) => number | void, options: AskOptions = {}): number {
    const { command = COMMAND_ATA, shelf = 10, slot = 3, source = this.mac, destination = MAC_BROADCAST } = options;
    const bytes = new Uint8Array(FRAME_BYTES);
    const view = new DataView(bytes.buffer);
    const tag = ++this.#lastTag;
    writeEthernet(view, 0, destination, source);
    writeCommon(view, 0, VERSION_FLAGS_REQUEST, 0, shelf, slot, command, tag);
    const length = padFrame(bytes, 0, write(view) ?? ATA_DATA);
    this.process.write(Buffer.from(bytes.buffer, 0, length).toString('hex'));
    return tag;
  }

  answersTo(tag: number): readonly Answer[] {
    return this.#answers.get(tag) ?? [];
  }

  /** The answers to one request. */
  async askAll(write: (view: DataView) => number | void, options: AskOptions = {}): Promise<readonly Answer[]> {
    const { answers = 1 } = options;
    const tag = this.send(write, options);
    if (answers === 0) await sleep(SILENCE_MS);
    else await eventually(`an answer; ${this.process.report}`, ANSWER_MS, () => this.answersTo(tag).length >= answers);
    return this.answersTo(tag);
  }

  /** The answer to one request. */
  async ask(write: (view: DataView) => number | void, options: AskOptions = {}): Promise<Answer> {
    return (await this.askAll(write, options))[0];
  }

  /** True when the request is not answered. */
  async ignored(write: (view: DataView) => number | void, options: AskOptions = {}): Promise<boolean> {
    return (await this.askAll(write, { ...options, answers: 0 })).length === 0;
  }

  async read(lba: number, sectors: number, options: AskOptions = {}): Promise<Answer> {
    return this.ask((view) => writeReadRequest(view, 0, lba, sectors, true), options);
  }

  async write(lba: number, data: Uint8Array, options: AskOptions = {}): Promise<Answer> {
    return this.ask(writing(lba, data), options);
  }

  async flush(extended = true, options: AskOptions = {}): Promise<Answer> {
    return this.ask((view) => writeFlushRequest(view, 0, extended), options);
  }

  async identify(options: AskOptions = {}): Promise<Answer> {
    return this.ask((view) => writeIdentifyRequest(view, 0), options);
  }

  async trim(lba: number, sectors: number, options: AskOptions = {}): Promise<Answer> {
    return this.ask((view) => {
      writeTrimRequest(view, 0, 1);
      writeTrimRange(view, ATA_DATA, 0, lba, sectors);
      return ATA_DATA + 512;
    }, options);
  }

  async config(command: number, text = '', options: AskOptions = {}): Promise<Answer> {
    return this.ask(configuring(command, text), { ...options, command: COMMAND_CONFIG });
  }

  async mask(directives?: readonly MaskDirective[], options: AskOptions = {}): Promise<Answer> {
    const write = (view: DataView): number =>
      directives === undefined ? writeMaskRead(view, 0) : writeMaskEdit(view, 0, directives);
    return this.ask(write, { ...options, command: COMMAND_MASK });
  }

  async reserve(command: number, macs: readonly Mac[] = [], options: AskOptions = {}): Promise<Answer> {
    return this.ask((view) => writeReserve(view, 0, command, macs), { ...options, command: COMMAND_RESERVE });
  }
}

/** A config request's argument, for `ask` and `ignored`. */
export function configuring(command: number, text = ''): (view: DataView) => number {
  return (view) => writeConfigRequest(view, 0, command, new Uint8Array(Buffer.from(text)));
}

/** A write request's argument and data. */
export function writing(lba: number, data: Uint8Array): (view: DataView) => number {
  return (view) => {
    writeWriteRequest(view, 0, lba, data.length / 512, true);
    new Uint8Array(view.buffer).set(data, ATA_DATA);
    return ATA_DATA + data.length;
  };
}
