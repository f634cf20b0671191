import { isTargetAddress } from './addresses.ts';
import { isClaim } from './claim.ts';
import { FENCING_LEVELS, FORMAT_STATES, TARGET_STATES, TASK_KINDS, TASK_STATES } from './records.ts';

/**
 * What a store has read need not be what was written: disks fail, people edit, another version of this program wrote it. Everything
 * that comes from outside the process passes here once and is trusted afterwards. Unknown members are let through, so that an
 * older version can read what a newer one has added.
 */

/** Says what is wrong with a value at `path`, or undefined. Never throws. */
type Check = (value: unknown, path: string) => string | undefined;

/** What is wrong with a target's record, e.g. `claim.epoch is not a whole number`; undefined when it can be trusted. */
export function targetRecordProblem(name: string, value: unknown): string | undefined {
  return targetRecord(value, '') ?? whyMisnamed(name, 'address', value);
}

/** What is wrong with a node's record; undefined when it can be trusted. */
export function nodeRecordProblem(name: string, value: unknown): string | undefined {
  return nodeRecord(value, '') ?? whyMisnamed(name, 'nodeId', value);
}

function whyMisnamed(name: string, member: string, value: unknown): string | undefined {
  const own = (value as Readonly<Record<string, unknown>>)[member];
  return own === name ? undefined : `${member} is '${String(own)}', but the record is named '${name}'`;
}

const text = must('a text', (value) => typeof value === 'string');
const flag = must('true or false', (value) => typeof value === 'boolean');
/** Sizes, counts, epochs, milliseconds: all that is counted here is whole and not negative. */
const count = must('a whole number', (value) => Number.isSafeInteger(value) && (value as number) >= 0);
const address = must('a target address', (value) => typeof value === 'string' && isTargetAddress(value));
const claimText = must('a claim', (value) => typeof value === 'string' && isClaim(value));

const texts = listOf(text);
const textMap = mapOf(text);
const identity = object({ serial: text, model: text, sizeBytes: count });
const fencing = oneOf(FENCING_LEVELS);
const format = object({ state: oneOf(FORMAT_STATES), fsType: text, uuid: text });
const fingerprint = object({ scheme: count, sha256: text, sizeBytes: count, nodeId: text, takenAtMs: count });

const claim = object({
  volumeName: text,
  claim: claimText,
  capacityBytes: count,
  parameters: textMap,
  mutableParameters: textMap,
  confirmed: flag,
  format,
  fingerprint: optional(fingerprint),
  epoch: count,
  labels: textMap,
});
const publication = object({ nodeId: text, readOnly: flag, accessMode: text, epoch: count, isLeaving: optional(flag) });
const task = object({
  kind: oneOf(TASK_KINDS),
  id: text,
  nodeId: text,
  state: oneOf(TASK_STATES),
  message: text,
  doneBytes: count,
  totalBytes: count,
});
const targetRecord = object({
  address,
  state: oneOf(TARGET_STATES),
  reason: text,
  identity,
  fencing,
  claim: optional(claim),
  publications: listOf(publication),
  task: optional(task),
});

const sight = object({ identity, configString: text, interfaces: texts, fencing });
const nodeRecord = object({
  nodeId: text,
  macs: texts,
  interfaces: texts,
  segments: textMap,
  volumesMax: count,
  bootId: text,
  targets: mapOf(sight),
  staged: mapOf(object({ epoch: count, fenced: flag })),
  aliveAtMs: count,
});

function must(what: string, holds: (value: unknown) => boolean): Check {
  return (value, path) => (holds(value) ? undefined : `${path} is not ${what}`);
}

function oneOf(choices: readonly string[]): Check {
  return must(`one of ${choices.join(', ')}`, (value) => choices.includes(value as string));
}

function optional(check: Check): Check {
  return (value, path) => (value === undefined ? undefined : check(value, path));
}

function listOf(check: Check): Check {
  return (value, path) =>
    Array.isArray(value) ? first(value.entries(), (entry, index) => check(entry, `${path}[${index}]`)) : `${path} is not a list`;
}

function mapOf(check: Check): Check {
  return (value, path) =>
    isObject(value)
      ? first(Object.entries(value).values(), (entry, key) => check(entry, `${path}['${key}']`))
      : `${path || 'it'} is not an object`;
}

function object(members: Readonly<Record<string, Check>>): Check {
  return (value, path) =>
    isObject(value)
      ? first(Object.entries(members).values(), (check, key) => check(value[key], path === '' ? key : `${path}.${key}`))
      : `${path || 'it'} is not an object`;
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
