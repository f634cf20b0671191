import { mkdirSync, readdirSync, readlinkSync, rmSync, symlinkSync } from 'node:fs';
import { basename, join } from 'node:path';

const BLOCK_DEVICES = '/sys/class/block';
/** `e10.3p1` is a partition of `e10.3`. */
const PARTITION = /p\d+$/;
/** No kernel tells by itself that a disk has been partitioned, except to those who listen for udev's events. */
const LOOK_MS = 2_000;

export interface EtherdLinksOptions {
  /** Where people look for them: `/dev/etherd`. Undefined: no links. */
  readonly folder: string | undefined;
  /** A folder for what we have made there, for the next initiator; of this initiator alone. */
  readonly records: string;
  /** Whether partitions have links, too. */
  readonly partitions: boolean;
  /** Told of a link that can't be made or removed. */
  readonly notice: (name: string, text: string) => void;
}

/**
 * Symbolic links under the names that the kernel's aoe driver gives its devices: `/dev/etherd/e10.3`, `e10.3p1`. No udev is needed.
 *
 * The folder may hold what others have made, real devices of that driver among them. A link is ours when there is a record of it, a
 * link of the same name and text that was made before it; nothing else is ever touched. A volume works without its link, so what fails
 * here is a notice.
 */
export class EtherdLinks {
  readonly #options: EtherdLinksOptions;
  readonly #devices = new Map<string, string>();
  readonly #timer: NodeJS.Timeout | undefined;

  constructor(options: EtherdLinksOptions) {
    this.#options = options;
    if (options.partitions) this.#timer = setInterval(() => this.#lookForPartitions(), LOOK_MS).unref();
  }

  /** A volume has a device from now on. */
  set(name: string, device: string): void {
    this.#devices.set(name, device);
    this.#make(name, device);
    if (this.#options.partitions) this.#setPartitions(name, device);
  }

  /** It will have none: before the device is taken away, for its number may soon be another's. */
  remove(name: string): void {
    this.#devices.delete(name);
    for (const link of this.#linksOf(name)) this.#unmake(link);
  }

  /** Removes what an earlier initiator has left, when all devices that are there are known. */
  removeStale(): void {
    for (const link of this.#recorded()) if (!this.#devices.has(volumeOf(link))) this.#unmake(link);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #lookForPartitions(): void {
    for (const [name, device] of this.#devices) this.#setPartitions(name, device);
  }

  #setPartitions(name: string, device: string): void {
    const present = partitionsOf(device);
    for (const link of this.#linksOf(name)) if (link !== name && !present.has(link.slice(name.length))) this.#unmake(link);
    for (const [suffix, partition] of present) this.#make(name + suffix, partition);
  }

  #make(link: string, device: string): void {
    const { folder, records } = this.#options;
    if (folder === undefined) return;
    const [path, record] = [join(folder, link), join(records, link)];
    if (textOf(record) === device && textOf(path) === device) return;
    this.#unmake(link);
    try {
      mkdirSync(folder, { recursive: true });
      symlinkSync(device, record);
      symlinkSync(device, path);
    } catch (error) {
      rmSync(record, { force: true });
      this.#failed(link, `link ${path} to ${device}`, error);
    }
  }

  #unmake(link: string): void {
    const { folder, records } = this.#options;
    if (folder === undefined) return;
    const [path, record] = [join(folder, link), join(records, link)];
    const device = textOf(record);
    if (device === undefined) return;
    try {
      if (textOf(path) === device) rmSync(path);
      rmSync(record);
    } catch (error) {
      this.#failed(link, `remove the link ${path}`, error);
    }
  }

  #failed(link: string, attempt: string, error: unknown): void {
    const { code, message } = error as NodeJS.ErrnoException;
    const reason = code === 'EEXIST' ? 'there is something that is not ours; remove it if nothing needs it' : message;
    this.#options.notice(volumeOf(link), `cannot ${attempt}: ${reason}`);
  }

  /** Names of the links of a volume that we have made. */
  #linksOf(name: string): string[] {
    return this.#recorded().filter((link) => volumeOf(link) === name);
  }

  #recorded(): string[] {
    return readdirSync(this.#options.records);
  }
}

function volumeOf(link: string): string {
  return link.replace(PARTITION, '');
}

/** `p1` → `/dev/loop0p1` of each partition that the kernel knows now. */
function partitionsOf(device: string): Map<string, string> {
  const name = basename(device);
  const suffixes = namesIn(join(BLOCK_DEVICES, name))
    .filter((entry) => entry.startsWith(name))
    .map((entry) => entry.slice(name.length));
  return new Map(suffixes.filter((suffix) => PARTITION.test(suffix)).map((suffix) => [suffix, device + suffix]));
}

/** None where the device has gone meanwhile. */
function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

/** What a symbolic link says; undefined when there is none, or something else. */
function textOf(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}
