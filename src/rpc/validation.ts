import type protobuf from 'protobufjs';
import type { Message } from './service.ts';

/**
 * Says what is wrong with a message (as src/rpc/service.ts decodes it): the field and the rule, never the value, which may be a
 * secret. Undefined when nothing is.
 */
export type Check = (message: Message) => string | undefined;

/** CSI's general limits, for fields that have none of their own (specification, "Size Limits"). */
const STRING_BYTES_MAX = 128;
const MAP_BYTES_MAX = 4096;
/** Linux: PATH_MAX without the NUL. */
const PATH_BYTES_MAX = 4095;

/** C0 without tab, line feed and carriage return; DEL; C1. */
// oxlint-disable-next-line no-control-regex
const UNPRINTABLE = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]/;

/** What is wrong with one field's value; the complaint begins where the field's name ends. */
type FieldCheck = (value: unknown) => string | undefined;

/** A check of every field of a message, and of the messages in it, by the rules in its .proto file (proto/rules.proto). */
export function checkOf(type: protobuf.Type): Check {
  const fields = type.fieldsArray.map((field) => ({ key: field.name, name: protoName(field), check: fieldCheck(field) }));
  const whole = [...type.oneofsArray.flatMap(oneofChecks), ...messageChecks(type)];
  return (message) => {
    const values = message as Record<string, unknown>;
    for (const check of whole) {
      const complaint = check(values);
      if (complaint !== undefined) return complaint;
    }
    for (const { key, name, check } of fields) {
      const complaint = check(values[key]);
      if (complaint !== undefined) return `${name}${complaint}`;
    }
    return undefined;
  };
}

function oneofChecks(oneof: protobuf.OneOf): FieldCheck[] {
  if (!has(oneof, 'one_required')) return [];
  const keys = oneof.fieldsArray.map((field) => field.name);
  const names = oneof.fieldsArray.map(protoName).join(' or ');
  return [(message) => (keys.some((key) => key in (message as object)) ? undefined : `${names} is required`)];
}

function messageChecks(type: protobuf.Type): FieldCheck[] {
  if (!has(type, 'not_all_zero')) return [];
  const names = type.fieldsArray.map(protoName).join(' or ');
  return [(message) => (Object.values(message as object).some((value) => value !== 0) ? undefined : `${names} is required`)];
}

function fieldCheck(field: protobuf.Field): FieldCheck {
  const isRequired = has(field, 'required');
  const check = field.map ? mapCheck : field.repeated ? listCheck(field) : valueCheck(field);
  return (value) => {
    if (isEmpty(value, field)) return isRequired ? ' is required' : undefined;
    return check(value);
  };
}

/** An enum's 0 says that the sender left it out; one that isn't a string came from a newer sender. */
function isEmpty(value: unknown, field: protobuf.Field): boolean {
  if (value === undefined || value === null || value === '') return true;
  if (field.map) return Object.keys(value).length === 0;
  if (field.repeated) return (value as unknown[]).length === 0;
  return isEnum(field.resolvedType) && field.resolvedType.values[value as string] === 0;
}

function mapCheck(map: unknown): string | undefined {
  let sizeBytes = 0;
  for (const [key, value] of Object.entries(map as object))
    sizeBytes += Buffer.byteLength(key) + Buffer.byteLength(String(value));
  return tooLarge(sizeBytes, MAP_BYTES_MAX);
}

function listCheck(field: protobuf.Field): FieldCheck {
  const totalMax = numberOf(field, 'max_total_bytes');
  if (totalMax !== undefined) return (list) => tooLarge(totalBytes(list as readonly string[]), totalMax);
  const check = valueCheck(field);
  return (list) => {
    for (const [index, value] of (list as readonly unknown[]).entries()) {
      const complaint = check(value);
      if (complaint !== undefined) return `[${index}]${complaint}`;
    }
    return undefined;
  };
}

/** Of a single value, or of each in a list. */
function valueCheck(field: protobuf.Field): FieldCheck {
  if (isEnum(field.resolvedType)) return knownCheck;
  if (field.resolvedType !== null) return nestedCheck(field.resolvedType);
  if (field.type === 'string') return stringCheck(field);
  if (has(field, 'not_negative')) return (value) => ((value as number) < 0 ? ' is negative' : undefined);
  return () => undefined;
}

function knownCheck(value: unknown): string | undefined {
  return typeof value === 'string' ? undefined : ` has the value ${String(value)}, which this version does not know`;
}

function nestedCheck(type: protobuf.Type): FieldCheck {
  const check = checkOf(type);
  return (value) => {
    const complaint = check(value as Message);
    return complaint === undefined ? undefined : `.${complaint}`;
  };
}

function stringCheck(field: protobuf.Field): FieldCheck {
  const isAbsolute = has(field, 'absolute_path');
  const isPath = isAbsolute || has(field, 'path');
  const isPrintable = has(field, 'printable');
  const maxBytes = isPath ? PATH_BYTES_MAX : (numberOf(field, 'max_bytes') ?? STRING_BYTES_MAX);
  return (value) => {
    const text = value as string;
    if (isAbsolute && !text.startsWith('/')) return ' is not an absolute path';
    if (isPath && text.includes('\0')) return ' holds a NUL character';
    if (isPrintable && UNPRINTABLE.test(text)) return ' holds a control character';
    return tooLarge(Buffer.byteLength(text), maxBytes);
  };
}

function tooLarge(sizeBytes: number, maxBytes: number): string | undefined {
  return sizeBytes > maxBytes ? ` has ${sizeBytes} bytes; at most ${maxBytes} are allowed` : undefined;
}

function totalBytes(list: readonly string[]): number {
  return list.reduce((sum, text) => sum + Buffer.byteLength(text), 0);
}

function isEnum(type: protobuf.Type | protobuf.Enum | null): type is protobuf.Enum {
  return type !== null && 'values' in type;
}

function has(object: protobuf.ReflectionObject, rule: string): boolean {
  return object.options?.[`(rules.${rule})`] === true;
}

function numberOf(object: protobuf.ReflectionObject, rule: string): number | undefined {
  return object.options?.[`(rules.${rule})`] as number | undefined;
}

/** protobufjs names a field as JavaScript does; people know it as it stands in the specification. */
function protoName(field: protobuf.ReflectionObject): string {
  return field.name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
