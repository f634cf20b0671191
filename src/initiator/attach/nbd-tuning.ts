import type { NbdQueues } from './nbd-queues.ts';

const IO_TIMEOUT = 'queue/io_timeout';
const DISCARD_BYTES = 'queue/discard_max_bytes';
const DISCARD_BYTES_POSSIBLE = 'queue/discard_max_hw_bytes';

/** How a device is set, beside what CONNECT sets. */
export interface NbdTuning {
  /** How soon the kernel sees that a request was sent over a socket that has been replaced since, and sends it again. */
  readonly ioTimeoutMs: number;
  /** The largest read or write that is sent as one. */
  readonly requestBytesMax: number;
  readonly discardBytesMax: number;
  /** Share of the memory for unwritten data that this device's may take, in percent: a dead target must not stop other disks. */
  readonly dirtyPercentMax: number;
}

/**
 * Sets what is not set yet of a device. Only the timeout is worth failing for: without it a reconnected device stands still for half a minute.
 * Ends at the first setting that is stuck: what comes after it would be, too.
 * @returns what could not be set, a sentence each
 * @throws DeviceError when the timeout can't be set
 */
export async function tune(queues: NbdQueues, index: number, tuning: NbdTuning): Promise<string[]> {
  const settings: [attribute: string, value: number | string][] = [
    [IO_TIMEOUT, tuning.ioTimeoutMs],
    ['queue/scheduler', 'none'],
    ['queue/max_sectors_kb', Math.floor(tuning.requestBytesMax / 1024)],
    [DISCARD_BYTES, tuning.discardBytesMax],
    ['bdi/max_ratio', tuning.dirtyPercentMax],
  ];
  const attributes = settings.map(([attribute]) => attribute);
  const [discardBytesPossible, ...present] = await queues.read(index, [DISCARD_BYTES_POSSIBLE, ...attributes]);
  const canDiscard = Number(discardBytesPossible) > 0;
  const problems: string[] = [];
  for (const [at, [attribute, value]] of settings.entries()) {
    if (isSet(present[at] ?? '', value) || (attribute === DISCARD_BYTES && !canDiscard)) continue;
    try {
      await queues.write(index, attribute, value);
    } catch (error) {
      if (attribute === IO_TIMEOUT) throw error;
      problems.push(`${queues.pathOf(index, attribute)} could not be set to ${value}: ${(error as Error).message}`);
      if (queues.trouble(index) !== '') break;
    }
  }
  return problems;
}

/** @throws DeviceError */
export async function setIoTimeout(queues: NbdQueues, index: number, timeoutMs: number): Promise<void> {
  await queues.write(index, IO_TIMEOUT, timeoutMs);
}

/** Whether the kernel waits so long for a request of a device. @throws DeviceError: nobody knows */
export async function hasIoTimeout(queues: NbdQueues, index: number, timeoutMs: number): Promise<boolean> {
  const [present = ''] = await queues.read(index, [IO_TIMEOUT]);
  return isSet(present, timeoutMs);
}

/** Lists of possible values have the present one in brackets. */
function isSet(present: string, value: number | string): boolean {
  return (/\[(.*)\]/.exec(present)?.[1] ?? present) === String(value);
}
