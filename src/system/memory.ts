import type { Arena } from '../buffers/arena.ts';
import { MAP_ANONYMOUS, MAP_PRIVATE, PROT_READ, PROT_WRITE } from './constants.ts';
import { mmap, orThrow, viewMemory } from './libc.ts';

/**
 * An arena that the kernel can be told addresses of: page-aligned, zeroed, outside of JavaScript's heap, at a fixed place.
 * Mapped for the life of the process, because a late system call may still write to it. Throws SystemError (ENOMEM).
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
