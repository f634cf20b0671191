/**
 * What two initiators of the same run directory tell each other when the devices go from one to the other while they are in use. The
 * new one asks for it with the control service's HandOver and listens at a socket of its own for the rest; each message of that is one
 * record, with the descriptors beside it:
 *
 * ```
 *  0            4
 * | json bytes | JSON (Message) | unread bytes of a connection |      little endian: both run on the same machine
 * ```
 *
 * One connection after the other, then `all`; after that the new one answers `taken`, and that is the moment: before it the devices are
 * the old one's, whatever happens, after it the new one's. Fields that a reader does not know it passes over.
 */

/** What this program speaks, and the oldest that it understands. A change that an older reader would misunderstand needs a new number. */
export const HAND_OVER_PROTOCOL = 1;
export const HAND_OVER_PROTOCOL_MIN = 1;

/** A connection's unread bytes are at most half of it. */
export const RECORD_BYTES_MAX = 64 * 1024;

export interface ConnectionMessage {
  readonly kind: 'connection';
  /** Of its device. */
  readonly identifier: string;
  readonly quietMs: number;
  readonly unflushedWrites: number;
}

/** With the lock of the run directory and the listening control socket. */
export interface AllMessage {
  readonly kind: 'all';
  /** How many connections came before. */
  readonly connections: number;
}

export interface TakenMessage {
  readonly kind: 'taken';
}

export type Message = ConnectionMessage | AllMessage | TakenMessage;

const LENGTH_BYTES = 4;
const NOTHING = new Uint8Array(0);

export function encodeMessage(message: Message, unread: Uint8Array = NOTHING): Uint8Array {
  const json = Buffer.from(JSON.stringify(message));
  const length = Buffer.alloc(LENGTH_BYTES);
  length.writeUInt32LE(json.length);
  return Buffer.concat([length, json, unread]);
}

/** @throws Error when it is no message of this protocol */
export function decodeMessage(record: Buffer): { message: Message; unread: Uint8Array } {
  const end = record.length < LENGTH_BYTES ? Infinity : LENGTH_BYTES + record.readUInt32LE(0);
  if (end > record.length) throw new Error(`a record of ${record.length} bytes is no message of a hand-over`);
  const message = JSON.parse(record.toString('utf8', LENGTH_BYTES, end)) as Message;
  if (!isMessage(message)) throw new Error('a record that is no message of a hand-over');
  return { message, unread: new Uint8Array(record.subarray(end)) };
}

function isMessage(message: Message | null): boolean {
  switch (message?.kind) {
    case 'connection': {
      const { identifier, quietMs, unflushedWrites } = message;
      return typeof identifier === 'string' && [quietMs, unflushedWrites].every((each) => Number.isFinite(each) && each >= 0);
    }
    case 'all':
      return Number.isInteger(message.connections);
    case 'taken':
      return true;
    case undefined:
      return false;
  }
}
