import { isTargetAddress } from './addresses.ts';
import { isClaim } from './claim.ts';
import { listOf, mapOf, object, oneOf, optional, plain, type Schema, type Shape } from './record-shapes.ts';
import {
  FENCING_LEVELS,
  FORMAT_STATES,
  TARGET_STATES,
  TASK_KINDS,
  TASK_STATES,
  type ClaimRecord,
  type DiskIdentity,
  type FingerprintRecord,
  type FormatRecord,
  type NodeRecord,
  type PublicationRecord,
  type SightRecord,
  type StagedRecord,
  type TargetRecord,
  type TaskRecord,
} from './records.ts';

/**
 * What a store has read need not be what was written: disks fail, people edit, another version of this program wrote it. Everything
 * that comes from outside the process passes here once and is trusted afterwards. Unknown members are let through, so that an
 * older version can read what a newer one has added.
 */

/** What is wrong with a target's record, e.g. `claim.epoch is not a whole number`; undefined when it can be trusted. */
export function targetRecordProblem(name: string, value: unknown): string | undefined {
  return targetRecord.problem(value, '') ?? whyMisnamed(name, 'address', value);
}

/** What is wrong with a node's record; undefined when it can be trusted. */
export function nodeRecordProblem(name: string, value: unknown): string | undefined {
  return nodeRecord.problem(value, '') ?? whyMisnamed(name, 'nodeId', value);
}

function whyMisnamed(name: string, member: string, value: unknown): string | undefined {
  const own = (value as Readonly<Record<string, unknown>>)[member];
  return own === name ? undefined : `${member} is '${String(own)}', but the record is named '${name}'`;
}

const text: Shape<string> = plain('a text', { type: 'string' }, (value) => typeof value === 'string');
const flag: Shape<boolean> = plain('true or false', { type: 'boolean' }, (value) => typeof value === 'boolean');
/** Sizes, counts, epochs, milliseconds: all that is counted here is whole and not negative. */
const count: Shape<number> = plain(
  'a whole number',
  { type: 'integer', minimum: 0, maximum: Number.MAX_SAFE_INTEGER },
  (value) => Number.isSafeInteger(value) && (value as number) >= 0,
);
const address: Shape<string> = plain(
  'a target address',
  { type: 'string', pattern: String.raw`^e(0|[1-9][0-9]{0,4})\.(0|[1-9][0-9]{0,2})$` },
  (value) => typeof value === 'string' && isTargetAddress(value),
);
const claimText: Shape<string> = plain(
  'a claim',
  { type: 'string', pattern: '^[a-z2-7]{26}$' },
  (value) => typeof value === 'string' && isClaim(value),
);

const texts = listOf(text);
const textMap = mapOf(text);
const identity = object<DiskIdentity>({ serial: text, model: text, sizeBytes: count });
const fencing = oneOf(FENCING_LEVELS);
const format = object<FormatRecord>({ state: oneOf(FORMAT_STATES), fsType: text, uuid: text });
const fingerprint = object<FingerprintRecord>({
  scheme: count,
  sha256: text,
  sizeBytes: count,
  nodeId: text,
  takenAtMs: count,
});

const claim = object<ClaimRecord>({
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
const publication = object<PublicationRecord>({
  nodeId: text,
  readOnly: flag,
  accessMode: text,
  epoch: count,
  isLeaving: optional(flag),
});
const task = object<TaskRecord>({
  kind: oneOf(TASK_KINDS),
  id: text,
  nodeId: text,
  state: oneOf(TASK_STATES),
  message: text,
  doneBytes: count,
  totalBytes: count,
});
const targetRecord = object<TargetRecord>({
  address,
  state: oneOf(TARGET_STATES),
  reason: text,
  identity,
  fencing,
  claim: optional(claim),
  publications: listOf(publication),
  task: optional(task),
});

const sight = object<SightRecord>({
  identity,
  configString: text,
  interfaces: texts,
  fencing,
  isFencingUnknown: optional(flag),
});
const nodeRecord = object<NodeRecord>({
  nodeId: text,
  macs: texts,
  interfaces: texts,
  segments: textMap,
  volumesMax: count,
  bootId: text,
  targets: mapOf(sight),
  staged: mapOf(object<StagedRecord>({ epoch: count, fenced: flag })),
  problems: optional(textMap),
  aliveAtMs: count,
});

/** The same as schemas, for a store that checks what is written to it. */
export const TARGET_RECORD_SCHEMA: Schema = targetRecord.schema;
export const NODE_RECORD_SCHEMA: Schema = nodeRecord.schema;
