/**
 * What records are made of. A shape says two things of one description, so that they can't differ: what is wrong with a value, and the
 * JSON schema by which somebody else (an API server) would find the same. That it fits the interface of the record, the compiler says.
 */

/** As much of JSON Schema as shapes need. */
export interface Schema {
  readonly type: 'string' | 'boolean' | 'integer' | 'array' | 'object';
  readonly pattern?: string;
  readonly enum?: readonly string[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly items?: Schema;
  readonly additionalProperties?: Schema;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
}

/** Says what is wrong with a value at `path`, or undefined. Never throws. */
type Check = (value: unknown, path: string) => string | undefined;

export interface Shape<T> {
  readonly problem: Check;
  readonly schema: Schema;
  readonly isOptional: boolean;
  /** Never there: holds the type of the values. */
  readonly example?: T;
}

/** A value that `holds` says yes to, called `what` in complaints. */
export function plain<T>(what: string, schema: Schema, holds: (value: unknown) => boolean): Shape<T> {
  return shape(schema, (value, path) => (holds(value) ? undefined : `${path} is not ${what}`));
}

export function oneOf<T extends string>(choices: readonly T[]): Shape<T> {
  return plain(`one of ${choices.join(', ')}`, { type: 'string', enum: choices }, (value) => choices.includes(value as T));
}

export function optional<T>({ problem, schema }: Shape<T>): Shape<T | undefined> {
  return { problem: (value, path) => (value === undefined ? undefined : problem(value, path)), schema, isOptional: true };
}

export function listOf<T>(entry: Shape<T>): Shape<readonly T[]> {
  return shape({ type: 'array', items: entry.schema }, (value, path) =>
    Array.isArray(value)
      ? first(value.entries(), (each, index) => entry.problem(each, `${path}[${index}]`))
      : `${path} is not a list`,
  );
}

export function mapOf<T>(entry: Shape<T>): Shape<Readonly<Record<string, T>>> {
  return shape({ type: 'object', additionalProperties: entry.schema }, (value, path) =>
    isObject(value)
      ? first(Object.entries(value).values(), (each, key) => entry.problem(each, `${path}['${key}']`))
      : `${path || 'it'} is not an object`,
  );
}

/** What a member may be: also undefined where it may be missing. */
type Member<T, K extends keyof T> = T[K] | (Record<never, never> extends Pick<T, K> ? undefined : never);

/** An object with these members; others are let through, so that an older version can read what a newer one has added. */
export function object<T>(members: { readonly [K in keyof T]-?: Shape<Member<T, K>> }): Shape<T> {
  const entries: readonly (readonly [string, Shape<unknown>])[] = Object.entries(members);
  const schema: Schema = {
    type: 'object',
    properties: Object.fromEntries(entries.map(([key, member]) => [key, member.schema])),
    required: entries.filter(([, member]) => !member.isOptional).map(([key]) => key),
  };
  return shape(schema, (value, path) =>
    isObject(value)
      ? first(entries.values(), (member, key) => member.problem(value[key], path === '' ? key : `${path}.${key}`))
      : `${path || 'it'} is not an object`,
  );
}

function shape<T>(schema: Schema, problem: Check): Shape<T> {
  return { problem, schema, isOptional: false };
}

/** The first problem among the entries of something. */
function first<K, T>(
  entries: Iterable<readonly [K, T]>,
  problemOf: (value: T, key: K) => string | undefined,
): string | undefined {
  for (const [key, value] of entries) {
    const problem = problemOf(value, key);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
