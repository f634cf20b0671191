import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { removeDurably, writeDurably } from '../../system/durable-file.ts';
import type { ServedVolume } from './backend.ts';

/**
 * What a later initiator must know of a device to take it up again. Written before the device is made; which index it has, and whether
 * it is there at all, is for the kernel to say.
 */
export interface NbdRecord extends ServedVolume {
  /** Of the boot that the device belongs to: it does not survive another one. */
  readonly bootId: string;
  /** Name and generation; the device has it, too. */
  readonly identifier: string;
  /** Of the device, for its life: partition tables and file systems depend on it. */
  readonly blockBytes: number;
}

const SUFFIX = '.json';
const GENERATION_BYTES = 8;

/** An identifier that no other device ever had: `aoe-csi/e10.3/9f86d081884c7d65`. */
export function newIdentifier(name: string): string {
  return `aoe-csi/${name}/${randomBytes(GENERATION_BYTES).toString('hex')}`;
}

/** Replaces the volume's record in `folder`; it is on the disk when this resolves. */
export async function writeNbdRecord(folder: string, record: NbdRecord): Promise<void> {
  await writeDurably(pathOf(folder, record.name), JSON.stringify(record));
}

/** Well when there is none. */
export async function removeNbdRecord(folder: string, name: string): Promise<void> {
  try {
    await removeDurably(pathOf(folder, name));
  } catch (error) {
    if ((error as { code?: string }).code !== 'ENOENT') throw error;
  }
}

/** All records in `folder`, and a sentence for each file that can't be understood. */
export function readNbdRecords(folder: string): { records: NbdRecord[]; problems: string[] } {
  const records: NbdRecord[] = [];
  const problems: string[] = [];
  for (const file of readdirSync(folder).filter((name) => name.endsWith(SUFFIX))) {
    const path = join(folder, file);
    const record = parse(readFileSync(path, 'utf8'));
    if (record !== undefined && file === record.name + SUFFIX) records.push(record);
    else problems.push(`${path} is no record of a device: what it stood for is left alone; remove it when you know why`);
  }
  return { records, problems };
}

function parse(text: string): NbdRecord | undefined {
  let found: Partial<NbdRecord> | null;
  try {
    found = JSON.parse(text) as Partial<NbdRecord> | null;
  } catch {
    return undefined;
  }
  const { bootId, identifier, name, request, sectors, blockBytes, serial, model } = found ?? {};
  const texts = [bootId, identifier, name, serial, model].every((each) => typeof each === 'string');
  const numbers = [sectors, blockBytes, request?.shelf, request?.slot].every((each) => Number.isSafeInteger(each));
  return texts && numbers ? (found as NbdRecord) : undefined;
}

function pathOf(folder: string, name: string): string {
  return join(folder, name + SUFFIX);
}
