import type { Arena } from '../buffers/arena.ts';
import { MAP_ANONYMOUS, MAP_PRIVATE, PROT_READ, PROT_WRITE } from './constants.ts';
import { mmap, munmap, orThrow, viewMemory } from './libc.ts';

/**
 * An arena that the kernel can be told addresses of: page-aligned, zeroed, outside of JavaScript's heap, at a fixed place.
 * It stays mapped until `unmapMemory`: a late system call may still write to it. Throws SystemError (ENOMEM).
 */
export function mapArena(sizeBytes: number): Arena {
  const address = orThrow(
    mmap(0, sizeBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
    'mmap',
    `map ${sizeBytes} bytes of buffer memory`,
    { ENOMEM: 'raise the memory limit of the process or configure fewer buffers', EINVAL: 'ask for at least one byte' },
  );
  const buffer = viewMemory(address, sizeBytes);
  return { bytes: new Uint8Array(buffer), view: new DataView(buffer), address };
}

/**
 * Gives an arena's memory back. Nobody may touch it again: the thread that had the arena has ended, and so has every system call that
 * was given an address of it. Throws SystemError.
 */
export function unmapMemory(address: number, sizeBytes: number): void {
  orThrow(munmap(address, sizeBytes), 'munmap', `give ${sizeBytes} bytes of buffer memory back`);
}
