/**
 * Where a disk tells what it holds: what is looked at before a disk is taken for blank, and what is overwritten by a wipe.
 *
 * ```
 *  0        16 MiB      8 MiB + 1 KiB, 128 MiB, 384 MiB   64 MiB, 256 GiB, 1 PiB       end - 16 MiB      end
 *  | head …  |               ext4 copies                       btrfs copies                |  … tail     |
 * ```
 *
 * Head and tail hold partition tables, LVM, RAID, LUKS, swap, ZFS labels and the superblocks of file systems; ext4 keeps copies at
 * the starts of block groups (of 8 MiB with blocks of 1 KiB, of 128 MiB with blocks of 4 KiB), btrfs at fixed places.
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
const COPY_BYTES = 64 * KIB;
/** Each rounded down to what a copy's block begins with. */
const COPIES = [8 * MIB, 128 * MIB, 384 * MIB, 640 * MIB, 64 * MIB, 256 * GIB, 1024 * 1024 * GIB];

/** What must be zero for a disk to count as blank. */
export function probedRanges(sizeBytes: number): Range[] {
  return ranges(sizeBytes, PROBED_END_BYTES);
}

/** What `wipe: headers` overwrites: covers all that is probed. */
export function headerRanges(sizeBytes: number): Range[] {
  return ranges(sizeBytes, WIPED_END_BYTES);
}

/** In ascending order and without overlap. */
function ranges(sizeBytes: number, endBytes: number): Range[] {
  if (sizeBytes <= 2 * endBytes) return [{ startBytes: 0, lengthBytes: sizeBytes }];
  const tail = sizeBytes - endBytes;
  const copies = COPIES.filter((start) => start >= endBytes && start + COPY_BYTES <= tail).toSorted((a, b) => a - b);
  return [
    { startBytes: 0, lengthBytes: endBytes },
    ...copies.map((startBytes) => ({ startBytes, lengthBytes: COPY_BYTES })),
    { startBytes: tail, lengthBytes: endBytes },
  ];
}
