import { REQUEST_MAGIC, SIMPLE_REPLY_MAGIC } from './constants.ts';
import * as layout from './layout.ts';

/** Header of a request, as decoded; made once and reused. See layout.ts for the picture, doc/proto.md "Request message". */
export class RequestHeader {
  flags = 0;
  command = 0;
  /** The client's eight bytes, opaque, to be echoed: as signed halves, which V8 keeps without allocating. */
  cookieHigh = 0;
  cookieLow = 0;
  /** Byte offset into the export: high half as u32, low half as its bits in a signed number (use `>>>`). */
  offsetHigh = 0;
  offsetLow = 0;
  lengthBytes = 0;
}

/** Reads the REQUEST_BYTES at `at` into `header`; false when they don't start a request, and then `header` is unchanged. */
export function decodeRequest(view: DataView, at: number, header: RequestHeader): boolean {
  if (view.getUint32(at) !== REQUEST_MAGIC) return false;
  header.flags = view.getUint16(at + layout.REQUEST_FLAGS);
  header.command = view.getUint16(at + layout.REQUEST_COMMAND);
  header.cookieHigh = view.getInt32(at + layout.REQUEST_COOKIE);
  header.cookieLow = view.getInt32(at + layout.REQUEST_COOKIE + 4);
  header.offsetHigh = view.getUint32(at + layout.REQUEST_OFFSET);
  header.offsetLow = view.getInt32(at + layout.REQUEST_OFFSET + 4);
  header.lengthBytes = view.getUint32(at + layout.REQUEST_LENGTH);
  return true;
}

/** Writes all REPLY_BYTES of a simple reply ("Simple reply message"). */
export function encodeReply(view: DataView, at: number, error: number, cookieHigh: number, cookieLow: number): void {
  view.setUint32(at, SIMPLE_REPLY_MAGIC);
  view.setUint32(at + layout.REPLY_ERROR, error);
  view.setInt32(at + layout.REPLY_COOKIE, cookieHigh);
  view.setInt32(at + layout.REPLY_COOKIE + 4, cookieLow);
}
