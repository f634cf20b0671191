/**
 * Frames that a confused or hostile host may send where one true answer is expected. Each is made from the true answer, and
 * carries data that must never reach anybody.
 */

const SRC_MAC = 6;
const VERSION_FLAGS = 14;
const SHELF = 16;
const SLOT = 18;
const COMMAND = 19;
const TAG = 20;
const STATUS = 27;
const DATA = 36;
const POISON = 0xee;

export type Lie = keyof typeof LIES;

/** Told before the true answer, but for those whose name begins with `late`. */
export const LIES = {
  /** Ends within its headers. */
  truncated: (answer) => poisoned(answer).subarray(0, 30),
  /** Ends within the common header. */
  stump: (answer) => poisoned(answer).subarray(0, 23),
  'wrong shelf': (answer) => changed(answer, (frame) => frame.writeUInt16BE(frame.readUInt16BE(SHELF) ^ 1, SHELF)),
  'wrong slot': (answer) => changed(answer, (frame) => frame.writeUInt8(frame.readUInt8(SLOT) ^ 1, SLOT)),
  'wrong MAC': (answer) => changed(answer, (frame) => frame.writeUInt8(frame.readUInt8(SRC_MAC + 5) ^ 1, SRC_MAC + 5)),
  /** Somebody else's, or nobody's: the tag's low bits are others, its prefix is ours. */
  unsolicited: (answer) => changed(answer, (frame) => frame.writeUInt32BE((frame.readUInt32BE(TAG) ^ 0x2a5a5) >>> 0, TAG)),
  /** One of ours as it was some thousand frames ago: it differs from the true one above the bits that index our tables. */
  'old tag': (answer) => changed(answer, (frame) => frame.writeUInt32BE((frame.readUInt32BE(TAG) ^ 0x10000) >>> 0, TAG)),
  'no answer': (answer) => changed(answer, (frame) => frame.writeUInt8(0x10, VERSION_FLAGS)),
  'other version': (answer) => changed(answer, (frame) => frame.writeUInt8(0x28, VERSION_FLAGS)),
  'other command': (answer) => changed(answer, (frame) => frame.writeUInt8(0xf0, COMMAND)),
  /** The same as a config response whose string is longer than the frame. */
  'broken config': (answer) =>
    changed(answer, (frame) => {
      frame.writeUInt8(1, COMMAND);
      frame.writeUInt16BE(0xffff, 30);
    }),
  'for another host': (answer) => changed(answer, (frame) => frame.write('020000000099', 0, 'hex')),
  /** A tag that no VLAN device here takes. */
  'in another VLAN': (answer) => {
    const frame = poisoned(answer);
    return Buffer.concat([frame.subarray(0, 12), Buffer.from('81000007', 'hex'), frame.subarray(12)]);
  },
  /** The very same again. */
  'late duplicate': (answer) => Buffer.from(answer),
  /** The same tag once more, with other data. */
  'late poison': (answer) => poisoned(answer),
  /** The same tag once more, now as an error. */
  'late error': (answer) =>
    changed(answer, (frame) => {
      frame.writeUInt8(0x41, STATUS);
    }),
} as const satisfies Record<string, (answer: Buffer) => Buffer>;

export const ALL_LIES = Object.keys(LIES) as readonly Lie[];

export function isLate(lie: Lie): boolean {
  return lie.startsWith('late');
}

function poisoned(answer: Buffer): Buffer {
  return Buffer.from(answer).fill(POISON, DATA);
}

function changed(answer: Buffer, change: (frame: Buffer) => void): Buffer {
  const frame = poisoned(answer);
  change(frame);
  return frame;
}
