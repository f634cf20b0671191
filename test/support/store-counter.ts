import type { TargetRecord } from '../../src/volumes/records.ts';
import { targetRecord } from './volumes-records.ts';

/** A record that holds a number. */
export function counterRecord(name: string, count: number): TargetRecord {
  return targetRecord(name, { identity: { serial: 's', model: 'm', sizeBytes: count } });
}

export function countOf(record: TargetRecord): number {
  return record.identity.sizeBytes;
}
