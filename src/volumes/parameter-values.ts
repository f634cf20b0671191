import { formatBytes, parseBytes } from './byte-size.ts';

/** How values of parameters are written: each syntax reads a text and writes the one text that stands for its value. */
export interface ParameterSyntax<T> {
  /** What is accepted, to follow "expected". */
  readonly expected: string;
  /** The same for programs, as far as JSON Schema can say it: it lets through all that `read` takes, and perhaps more. */
  readonly schema: { readonly enum: readonly string[] } | { readonly pattern: string };
  /** Undefined for a text of another form; never throws. */
  read(text: string): T | undefined;
  /** Reading it again gives the same value. */
  write(value: T): string;
}

export function oneOf<T extends string>(choices: readonly T[]): ParameterSyntax<T> {
  return {
    expected: `one of ${choices.join(', ')}`,
    schema: { enum: choices },
    read: (text) => choices.find((choice) => choice === text),
    write: (value) => value,
  };
}

/** A whole number in decimal, without sign, from `min` to `max`. */
export function wholeNumber(min: number, max: number): ParameterSyntax<number> {
  return {
    expected: `a whole number from ${min} to ${max}`,
    schema: { pattern: String.raw`^\d{1,10}$` },
    read: (text) => {
      const value = /^\d{1,10}$/.test(text) ? Number(text) : NaN;
      return value >= min && value <= max ? value : undefined;
    },
    write: String,
  };
}

/** Of one thing or more, with commas between. */
export function listPattern(one: string): string {
  return String.raw`^\s*${one}\s*(,\s*${one}\s*)*$`;
}

/** How much of a target may lie idle: a share of the target, or bytes. */
export interface WasteLimit {
  readonly unit: 'percent' | 'bytes';
  readonly value: number;
}

export const wasteLimit: ParameterSyntax<WasteLimit> = {
  expected: 'a share of the target from 0% to 100%, or a size like 500Gi',
  schema: { pattern: String.raw`^(\d{1,3}%|\d{1,16}([kMGTP]|[KMGTP]i)?)$` },
  read: (text) => {
    const percent = /^(\d{1,3})%$/.exec(text);
    if (percent !== null) return Number(percent[1]) <= 100 ? { unit: 'percent', value: Number(percent[1]) } : undefined;
    const bytes = parseBytes(text);
    return bytes === undefined ? undefined : { unit: 'bytes', value: bytes };
  },
  write: ({ unit, value }) => (unit === 'percent' ? `${value}%` : formatBytes(value)),
};

/** The most that may lie idle on a target of `targetBytes`. */
export function wasteBytesMax({ unit, value }: WasteLimit, targetBytes: number): number {
  return unit === 'percent' ? Math.floor((targetBytes * value) / 100) : value;
}
