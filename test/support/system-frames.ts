/** Frames for tests of packet sockets, built byte by byte, without the codecs that stand beside them in production. */

export const BROADCAST = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
export const STRANGER = [0x02, 0, 0, 0, 0, 0x99];

export interface FrameFields {
  readonly to: readonly number[];
  readonly from?: readonly number[];
  readonly etherType?: number;
  /** 0x10 asks, 0x18 answers. */
  readonly versionFlags?: number;
  readonly command?: number;
  readonly tag?: number;
  readonly sizeBytes?: number;
  /** The value of an 802.1Q tag to be put in, e.g. the VLAN number. */
  readonly vlan?: number;
}

/** An AoE frame for e10.3; by default a 60-byte ATA response with tag 0. */
export function buildFrame(fields: FrameFields): Buffer {
  const { to, from = STRANGER, etherType = 0x88a2, versionFlags = 0x18, command = 0, tag = 0, sizeBytes = 60, vlan } = fields;
  const frame = Buffer.alloc(Math.max(sizeBytes, 24));
  frame.set(to, 0);
  frame.set(from, 6);
  frame.writeUInt16BE(etherType, 12);
  frame.set([versionFlags, 0, 0, 10, 3, command], 14);
  frame.writeUInt32BE(tag, 20);
  const cut = frame.subarray(0, sizeBytes);
  if (vlan === undefined) return cut;
  return Buffer.concat([cut.subarray(0, 12), Buffer.from([0x81, 0x00, vlan >> 8, vlan & 0xff]), cut.subarray(12)]);
}
