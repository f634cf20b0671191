import type { BlockDevice } from '../block/device.ts';
import type { IoVector } from '../buffers/io-vector.ts';
import * as nbd from './constants.ts';
import type { DropReason, NbdCounters } from './counters.ts';
import { findExport, isReadOnly, transmissionFlags, type ExportDirectory } from './export.ts';
import * as layout from './layout.ts';
import * as limits from './limits.ts';
import { optionName } from './names.ts';
import * as codec from './negotiation-codec.ts';
import type { NbdLog, Phase, PhaseState } from './phase.ts';
import { pushRange } from './ranges.ts';
import type { ReceiveWindow } from './receive-window.ts';

export interface NegotiationOptions {
  readonly directory: ExportDirectory;
  readonly readOnly: boolean;
  readonly input: ReceiveWindow;
  /** Arena offset of NEGOTIATION_OUTPUT_BYTES for answers. */
  readonly outputOffset: number;
  /** Largest read or write, to be told to the client. */
  readonly payloadBytesMax: number;
  readonly counters: NbdCounters;
  readonly log: NbdLog;
}

/** A LIST adds names to an answer up to here: then one more of any length and the acknowledgement still fit. */
const LISTED_BYTES_MAX =
  limits.NEGOTIATION_OUTPUT_BYTES - (layout.OPTION_REPLY_DATA + 4 + nbd.STRING_BYTES_MAX) - layout.OPTION_REPLY_DATA;

/**
 * Fixed newstyle negotiation (doc/proto.md "Newstyle negotiation"): the server greets, the client answers with its flags and then
 * sends options until one of them chooses an export or gives up.
 *
 * One option at a time: the next is looked at when the answer to the last one is out. So the output never holds more than one
 * answer, and a client that doesn't read is not read from either. Negotiation may allocate; it is over before data flows.
 */
export class Negotiation implements Phase {
  /** The export chosen. The transmission phase starts when it is set and the phase is idle. */
  device: BlockDevice | undefined = undefined;

  readonly #directory: ExportDirectory;
  readonly #readOnly: boolean;
  readonly #input: ReceiveWindow;
  readonly #outputOffset: number;
  readonly #payloadBytesMax: number;
  readonly #counters: NbdCounters;
  readonly #log: NbdLog;

  #state: PhaseState = 'open';
  #clientFlagsKnown = false;
  #zeroes = true;
  #options = 0;
  /** Data of an option too long to be looked at that is still to come. */
  #skipBytes = 0;
  /** Names that a LIST has still to send; undefined outside of one. */
  #listing: readonly string[] | undefined = undefined;
  #listed = 0;
  #outputBytes = 0;
  #sentBytes = 0;

  constructor(options: NegotiationOptions) {
    this.#directory = options.directory;
    this.#readOnly = options.readOnly;
    this.#input = options.input;
    this.#outputOffset = options.outputOffset;
    this.#payloadBytesMax = options.payloadBytesMax;
    this.#counters = options.counters;
    this.#log = options.log;
    this.#outputBytes = codec.encodeGreeting(this.#view, this.#outputOffset);
  }

  get over(): boolean {
    return this.#state === 'broken' || (this.#state === 'ending' && this.idle);
  }

  /** Everything said so far is out. */
  get idle(): boolean {
    return this.#outputBytes === 0;
  }

