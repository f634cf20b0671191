/**
 * An NBD client's view of the wire, written from doc/proto.md with Buffers and big integers and nothing from src/nbd: what both
 * sides got wrong in the same way would not show otherwise.
 */

export interface Command {
  readonly type: number;
  readonly flags?: number;
  readonly cookie: bigint;
  readonly offset: bigint;
  readonly length: number;
  /** Payload; only for writes. */
  readonly data?: Uint8Array;
}

export function encodeCommand(command: Command): Buffer {
  const header = Buffer.alloc(28);
  header.writeUInt32BE(0x25609513, 0);
  header.writeUInt16BE(command.flags ?? 0, 4);
  header.writeUInt16BE(command.type, 6);
  header.writeBigUInt64BE(command.cookie, 8);
  header.writeBigUInt64BE(command.offset, 16);
  header.writeUInt32BE(command.length, 24);
  return Buffer.concat([header, command.data ?? Buffer.alloc(0)]);
}

export interface Reply {
  readonly cookie: bigint;
  readonly error: number;
  readonly data: Buffer;
}

/** Splits a stream of simple replies; `readLength` tells how much data follows a successful reply to this cookie. */
export function decodeReplies(stream: Buffer, readLength: (cookie: bigint) => number): Reply[] {
  const replies: Reply[] = [];
  let at = 0;
  while (at < stream.length) {
    if (stream.readUInt32BE(at) !== 0x67446698) throw new Error(`no simple reply at byte ${at} of ${stream.length}`);
    const error = stream.readUInt32BE(at + 4);
    const cookie = stream.readBigUInt64BE(at + 8);
    const length = error === 0 ? readLength(cookie) : 0;
    if (at + 16 + length > stream.length) throw new Error(`reply to ${cookie} is cut short`);
    replies.push({ cookie, error, data: stream.subarray(at + 16, at + 16 + length) });
    at += 16 + length;
  }
  return replies;
}

/** Client flags: fixed newstyle, no zeroes. */
export const CLIENT_FLAGS = Buffer.from('00000003', 'hex');

export function encodeOption(option: number, data: Uint8Array = Buffer.alloc(0)): Buffer {
  const header = Buffer.alloc(16);
  header.write('IHAVEOPT', 0, 'latin1');
  header.writeUInt32BE(option, 8);
  header.writeUInt32BE(data.length, 12);
  return Buffer.concat([header, data]);
}

/** Data of NBD_OPT_GO and NBD_OPT_INFO. */
export function infoRequest(name: string, wishes: readonly number[] = []): Buffer {
  const text = Buffer.from(name);
  const data = Buffer.alloc(4 + text.length + 2 + 2 * wishes.length);
  data.writeUInt32BE(text.length, 0);
  text.copy(data, 4);
  data.writeUInt16BE(wishes.length, 4 + text.length);
  wishes.forEach((wish, index) => data.writeUInt16BE(wish, 6 + text.length + 2 * index));
  return data;
}

export interface OptionReply {
  readonly option: number;
  readonly type: number;
  readonly data: Buffer;
}

/** Splits a stream of answers to options. */
export function decodeOptionReplies(stream: Buffer): OptionReply[] {
  const replies: OptionReply[] = [];
  let at = 0;
  while (at < stream.length) {
    if (stream.readBigUInt64BE(at) !== 0x3e889045565a9n) throw new Error(`no answer to an option at byte ${at}`);
    const length = stream.readUInt32BE(at + 16);
    const data = stream.subarray(at + 20, at + 20 + length);
    replies.push({ option: stream.readUInt32BE(at + 8), type: stream.readUInt32BE(at + 12), data });
    at += 20 + length;
  }
  return replies;
}
