import { FENCING_LEVELS, type FencingLevel } from './records.ts';

/** What is counted on while nobody knows what a target can do: all keep a config string. */
export const FENCING_UNKNOWN: FencingLevel = 'claim';

/** Whether a target that can do `level` is good enough where `minimum` is demanded. */
export function meetsFencing(level: FencingLevel, minimum: FencingLevel): boolean {
  return FENCING_LEVELS.indexOf(level) <= FENCING_LEVELS.indexOf(minimum);
}

/** The lesser of two levels: what can be counted on when two nodes say different things of one target. */
export function weakerFencing(a: FencingLevel, b: FencingLevel): FencingLevel {
  return meetsFencing(a, b) ? b : a;
}
