import { DeviceError } from './backend.ts';

/** As the kernel's aoe driver counts: 16 slots in each shelf. */
const SLOTS_PER_SHELF = 16;

/**
 * The index of the NBD device of a target, where it must be known without looking: shelf × 16 + slot, so e10.3 is /dev/nbd163. Of all
 * addresses it stays below 2^20, which is as far as the kernel counts; with partitions (max_part) it counts less far.
 *
 * @throws DeviceError for slots from 16 on, whose index would be that of another target
 */
export function staticIndex(shelf: number, slot: number): number {
  if (slot < SLOTS_PER_SHELF) return shelf * SLOTS_PER_SHELF + slot;
  throw new DeviceError(
    'refused',
    `e${shelf}.${slot} has no static minor: only slots 0 to ${SLOTS_PER_SHELF - 1} have; start the initiator without --static-minors`,
  );
}
