import { basename } from 'node:path';
import { go } from '../../support/csi-go.ts';
import { csiSanity, SANITY_PROGRAM } from '../../support/csi-sanity.ts';

/** Programs that cases need, by the name of their file: a guest has no network to build them with. */
const PROGRAMS: Readonly<Record<string, { readonly variable: string; readonly build: () => string }>> = {
  'csi-sanity.js': { variable: SANITY_PROGRAM, build: csiSanity },
};

/** Environment that tells the cases of these files where their programs are. Without Go there are none. */
export function programsFor(files: readonly string[]): Record<string, string> {
  const wanted = files.flatMap((file) => PROGRAMS[basename(file)] ?? []);
  if (wanted.length === 0 || go().missing !== undefined) return {};
  return Object.fromEntries(wanted.map(({ variable, build }) => [variable, build()]));
}
