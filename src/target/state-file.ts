import { randomBytes } from 'node:crypto';
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { formatMac, parseMac, type Mac } from '../aoe/address.ts';
import { CONFIG_STRING_BYTES_MAX } from '../aoe/constants.ts';
import { LIST_ENTRIES_MAX, type DeviceState, type StateStore } from './state.ts';

const FORMAT_VERSION = 1;
const SERIAL = /^[ -~]{1,20}$/;
const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/;

/** A state file that can't be read or written. The message says what to do about it. */
export class StateFileError extends Error {
  override readonly name = 'StateFileError';
}

/** The file's content, as people see it. */
interface StateDocument {
  readonly version: number;
  readonly serial: string;
  /** Base64: a config string is any bytes. */
  readonly configString: string;
  readonly mask: readonly string[];
  readonly reserved: readonly string[];
}

/**
 * A device's state in a file beside what it exports (`disk.img.aoe`), replaced as a whole: after a crash the file holds either
 * the old state or the new one. A device that has none gets a random serial, which is its identity from then on.
 */
export class StateFile implements StateStore {
  readonly #path: string;
  readonly #first: DeviceState;

  /** @param first state of a device that has no file yet; its serial stands where it has one, else a random one is made */
  constructor(path: string, first: { readonly mask: readonly Mac[]; readonly serial?: string | undefined }) {
    this.#path = path;
    const serial = first.serial ?? randomBytes(10).toString('hex');
    this.#first = { serial, configString: new Uint8Array(0), mask: first.mask, reserved: [] };
  }

  /** @throws StateFileError when there is a file that can't be understood: ignoring it would forget a claim or a fence */
  load(): DeviceState {
    const text = this.#read();
    if (text === undefined) {
      this.save(this.#first);
      return this.#first;
    }
    try {
      return decodeState(text);
    } catch (error) {
      const reason = (error as Error).message;
      throw new StateFileError(
        `cannot use the state in ${this.#path}: ${reason}; repair it, or delete it if this target's claim, mask and reservation may be forgotten`,
        { cause: error },
      );
    }
  }

  save(state: DeviceState): void {
    const temporary = `${this.#path}.new`;
    try {
      writeDurably(temporary, encodeState(state));
      renameSync(temporary, this.#path);
      syncFolder(dirname(this.#path));
    } catch (error) {
      const { code = 'unknown error' } = error as { code?: string };
      throw new StateFileError(
        `cannot save the state of a target in ${this.#path}: ${code}; name a folder that can be written with --state-dir, or use --forget-state`,
        { cause: error },
      );
    }
  }

  /** The file's text; undefined when there is none. */
  #read(): string | undefined {
    try {
      return readFileSync(this.#path, 'utf8');
    } catch (error) {
      const { code = 'unknown error' } = error as { code?: string };
      if (code === 'ENOENT') return undefined;
      throw new StateFileError(`cannot read the state of a target in ${this.#path}: ${code}`, { cause: error });
    }
  }
}

export function encodeState({ serial, configString, mask, reserved }: DeviceState): string {
  const document: StateDocument = {
    version: FORMAT_VERSION,
    serial,
    configString: Buffer.from(configString).toString('base64'),
    mask: mask.map(formatMac),
    reserved: reserved.map(formatMac),
  };
  return `${JSON.stringify(document, undefined, 2)}\n`;
}

/** @throws Error that names the field which is not as `encodeState` writes it */
export function decodeState(text: string): DeviceState {
  const document: unknown = JSON.parse(text);
  if (typeof document !== 'object' || document === null) throw new Error('it is not a JSON object');
  const { version, serial, configString, mask, reserved } = document as Partial<Record<keyof StateDocument, unknown>>;
  if (version !== FORMAT_VERSION) throw new Error(`its version is ${String(version)}, not ${FORMAT_VERSION}`);
  if (typeof serial !== 'string' || !SERIAL.test(serial)) throw new Error('"serial" is not 1 to 20 printable characters');
  if (typeof configString !== 'string' || !BASE64.test(configString)) throw new Error('"configString" is not base64');
  const bytes = new Uint8Array(Buffer.from(configString, 'base64'));
  if (bytes.length > CONFIG_STRING_BYTES_MAX) throw new Error(`"configString" is longer than ${CONFIG_STRING_BYTES_MAX} bytes`);
  return { serial, configString: bytes, mask: decodeMacs('mask', mask), reserved: decodeMacs('reserved', reserved) };
}

function decodeMacs(name: string, list: unknown): Mac[] {
  if (!Array.isArray(list) || list.length > LIST_ENTRIES_MAX) {
    throw new Error(`"${name}" is not a list of at most ${LIST_ENTRIES_MAX} MAC addresses`);
  }
  return list.map((text: unknown) => parseMac(String(text)));
}

function writeDurably(path: string, text: string): void {
  const fd = openSync(path, 'w', 0o600);
  try {
    writeSync(fd, text);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** A rename is durable when its folder is. */
function syncFolder(path: string): void {
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
