import { writeFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { loadYaml } from '@kubernetes/client-node';
import { parameterSchema } from '../../src/volumes/parameter-document.ts';
import { pathOf, textOf } from '../support/repository.ts';

/** Of the chart, what needs no helm: see test/cluster/chart-rendering.test.ts for the rest. */

const SCHEMA = 'deploy/helm/values.schema.json';

interface Schema {
  readonly type?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: unknown;
}

interface Readme {
  readonly README: string;
  readonly VALUES: string;
  readonly withValues: (readme: string, values: string) => string;
}

const schema = JSON.parse(textOf(SCHEMA)) as Schema & { $defs: Record<string, object> };

/** Paths of values in one that are not in the other, down to where the schema leaves it to Kubernetes. */
function disagreements({ properties }: Schema, values: unknown, path = ''): string[] {
  if (properties === undefined) return [];
  const given = (values ?? {}) as Readonly<Record<string, unknown>>;
  const names = new Set([...Object.keys(properties), ...Object.keys(given)]);
  return [...names].flatMap((name) => {
    if (!(name in properties)) return [`${path}${name} is not in the schema`];
    if (!(name in given)) return name === 'global' ? [] : [`${path}${name} is not in values.yaml`];
    return disagreements(properties[name], given[name], `${path}${name}.`);
  });
}

test('values.schema.json and values.yaml of the chart know the same values', () => {
  expect(disagreements(schema, loadYaml(textOf('deploy/helm/values.yaml')))).toEqual([]);
});

test('values.schema.json refuses unknown keys wherever it names some', () => {
  const objects: string[] = [];
  JSON.stringify(schema, (_, value: unknown) => {
    const { properties, additionalProperties } = (value ?? {}) as Schema;
    if (typeof properties === 'object' && additionalProperties !== false) objects.push(JSON.stringify(properties));
    return value;
  });
  expect(objects).toEqual([]);
});

test('values.schema.json knows the parameters of classes (`AOE_CSI_UPDATE_DOCS=1 npm test` repairs)', () => {
  const { $defs } = parameterSchema() as { $defs: Record<string, object> };
  const { StorageClass, VolumeAttributesClass } = $defs;
  const current = {
    ...schema,
    $defs: { ...schema.$defs, StorageClassParameters: StorageClass, VolumeAttributesClassParameters: VolumeAttributesClass },
  };
  if (process.env['AOE_CSI_UPDATE_DOCS'] === '1') writeFileSync(pathOf(SCHEMA), `${JSON.stringify(current, undefined, 2)}\n`);
  expect(JSON.parse(textOf(SCHEMA))).toEqual(JSON.parse(JSON.stringify(current)));
});

test('README of the chart says what values.yaml says (`node tools/generate-chart-readme.js` repairs)', async () => {
  const { README, VALUES, withValues } = (await import(pathOf('tools/generate-chart-readme.js'))) as Readme;
  const readme = textOf(README);
  expect(readme).toBe(withValues(readme, textOf(VALUES)));
  expect(readme).toContain('| `interfaces` |');
});

test('the chart and the program have one version', () => {
  const { version } = JSON.parse(textOf('package.json')) as { version: string };
  expect(loadYaml(textOf('deploy/helm/Chart.yaml'))).toMatchObject({ version, appVersion: version });
});
