import { readdirSync, readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { writeDurably } from '../../system/durable-file.ts';
import type { ProcessIdentity } from '../../system/process-identity.ts';

/** What must be known to clean up after an initiator that was killed. */
export interface FuseRecord {
  /** `e10.3` */
  readonly name: string;
  readonly initiator: ProcessIdentity;
  /** Undefined while it is being started. */
  readonly nbdfuse?: ProcessIdentity | undefined;
}

const SUFFIX = '.json';

/** Replaces the volume's record in `folder` as a whole. */
export async function writeRecord(folder: string, record: FuseRecord): Promise<void> {
  await writeDurably(join(folder, record.name + SUFFIX), JSON.stringify(record));
}

/** Well when there is none. A record that a power failure brings back speaks of processes that are no more. */
export async function removeRecord(folder: string, name: string): Promise<void> {
  await rm(join(folder, name + SUFFIX), { force: true });
}

/** All records in `folder`. A file that can't be understood is left out: nothing was started before its record was whole. */
export function readRecords(folder: string): FuseRecord[] {
  return readdirSync(folder)
    .filter((file) => file.endsWith(SUFFIX))
    .flatMap((file) => parseRecord(readFileSync(join(folder, file), 'utf8')));
}

function parseRecord(text: string): FuseRecord[] {
  try {
    return [JSON.parse(text) as FuseRecord];
  } catch {
    return [];
  }
}
