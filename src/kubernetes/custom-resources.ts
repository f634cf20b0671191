import { NODE_RECORD_SCHEMA, TARGET_RECORD_SCHEMA } from '../volumes/record-check.ts';
import type { Schema } from '../volumes/record-shapes.ts';
import { ESCAPE } from './object-names.ts';
import { CONDITION_CHARACTERS_MAX, GROUP, NODES, TARGETS, VERSION, type Resource } from './resources.ts';

/**
 * The definitions of the driver's kinds: what stands in deploy/helm/definitions. Their schemas are those of the records (record-check.ts);
 * here is what only an API server needs: rules between old and new, and what `kubectl get` prints.
 */

/** A rule in CEL; `oldSelf` makes it one about changes. */
interface Rule {
  readonly rule: string;
  readonly message: string;
}

/** Rules by where they stand: '' is the object itself, `spec.claim` a member. */
type Rules = Readonly<Record<string, readonly Rule[]>>;

interface Column {
  readonly name: string;
  readonly jsonPath: string;
  readonly description: string;
  readonly type?: string;
  /** Above 0: with `-o wide` only. */
  readonly priority?: number;
}

type Json = Readonly<Record<string, unknown>>;

const CONDITION_TEXT = { type: 'string', maxLength: CONDITION_CHARACTERS_MAX };
/** What people look at, and nothing is decided on: https://pkg.go.dev/k8s.io/apimachinery/pkg/apis/meta/v1#Condition */
const CONDITIONS: Json = {
  type: 'object',
  properties: {
    conditions: {
      type: 'array',
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['type'],
      items: {
        type: 'object',
        required: ['type', 'status', 'reason', 'message', 'lastTransitionTime'],
        properties: {
          type: CONDITION_TEXT,
          status: { type: 'string', enum: ['True', 'False', 'Unknown'] },
          reason: CONDITION_TEXT,
          message: CONDITION_TEXT,
          lastTransitionTime: { type: 'string', format: 'date-time' },
        },
      },
    },
  },
};

const SAME_CLAIM = 'self.claim != oldSelf.claim';

const TARGET_RULES: Rules = {
  '': [{ rule: 'self.metadata.name == self.spec.address', message: 'an AoeTarget is named by the address in its spec' }],
  'spec.address': [{ rule: 'self == oldSelf', message: 'the address of a target never changes' }],
  'spec.claim': [
    { rule: `${SAME_CLAIM} || self.epoch >= oldSelf.epoch`, message: 'the epoch of a claim never goes back' },
    { rule: `${SAME_CLAIM} || self.volumeName == oldSelf.volumeName`, message: 'a claim is of one volume for ever' },
    {
      rule: `${SAME_CLAIM} || oldSelf.format.state == 'never' || self.format.state != 'never'`,
      message: 'what has been formatted, or may have been, can not be called never formatted again',
    },
  ],
};

const TARGET_COLUMNS: readonly Column[] = [
  { name: 'State', jsonPath: '.spec.state', description: 'what may be done with the target' },
  { name: 'Bytes', jsonPath: '.spec.identity.sizeBytes', description: 'size of the disk', type: 'integer' },
  { name: 'Volume', jsonPath: '.spec.claim.volumeName', description: 'the volume that has claimed it' },
  { name: 'Node', jsonPath: '.spec.publications[0].nodeId', description: 'the first node it is published to' },
  { name: 'Task', jsonPath: '.spec.task.kind', description: 'work under way on a node' },
  { name: 'Task state', jsonPath: '.spec.task.state', description: 'how far that work is' },
  { name: 'Fencing', jsonPath: '.spec.fencing', description: 'how far it can refuse others' },
  { name: 'Reason', jsonPath: '.spec.reason', description: 'why it is in that state', priority: 1 },
  { name: 'Task message', jsonPath: '.spec.task.message', description: 'why that work has failed', priority: 1 },
  { name: 'Serial', jsonPath: '.spec.identity.serial', description: 'serial number of the disk', priority: 1 },
];

/** What objects can be selected by: each node watches what it has to do, and hears of nothing else. */
const TARGET_SELECTABLE = ['.spec.task.nodeId'];

const NODE_RULES: Rules = {
  '': [
    {
      rule: `self.metadata.name == self.spec.nodeId || self.metadata.name.startsWith('${ESCAPE}')`,
      message: 'an AoeNode is named by the node id in its spec',
    },
  ],
  'spec.nodeId': [{ rule: 'self == oldSelf', message: 'the id of a node never changes' }],
};

