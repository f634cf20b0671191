import { isVolumeError, VolumeError } from './errors.ts';
import { METADATA, PARAMETERS, type Parameter, type ParameterPlace } from './parameter-table.ts';
import type { ClaimRecord, VolumeParameters } from './records.ts';

/** What the parameters of a volume mean, by the names that code uses: `interfaces`, `maxWaste`, `fsType` … */
export type VolumeSettings = {
  readonly [K in keyof typeof PARAMETERS]: (typeof PARAMETERS)[K] extends Parameter<infer T> ? T : never;
};

/** Parameters as somebody gave them, checked. */
export interface GivenParameters {
  /** In the one form that each value has, so that equal means the same. */
  readonly parameters: VolumeParameters;
  /** Metadata that the sidecars added, for people: `csi.storage.k8s.io/pvc/name` … */
  readonly labels: Readonly<Record<string, string>>;
}

/**
 * Reads the parameters of a StorageClass, or the attributes of a static volume: whatever they don't mention gets its default.
 * @throws VolumeError `invalid-argument`, with what is expected, for an unknown parameter or value
 */
export function readParameters(place: ParameterPlace, given: Readonly<Record<string, string>>): GivenParameters {
  const { parameters, labels } = readGiven(place, given);
  const defaults = parametersOf(place).map(({ name, byDefault }) => [name, byDefault] as const);
  return { parameters: { ...Object.fromEntries(defaults), ...parameters }, labels };
}

/** What Kubernetes adds to a volume's attributes is not ours to check. */
const KUBERNETES = 'storage.kubernetes.io/';

/**
 * Reads the attributes of a static volume, as its PersistentVolume has them and each call passes them on (volume_context).
 * @throws VolumeError `invalid-argument`
 */
export function readAttributes(volumeContext: Readonly<Record<string, string>>): VolumeParameters {
  const own = Object.entries(volumeContext).filter(([name]) => !name.startsWith(KUBERNETES));
  return readParameters('PersistentVolume', Object.fromEntries(own)).parameters;
}

/**
 * Reads the parameters of a VolumeAttributesClass: only what they mention changes.
 * @throws VolumeError `invalid-argument`, with what is expected, for a parameter that is unknown or can't be changed, or a value
 */
export function readMutableParameters(given: Readonly<Record<string, string>>): GivenParameters {
  return readGiven('VolumeAttributesClass', given);
}

/**
 * What checked parameters mean; of several that name the same parameter the last one counts, and one that nobody mentions has its
 * default, as in the record of a volume that was made before there was such a parameter.
 * @throws VolumeError `internal` for a value that was never checked
 */
export function settingsOf(...layers: readonly VolumeParameters[]): VolumeSettings {
  const texts = Object.assign({}, ...layers) as VolumeParameters;
  const settings = Object.entries(PARAMETERS).map(([key, parameter]: [string, Parameter<unknown>]) => {
    const text = texts[parameter.name] ?? parameter.byDefault;
    const value = parameter.read(text);
    if (value === undefined) {
      throw new VolumeError(
        'internal',
        `cannot use a volume's recorded parameter ${parameter.name} '${text}': expected ${parameter.expected}; was its record edited?`,
      );
    }
    return [key, value] as const;
  });
  return Object.fromEntries(settings) as VolumeSettings;
}

/** What the parameters of a volume mean now, with all that was changed since it was made. */
export function settingsOfVolume(claim: Pick<ClaimRecord, 'parameters' | 'mutableParameters'>): VolumeSettings {
  return settingsOf(claim.parameters, claim.mutableParameters);
}

/** Why it can't be said what a volume's parameters mean, where somebody has edited its record; else undefined. */
export function whyUnreadable(claim: ClaimRecord | undefined): string | undefined {
  try {
    if (claim !== undefined) settingsOfVolume(claim);
    return undefined;
  } catch (error) {
    if (!isVolumeError(error)) throw error;
    return error.message;
  }
}

/** A parameter that is not what it is asked to be. */
export interface ParameterDifference {
  readonly name: string;
  readonly has: string;
  readonly asked: string;
}

/** The first of the asked parameters that a volume has not so; as in settingsOf, what its record does not mention has its default. */
export function differenceOf(has: VolumeParameters, asked: VolumeParameters): ParameterDifference | undefined {
  const defaults = new Map(Object.values(PARAMETERS).map(({ name, byDefault }) => [name, byDefault]));
  const all = Object.entries(asked).map(([name, text]) => ({ name, has: has[name] ?? defaults.get(name) ?? '', asked: text }));
  return all.find((each) => each.has !== each.asked);
}

/** The parameters that may stand in a place. */
export function parametersOf(place: ParameterPlace): readonly Parameter<unknown>[] {
  const all: readonly Parameter<unknown>[] = Object.values(PARAMETERS) as readonly Parameter<unknown>[];
  return all.filter((parameter) => parameter.places.includes(place));
}

function readGiven(place: ParameterPlace, given: Readonly<Record<string, string>>): GivenParameters {
  const parameters: Record<string, string> = {};
  const labels: Record<string, string> = {};
  for (const [name, text] of Object.entries(given)) {
    if (METADATA.has(name)) labels[name] = text;
    else parameters[name] = canonical(place, name, text);
  }
  return { parameters, labels };
}

function canonical(place: ParameterPlace, name: string, text: string): string {
  const parameter = parametersOf(place).find((known) => known.name === name);
  if (parameter === undefined) throw refusal(place, name);
  const value = parameter.read(text);
  if (value !== undefined) return parameter.write(value);
  throw new VolumeError('invalid-argument', `cannot use '${text}' for ${name} of the ${place}: expected ${parameter.expected}`);
}

function refusal(place: ParameterPlace, name: string): VolumeError {
  const elsewhere = Object.values(PARAMETERS).find((known) => known.name === name);
  const why = elsewhere === undefined ? 'it is unknown' : `it belongs into the ${elsewhere.places.join(' or the ')}`;
  const names = parametersOf(place).map((known) => known.name);
  return new VolumeError(
    'invalid-argument',
    `cannot use parameter '${name}' in the ${place}: ${why}; those there are ${names.join(', ')}`,
  );
}
