import type protobuf from 'protobufjs';
import { checkedMessage, fieldOf, isMessage, type Fields } from './csi-check.ts';
import { CommandFailure, EXIT_USAGE } from './exit-codes.ts';

/** What is meant where a request needs a capability and the words say none. */
export interface CapabilityWords {
  readonly mode: string;
  readonly block: boolean;
  readonly fsType: string;
}

/**
 * The request that a person means by words like
 *
 * ```
 * volumeId=e10.3@…                         a field
 * capacityRange.requiredBytes=10Gi         a field of a field; snake_case does, too
 * parameters.maxWaste=50%                  an entry of a map
 * publishContext='{"epoch": "1"}'          JSON
 * '{"volumeId": "e10.3"}'                  a whole request, or a part of one
 * ```
 *
 * @throws CommandFailure that says which field there is none of, and which there are; or what a field takes
 */
export function requestOf(type: protobuf.Type, words: readonly string[], capability: CapabilityWords): object {
  const request: Fields = {};
  for (const word of words) {
    if (word.startsWith('{')) Object.assign(request, jsonOf(word));
    else setWord(type, request, word);
  }
  return checkedMessage(type, withCapability(type, request, capability));
}

function setWord(type: protobuf.Type, request: Fields, word: string): void {
  const at = word.indexOf('=');
  if (at < 1) throw new CommandFailure(EXIT_USAGE, `cannot read '${word}': give field=value, or JSON in braces`);
  setField(type, request, word.slice(0, at).split('.'), word.slice(at + 1));
}

function setField(type: protobuf.Type, into: Fields, [name, ...rest]: readonly string[], text: string): void {
  const field = fieldOf(type, name);
  const key = field.name;
  if (field.map) {
    // Keys of maps have dots of their own: csi.storage.k8s.io/fstype.
    into[key] = rest.length === 0 ? jsonOf(text) : { ...(into[key] as Fields | undefined), [rest.join('.')]: text };
  } else if (field.repeated) {
    const value = isMessage(field) ? jsonOf(text) : text;
    into[key] = Array.isArray(value) ? value : [...((into[key] as unknown[] | undefined) ?? []), value];
  } else if (isMessage(field)) {
    const inner = (into[key] ??= {}) as Fields;
    if (rest.length === 0) Object.assign(inner, jsonOf(text));
    else setField(field.resolvedType as protobuf.Type, inner, rest, text);
  } else {
    into[key] = text;
  }
}

function jsonOf(text: string): object {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null) return value;
  } catch {
    // The message is the same.
  }
  throw new CommandFailure(EXIT_USAGE, `cannot read '${text}' as a JSON object`);
}

/** Most methods need to know what the volume is for; most people mean the same by it. */
function withCapability(type: protobuf.Type, request: Fields, { mode, block, fsType }: CapabilityWords): Fields {
  const capability = { accessMode: { mode }, ...(block ? { block: {} } : { mount: { fsType } }) };
  const names = type.fieldsArray.map(({ name }) => name);
  if (names.includes('volumeCapability') && type.name !== 'ControllerExpandVolumeRequest')
    return { volumeCapability: capability, ...request };
  if (names.includes('volumeCapabilities') && type.name !== 'GetCapacityRequest')
    return { volumeCapabilities: [capability], ...request };
  return request;
}

/** `volumeId, secrets.<key>, capacityRange.requiredBytes`: what can be said in words, for --help. */
export function fieldNames(type: protobuf.Type): readonly string[] {
  return type.fieldsArray.flatMap((field) => {
    if (field.map) return [`${field.name}.<key>`];
    if (!isMessage(field) || field.repeated) return [field.repeated ? `${field.name}='[…]'` : field.name];
    return (field.resolvedType as protobuf.Type).fieldsArray.map(({ name }) => `${field.name}.${name}`);
  });
}
