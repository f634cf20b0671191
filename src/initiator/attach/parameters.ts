import type { AttachRequest } from '../messages.ts';

/** What `wanted` asks for and `present` has otherwise, a phrase each; empty when the same volume would come of both. */
export function differences(present: AttachRequest, wanted: AttachRequest): string[] {
  const phrases: string[] = [];
  if (present.readOnly !== wanted.readOnly) phrases.push(present.readOnly ? 'for reading only' : 'for reading and writing');
  if (present.deadSeconds !== wanted.deadSeconds) {
    phrases.push(`with dead seconds ${present.deadSeconds}, not ${wanted.deadSeconds}`);
  }
  if (present.maxOutstanding !== wanted.maxOutstanding) {
    phrases.push(`with at most ${present.maxOutstanding} outstanding frames, not ${wanted.maxOutstanding}`);
  }
  const [presentNames, wantedNames] = [interfaceNames(present), interfaceNames(wanted)];
  if (presentNames !== wantedNames) phrases.push(`on ${presentNames}, not ${wantedNames}`);
  return phrases;
}

function interfaceNames({ interfaces }: AttachRequest): string {
  return interfaces === undefined ? 'all allowed interfaces' : `interfaces ${interfaces.toSorted().join(' ')}`;
}