const NODE_COLUMNS: readonly Column[] = [
  { name: 'Interfaces', jsonPath: '.spec.interfaces', description: 'its interfaces on storage networks' },
  { name: 'Max volumes', jsonPath: '.spec.volumesMax', description: 'volumes that it can have at a time', type: 'integer' },
  {
    name: 'Passed',
    jsonPath: '.status.conditions[?(@.type=="PreflightPassed")].status',
    description: 'whether volumes could be used there when it was looked last',
  },
  {
    name: 'Problems',
    jsonPath: '.status.conditions[?(@.status=="False")].message',
    description: 'what its checks have found',
    priority: 1,
  },
  { name: 'Boot', jsonPath: '.spec.bootId', description: 'changes whenever the node starts', priority: 1 },
];

export const CUSTOM_RESOURCES: readonly Json[] = [
  definition(TARGETS, {
    description: 'A target on the storage network, and the volume on it.',
    record: TARGET_RECORD_SCHEMA,
    rules: TARGET_RULES,
    columns: TARGET_COLUMNS,
    selectable: TARGET_SELECTABLE,
  }),
  definition(NODES, {
    description: 'What a node sees of the storage network, and what it has staged.',
    record: NODE_RECORD_SCHEMA,
    rules: NODE_RULES,
    columns: NODE_COLUMNS,
    status: CONDITIONS,
  }),
];

interface Definition {
  readonly description: string;
  readonly record: Schema;
  readonly rules: Rules;
  readonly columns: readonly Column[];
  readonly selectable?: readonly string[];
  readonly status?: Json;
}

function definition(names: Resource, { columns, selectable = [], ...schema }: Definition): Json {
  const { kind, plural, singular, shortName } = names;
  const age: Column = {
    name: 'Age',
    jsonPath: '.metadata.creationTimestamp',
    description: 'since it was first seen',
    type: 'date',
  };
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    // They are deleted with all their objects, so not with a release of the chart.
    metadata: { name: `${plural}.${GROUP}`, annotations: { 'helm.sh/resource-policy': 'keep' } },
    spec: {
      group: GROUP,
      scope: 'Namespaced',
      names: { kind, listKind: `${kind}List`, plural, singular, shortNames: [shortName], categories: ['aoe'] },
      versions: [
        {
          name: VERSION,
          served: true,
          storage: true,
          additionalPrinterColumns: [...columns, age].map(({ name, ...rest }) => ({ name, type: 'string', ...rest })),
          ...(selectable.length === 0 ? {} : { selectableFields: selectable.map((jsonPath) => ({ jsonPath })) }),
          ...(schema.status === undefined ? {} : { subresources: { status: {} } }),
          schema: { openAPIV3Schema: objectSchema(schema) },
        },
      ],
    },
  };
}

function objectSchema({ description, record, rules, status }: Omit<Definition, 'columns' | 'selectable'>): Json {
  return {
    type: 'object',
    description,
    required: ['spec'],
    properties: {
      apiVersion: { type: 'string' },
      kind: { type: 'string' },
      metadata: { type: 'object' },
      // Written as a whole, by compare-and-set: a field of it has no owner of its own.
      spec: { ...structural(record, 'spec', rules), 'x-kubernetes-map-type': 'atomic' },
      ...(status === undefined ? {} : { status }),
    },
    ...validations('', rules),
  };
}

/** A schema as Kubernetes wants it, with the rules that stand at `path` and below. */
function structural(schema: Schema, path: string, rules: Rules): Json {
  const { properties, items, additionalProperties, ...rest } = schema;
  return {
    ...rest,
    ...(schema.type === 'integer' ? { format: 'int64' } : {}),
    ...(items === undefined ? {} : { items: structural(items, `${path}[]`, rules), 'x-kubernetes-list-type': 'atomic' }),
    ...(additionalProperties === undefined ? {} : { additionalProperties: structural(additionalProperties, `${path}{}`, rules) }),
    ...(properties === undefined
      ? {}
      : {
          properties: Object.fromEntries(
            Object.entries(properties).map(([key, member]) => [key, structural(member, `${path}.${key}`, rules)]),
          ),
        }),
    ...validations(path, rules),
  };
}

function validations(path: string, rules: Rules): Json {
  return rules[path] === undefined ? {} : { 'x-kubernetes-validations': rules[path] };
}
