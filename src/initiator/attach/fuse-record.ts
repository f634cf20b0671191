import { readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
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
export function writeRecord(folder: string, record: FuseRecord): void {
  const path = join(folder, record.name + SUFFIX);
  writeFileSync(`${path}.new`, JSON.stringify(record), { mode: 0o600 });
  renameSync(`${path}.new`, path);
}

export function removeRecord(folder: string, name: string): void {
  rmSync(join(folder, name + SUFFIX), { force: true });
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
