import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { removeDurably, UNFINISHED, writeDurably } from '../../system/durable-file.ts';
import { isTargetAddress } from '../../volumes/addresses.ts';
import { VolumeError } from '../../volumes/errors.ts';
import { parseStagedVolume, type StagedVolume } from './staged-volume.ts';

const SUFFIX = '.json';
const FOLDER_MODE = 0o700;

/** A file that can't be understood. What it was about is not touched until a person has looked. */
interface Damaged {
  readonly damage: string;
}

/**
 * Remembers staged volumes across the death of this process: one file per target, replaced as a whole, durable when a call
 * resolves. The caller sees to it that nobody changes one target's record twice at a time.
 */
export class StateDirectory {
  readonly path: string;
  readonly #volumes = new Map<string, StagedVolume | Damaged>();

  /**
   * Opens the directory, made where there is none, and reads what an earlier process of this boot has left. Records of an earlier
   * boot are dropped: the machine has forgotten all mounts since.
   * @throws Error when it can't be made or read
   */
  constructor(path: string, bootId: string) {
    this.path = path;
    mkdirSync(path, { recursive: true, mode: FOLDER_MODE });
    for (const file of readdirSync(path)) {
      if (file.endsWith(UNFINISHED)) rmSync(join(path, file), { force: true });
      else if (file.endsWith(SUFFIX) && isTargetAddress(file.slice(0, -SUFFIX.length))) this.#load(file, bootId);
    }
  }

  /** @throws VolumeError `internal` when the record can't be trusted */
  get(address: string): StagedVolume | undefined {
    const found = this.#volumes.get(address);
    if (found !== undefined && 'damage' in found) throw new VolumeError('internal', found.damage);
    return found;
  }

  /** All that can be trusted. */
  list(): StagedVolume[] {
    return [...this.#volumes.values()].filter((found) => 'volumeId' in found);
  }

  /** Whether something was remembered of a volume there that can't be understood. */
  isDamaged(address: string): boolean {
    const found = this.#volumes.get(address);
    return found !== undefined && 'damage' in found;
  }

  /** What a person has to look at, a sentence each. */
  damages(): string[] {
    return [...this.#volumes.values()].flatMap((found) => ('damage' in found ? [found.damage] : []));
  }

  async save(volume: StagedVolume): Promise<StagedVolume> {
    const path = this.#pathOf(volume.address);
    await writeDurably(path, `${JSON.stringify(volume, undefined, 1)}\n`).catch((error: unknown) => {
      throw failure(`remember the state of ${volume.volumeId} in ${path}`, error);
    });
    this.#volumes.set(volume.address, volume);
    return volume;
  }

  /**
   * As save, for a change that makes less of a volume: should the disk be full, it is known to this process at least, and the next one
   * finds out by looking at the kernel. Nothing that is taken down ever waits for room on a disk.
   * @param failed told when it was not written
   */
  async saveLess(volume: StagedVolume, failed: (message: string) => void): Promise<StagedVolume> {
    this.#volumes.set(volume.address, volume);
    return this.save(volume).catch((error: unknown) => {
      failed((error as Error).message);
      return volume;
    });
  }

  async remove(address: string): Promise<void> {
    const path = this.#pathOf(address);
    await removeDurably(path).catch((error: unknown) => {
      if ((error as { code?: string }).code !== 'ENOENT') throw failure(`forget the state in ${path}`, error);
    });
    this.#volumes.delete(address);
  }

  #load(file: string, bootId: string): void {
    const path = join(this.path, file);
    const address = file.slice(0, -SUFFIX.length);
    const volume = parseStagedVolume(readFileSync(path, 'utf8'));
    if (volume === undefined || volume.address !== address) {
      const damage = `cannot use the state file ${path}: it is damaged; unmount what is mounted of ${address}, detach it, and remove the file`;
      this.#volumes.set(address, { damage });
    } else if (volume.bootId === bootId) {
      this.#volumes.set(address, volume);
    } else {
      rmSync(path);
    }
  }

  #pathOf(address: string): string {
    return join(this.path, `${address}${SUFFIX}`);
  }
}

function failure(attempted: string, error: unknown): VolumeError {
  const { code = 'unknown error' } = error as { code?: string };
  const advice = code === 'ENOSPC' || code === 'EDQUOT' ? 'make room on that disk' : 'look at that directory';
  return new VolumeError('unavailable', `cannot ${attempted}: ${code}; ${advice}, then call again`);
}
