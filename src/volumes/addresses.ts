import { AddressError, parseTargetAddress, targetKey } from '../aoe/address.ts';

/** Whether a text names a target, `e<shelf>.<slot>` in the one way it is written (src/aoe/address.ts). Never throws. */
export function isTargetAddress(text: string): boolean {
  return addressKey(text) !== undefined;
}

/** Shelf and slot of `e<shelf>.<slot>` as one number that orders targets as people do; undefined for another text. */
export function addressKey(text: string): number | undefined {
  try {
    const { shelf, slot } = parseTargetAddress(text);
    return targetKey(shelf, slot);
  } catch (error) {
    if (error instanceof AddressError) return undefined;
    throw error;
  }
}

/** Orders addresses by shelf, then slot (`e2.1` before `e10.1`); texts that are none come last, in their own order. */
export function compareAddresses(a: string, b: string): number {
  const [keyA, keyB] = [addressKey(a) ?? Infinity, addressKey(b) ?? Infinity];
  if (keyA !== keyB) return keyA - keyB;
  return a < b ? -1 : Number(a > b);
}