  get #view(): DataView {
    return this.#input.arena.view;
  }

  /** Arena offset for the next bytes of the answer. */
  get #outputEnd(): number {
    return this.#outputOffset + this.#outputBytes;
  }

  advance(): void {
    while (this.#state === 'open' && this.device === undefined && this.idle && this.#takeNext());
  }

  fillReceive(vector: IoVector): void {
    if (this.#state === 'open' && this.device === undefined && this.idle) this.#input.offer(vector, limits.RECEIVE_BYTES);
  }

  received(bytes: number): void {
    this.#input.received(bytes);
    this.advance();
  }

  fillTransmit(vector: IoVector): void {
    if (!this.idle) pushRange(vector, this.#outputOffset + this.#sentBytes, this.#outputBytes - this.#sentBytes);
  }

  transmitted(bytes: number): void {
    this.#sentBytes += bytes;
    if (this.#sentBytes < this.#outputBytes) return;
    this.#outputBytes = this.#sentBytes = 0;
    this.advance();
  }

  shutdown(): void {
    this.#state = 'ending';
  }

  close(): void {
    this.#outputBytes = this.#sentBytes = 0;
  }

  /** Takes one step; false when it needs more bytes or is at its end. */
  #takeNext(): boolean {
    if (this.#listing !== undefined) return this.#listNext(this.#listing);
    if (this.#skipBytes > 0) return this.#skip();
    return this.#clientFlagsKnown ? this.#takeOption() : this.#takeClientFlags();
  }

  #takeClientFlags(): boolean {
    if (this.#input.length < layout.CLIENT_FLAGS_BYTES) return false;
    const flags = this.#view.getUint32(this.#input.start);
    this.#input.skip(layout.CLIENT_FLAGS_BYTES);
    const unknown = flags & ~(nbd.CLIENT_FIXED_NEWSTYLE | nbd.CLIENT_NO_ZEROES);
    if (unknown !== 0) return this.#break('clientFlags', `client flags 0x${(flags >>> 0).toString(16)} hold unknown ones`);
    this.#zeroes = (flags & nbd.CLIENT_NO_ZEROES) === 0;
    this.#clientFlagsKnown = true;
    return true;
  }

  #skip(): boolean {
    const skippedBytes = Math.min(this.#skipBytes, this.#input.length);
    this.#input.skip(skippedBytes);
    this.#skipBytes -= skippedBytes;
    return this.#skipBytes === 0;
  }

  #takeOption(): boolean {
    const input = this.#input;
    if (input.length < layout.OPTION_DATA) return false;
    if (!codec.hasOptionMagic(this.#view, input.start)) {
      return this.#break('optionMagic', 'the bytes where an option should start are none');
    }
    const option = this.#view.getUint32(input.start + layout.OPTION_CODE);
    const dataBytes = this.#view.getUint32(input.start + layout.OPTION_LENGTH);
    if (dataBytes > limits.OPTION_SKIP_BYTES_MAX) {
      return this.#break('optionTooLong', `${optionName(option)} announces ${dataBytes} bytes`);
    }
    const tooLong = dataBytes > limits.OPTION_BYTES_MAX;
    if (!tooLong && input.length < layout.OPTION_DATA + dataBytes) return false;
    if (++this.#options > limits.OPTIONS_MAX) {
      return this.#break('tooManyOptions', `more than ${limits.OPTIONS_MAX} options without choosing an export`);
    }

    if (tooLong) {
      input.skip(layout.OPTION_DATA);
      this.#skipBytes = dataBytes;
      this.#refuse(option, nbd.REPLY_ERROR_TOO_BIG, `${dataBytes} bytes of data, at most ${limits.OPTION_BYTES_MAX} are read`);
    } else {
      this.#answer(option, input.start + layout.OPTION_DATA, dataBytes);
      input.skip(layout.OPTION_DATA + dataBytes);
    }
    return true;
  }

  /** Answers an option whose `dataBytes` of data stand at arena offset `at`. */
  #answer(option: number, at: number, dataBytes: number): void {
    switch (option) {
      case nbd.OPTION_EXPORT_NAME:
        return this.#answerExportName(codec.decodeText(this.#view, at, dataBytes));
      case nbd.OPTION_INFO:
      case nbd.OPTION_GO:
        return this.#answerInfo(option, codec.decodeInfoRequest(this.#view, at, dataBytes));
      case nbd.OPTION_LIST:
        if (dataBytes > 0) return this.#refuse(option, nbd.REPLY_ERROR_INVALID, 'LIST takes no data');
        this.#listing = this.#directory.names();
        this.#listed = 0;
        return;
      case nbd.OPTION_ABORT:
        this.#acknowledge(option);
        this.#state = 'ending';
        return;
      default:
        // Structured replies, contexts and TLS are all optional to clients: the Linux kernel uses none of them either.
        return this.#refuse(option, nbd.REPLY_ERROR_UNSUPPORTED, `${optionName(option)} is not supported`);
    }
  }

  /** The oldest way to choose. It knows no error: an unknown name ends the connection. */
  #answerExportName(name: string): void {
    const device = findExport(this.#directory, name);
    if (device === undefined) {
      this.#reportUnknown(name);
      this.#break('unknownExport', `no export "${shortened(name)}", and EXPORT_NAME has no way to say so`);
      return;
    }
    const flags = transmissionFlags(device, this.#readOnly);
    this.#outputBytes += codec.encodeExportNameAnswer(this.#view, this.#outputEnd, device.sectors, flags, this.#zeroes);
    this.#open(device);
  }

  #answerInfo(option: number, wish: codec.InfoRequest | undefined): void {
    if (wish === undefined) return this.#refuse(option, nbd.REPLY_ERROR_INVALID, 'the lengths of name and list do not add up');
    const device = findExport(this.#directory, wish.name);
    if (device === undefined) {
      this.#reportUnknown(wish.name);
      const which = wish.name === '' ? 'name one: there is not exactly one export' : `no export "${shortened(wish.name)}"`;
      return this.#refuse(option, nbd.REPLY_ERROR_UNKNOWN, `${which}; LIST shows what is attached`);
    }
    const view = this.#view;
    const flags = transmissionFlags(device, this.#readOnly);
    this.#outputBytes += codec.encodeInfoExport(view, this.#outputEnd, option, device.sectors, flags);
    if (wish.wantsName) this.#outputBytes += codec.encodeInfoName(view, this.#outputEnd, option, device.name);
    if (wish.wantsBlockSize) {
      const { BLOCK_BYTES_MIN: min, BLOCK_BYTES_PREFERRED: preferred } = limits;
      this.#outputBytes += codec.encodeInfoBlockSize(view, this.#outputEnd, option, min, preferred, this.#payloadBytesMax);
    }
    this.#acknowledge(option);
    if (option === nbd.OPTION_GO) this.#open(device);
  }

  /** As many names as surely fit, and the acknowledgement behind the last one. */
  #listNext(names: readonly string[]): boolean {
    while (this.#listed < names.length && this.#outputBytes <= LISTED_BYTES_MAX) {
      this.#outputBytes += codec.encodeServerReply(this.#view, this.#outputEnd, names[this.#listed++]);
    }
    if (this.#listed < names.length) return true;
    this.#listing = undefined;
    this.#acknowledge(nbd.OPTION_LIST);
    return true;
  }

  #open(device: BlockDevice): void {
    this.device = device;
    this.#log({ kind: 'exportOpened', exportName: device.name, readOnly: isReadOnly(device, this.#readOnly) });
  }

  #acknowledge(option: number): void {
    this.#outputBytes += codec.encodeOptionReply(this.#view, this.#outputEnd, option, nbd.REPLY_ACK);
  }

  #refuse(option: number, error: number, message: string): void {
    this.#outputBytes += codec.encodeTextReply(this.#view, this.#outputEnd, option, error, message);
  }

  #reportUnknown(name: string): void {
    this.#log({ kind: 'exportUnknown', exportName: shortened(name) });
  }

  #break(reason: DropReason, detail: string): false {
    this.#state = 'broken';
    this.#counters.dropped[reason]++;
    this.#log({ kind: 'connectionDropped', reason, detail });
    return false;
  }
}

function shortened(name: string): string {
  return name.length > limits.LOGGED_NAME_CHARACTERS_MAX ? `${name.slice(0, limits.LOGGED_NAME_CHARACTERS_MAX)}…` : name;
}
