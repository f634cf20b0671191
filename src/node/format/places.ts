/**
 * Where a disk tells what it holds: what is looked at before a disk is taken for blank, and what is overwritten by a wipe.
 *
 * ```
 *  0      8 MiB, 128 MiB, 384 MiB, 640 MiB    64 MiB, 256 GiB, 1 PiB    ¼, ½, ¾         end
 *  | head …        ext4's copies                 btrfs' copies         XFS' copies  … tail |
 * ```
 *
 * Head and tail hold partition tables, LVM, RAID, LUKS, swap, ZFS labels and the superblocks of file systems; ext4 keeps copies at
 * the starts of block groups (of 8 MiB with blocks of 1 KiB, of 128 MiB with blocks of 4 KiB), btrfs at fixed places, XFS at the
 * starts of its allocation groups, which are four unless the disk is larger than 4 TiB.
 */
export interface Range {
  readonly startBytes: number;
  readonly lengthBytes: number;
}

const KIB = 1024;
const MIB = 1024 * KIB;
const GIB = 1024 * MIB;

/** Looked at: no format that is known keeps its mark further in. */
const PROBED_END_BYTES = MIB;
/** Wiped: more, so that not even a fragment of a journal or of metadata near the marks stays. */
const WIPED_END_BYTES = 16 * MIB;
/** Looked at from where a copy's place begins: an allocation group starts at a whole block after it. */
const COPY_BYTES = 64 * KIB;
const BLOCK_BYTES = 4 * KIB;
const COPIES = [8 * MIB, 128 * MIB, 384 * MIB, 640 * MIB, 64 * MIB, 256 * GIB, 1024 * 1024 * GIB];

/** What must be zero for a disk to count as blank. */
export function probedRanges(sizeBytes: number): Range[] {
  return rangesOf(sizeBytes, PROBED_END_BYTES);
}

/** What `wipe: headers` overwrites: covers all that is probed. */
export function headerRanges(sizeBytes: number): Range[] {
  return rangesOf(sizeBytes, WIPED_END_BYTES);
}

/** In ascending order and without overlap. */
function rangesOf(sizeBytes: number, endBytes: number): Range[] {
  if (sizeBytes <= 2 * endBytes) return [{ startBytes: 0, lengthBytes: sizeBytes }];
  const tail = sizeBytes - endBytes;
  const quarters = [0.25, 0.5, 0.75].map((part) => Math.floor((sizeBytes * part) / BLOCK_BYTES) * BLOCK_BYTES);
  const copies = [...COPIES, ...quarters].filter((start) => start >= endBytes && start + COPY_BYTES <= tail);
  return merge([
    { startBytes: 0, lengthBytes: endBytes },
    ...copies.map((startBytes) => ({ startBytes, lengthBytes: COPY_BYTES })),
    { startBytes: tail, lengthBytes: endBytes },
  ]);
}

function merge(ranges: readonly Range[]): Range[] {
  const merged: Range[] = [];
  for (const { startBytes, lengthBytes } of ranges.toSorted((a, b) => a.startBytes - b.startBytes)) {
    const before = merged.at(-1);
    if (before === undefined || startBytes >= before.startBytes + before.lengthBytes) merged.push({ startBytes, lengthBytes });
    else {
      const endBytes = Math.max(before.startBytes + before.lengthBytes, startBytes + lengthBytes);
      merged[merged.length - 1] = { startBytes: before.startBytes, lengthBytes: endBytes - before.startBytes };
    }
  }
  return merged;
}
