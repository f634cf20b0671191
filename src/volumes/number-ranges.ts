/** Numbers from `first` to `last`, both included. */
export interface NumberRange {
  readonly first: number;
  readonly last: number;
}

/** In ascending order, without overlap or touch; empty means none. */
export type NumberRanges = readonly NumberRange[];

/** Characters of a text that is read at all. */
const TEXT_LENGTH_MAX = 4096;
const RANGE = /^(\d{1,6})(?:-(\d{1,6}))?$/;

/**
 * Reads numbers and ranges with commas between, e.g. `1-4,7`, none of them above `max`. Undefined for another text, an empty one
 * or a range that runs backwards; never throws.
 */
export function parseRanges(text: string, max: number): NumberRanges | undefined {
  if (text.length > TEXT_LENGTH_MAX) return undefined;
  const ranges: NumberRange[] = [];
  for (const part of text.split(',')) {
    const match = RANGE.exec(part.trim());
    if (match === null) return undefined;
    const first = Number(match[1]);
    const last = Number(match[2] ?? match[1]);
    if (first > last || last > max) return undefined;
    ranges.push({ first, last });
  }
  return merge(ranges);
}

/** The shortest text for these ranges. */
export function formatRanges(ranges: NumberRanges): string {
  return ranges.map(({ first, last }) => (first === last ? `${first}` : `${first}-${last}`)).join(',');
}

export function rangesInclude(ranges: NumberRanges, value: number): boolean {
  return ranges.some(({ first, last }) => value >= first && value <= last);
}

function merge(ranges: readonly NumberRange[]): NumberRanges {
  const merged: NumberRange[] = [];
  for (const range of ranges.toSorted((a, b) => a.first - b.first)) {
    const before = merged.at(-1);
    if (before === undefined || range.first > before.last + 1) merged.push(range);
    else merged[merged.length - 1] = { first: before.first, last: Math.max(before.last, range.last) };
  }
  return merged;
}
