import { randomBytes } from 'node:crypto';

/** Bytes of a file that is read or written: a node that sees four thousand targets needs about one million. */
export const RECORD_BYTES_MAX = 16 * 2 ** 20;
/** Raised when older programs could no longer read what this one writes. */
const FORMAT = 1;

const EXTENSION = '.json';
/** File names have at most 255 bytes, also with the extension and with what durable-file.ts adds while it writes. */
const FILE_NAME_LENGTH_MAX = 246;
/** What stands for itself in a file name, which never starts with a dot. */
const PLAIN = /^[A-Za-z0-9_-][A-Za-z0-9._-]*$/;

/** A record as it is in its file. */
export interface StoredRecord {
  readonly version: string;
  readonly value: unknown;
}

/**
 * The file of a record: `e10.3` → `e10.3.json`. Other characters than letters, digits, `.`, `_` and `-` are written as their UTF-8
 * bytes, `%2F`, so that any name has one file and any file one name. Undefined for a name that is empty, too long or no text.
 */
export function fileNameOf(name: string): string | undefined {
  if (!name.isWellFormed()) return undefined;
  const plain = PLAIN.test(name) ? name : Buffer.from(name).reduce((text, byte, at) => text + escaped(byte, at), '');
  return plain === '' || plain.length > FILE_NAME_LENGTH_MAX ? undefined : plain + EXTENSION;
}

/** The record of a file; undefined for a file that is none. */
export function recordNameOf(fileName: string): string | undefined {
  if (!fileName.endsWith(EXTENSION)) return undefined;
  try {
    const name = decodeURIComponent(fileName.slice(0, -EXTENSION.length));
    return fileNameOf(name) === fileName ? name : undefined;
  } catch {
    return undefined;
  }
}

/** A version that no record had before, also not one that was deleted and made again. */
export function versionAfter(version: string | undefined): string {
  const writes = version === undefined ? 0 : Number.parseInt(version, 10);
  return `${writes + 1}-${randomBytes(6).toString('hex')}`;
}

/** A file's content: JSON that people can read. */
export function encodeRecord({ version, value }: StoredRecord): string {
  return `${JSON.stringify({ format: FORMAT, version, value }, undefined, 1)}\n`;
}

/** Reads a file's content, or says in a text what is wrong with it. Never throws. */
export function decodeRecord(content: Uint8Array): StoredRecord | string {
  if (content.length === 0) return 'it is empty';
  let document: unknown;
  try {
    document = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(content));
  } catch (error) {
    return `it is not JSON, or not all of it (${(error as Error).message})`;
  }
  if (typeof document !== 'object' || document === null) return 'it holds no object';
  const { format, version, value } = document as Readonly<Record<string, unknown>>;
  if (format !== FORMAT) return `its format is ${JSON.stringify(format)}, and this program knows ${FORMAT}`;
  if (typeof version !== 'string' || !/^\d{1,15}-[0-9a-f]+$/.test(version)) return 'its version is missing or damaged';
  return { version, value };
}

function escaped(byte: number, at: number): string {
  const character = String.fromCharCode(byte);
  const isPlain = at === 0 ? /[A-Za-z0-9_-]/.test(character) : /[A-Za-z0-9._-]/.test(character);
  return isPlain ? character : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
}
