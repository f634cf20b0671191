import type protobuf from 'protobufjs';
import { parseBytes } from '../volumes/byte-size.ts';
import { CommandFailure, EXIT_USAGE } from './exit-codes.ts';

/** A request under construction, by field names. */
export type Fields = Record<string, unknown>;

/**
 * The message that is meant by fields whose values may still be texts: numbers read (also `10Gi`), names of enums as they are. All
 * that protobuf would leave out or take for 0 without a word is refused.
 * @throws CommandFailure that says which field, and what it takes
 */
export function checkedMessage(type: protobuf.Type, fields: Fields): Fields {
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => {
      const field = fieldOf(type, name);
      return [field.name, checkedField(field, value)];
    }),
  );
}

/** A field by its name in camelCase or snake_case. */
export function fieldOf(type: protobuf.Type, name: string): protobuf.Field {
  const camel = name.replaceAll(/_([a-z])/g, (_all, letter: string) => letter.toUpperCase());
  const field = type.fieldsArray.find((each) => each.name === camel);
  if (field !== undefined) return field;
  const names = type.fieldsArray.map((each) => each.name).join(', ');
  throw new CommandFailure(EXIT_USAGE, `${type.name} has no field ${name}; it has ${names === '' ? 'none at all' : names}`);
}

/** Whether a field's values are messages. */
export function isMessage({ resolvedType }: protobuf.Field): boolean {
  return resolvedType !== null && 'fieldsArray' in resolvedType;
}

function checkedField(field: protobuf.Field, value: unknown): unknown {
  if (field.map) return isObject(value) ? value : refused(field, value, 'a JSON object');
  if (!field.repeated) return checkedValue(field, value);
  return Array.isArray(value) ? value.map((each) => checkedValue(field, each)) : refused(field, value, 'a JSON array');
}

function checkedValue(field: protobuf.Field, value: unknown): unknown {
  if (isMessage(field)) {
    if (value === null) return value;
    return isObject(value) ? checkedMessage(field.resolvedType as protobuf.Type, value) : refused(field, value, 'a JSON object');
  }
  const text = String(value);
  if (field.resolvedType !== null) return checkedEnum(field, field.resolvedType as protobuf.Enum, text);
  switch (field.type) {
    case 'string':
      return text;
    case 'bool':
      return text === 'true' || (text === 'false' ? false : refused(field, value, 'true or false'));
    default:
      return checkedNumber(field, text);
  }
}

function checkedEnum(field: protobuf.Field, { values }: protobuf.Enum, text: string): string {
  const name = text.toUpperCase();
  return name in values ? name : refused(field, text, `one of ${Object.keys(values).join(', ')}`);
}

function checkedNumber(field: protobuf.Field, text: string): number {
  const bytes = parseBytes(text.replace(/^-/, ''));
  if (bytes === undefined) return refused(field, text, 'a whole number, for sizes also with a unit, like 10Gi');
  return text.startsWith('-') ? -bytes : bytes;
}

function refused({ name }: protobuf.Field, value: unknown, expected: string): never {
  throw new CommandFailure(EXIT_USAGE, `cannot use '${String(value)}' for ${name}: give ${expected}`);
}

function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
