import { writeFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { parameterDocument, parameterSchema } from '../../src/volumes/parameter-document.ts';
import { parametersOf } from '../../src/volumes/parameters.ts';
import { pathOf, textOf } from '../support/repository.ts';

const DOCUMENT = 'docs/storage-class.md';
const SECTION =
  /(<!-- parameters: [^\n]*\n<!-- prettier-ignore-start -->\n)([^]*?)(<!-- prettier-ignore-end -->\n<!-- \/parameters -->\n)/;

test('docs/storage-class.md says what the table of parameters says', () => {
  const text = textOf(DOCUMENT);
  const current = text.replace(SECTION, (_all, start: string, _old, end: string) => `${start}\n${parameterDocument()}\n\n${end}`);
  if (process.env['AOE_CSI_UPDATE_DOCS'] === '1') writeFileSync(pathOf(DOCUMENT), current);
  expect(textOf(DOCUMENT)).toBe(current);
  expect(SECTION.test(text)).toBe(true);
});

test('docs/storage-class.schema.json says the same to programs', () => {
  const file = 'docs/storage-class.schema.json';
  const current = `${JSON.stringify(parameterSchema(), undefined, 2)}\n`;
  if (process.env['AOE_CSI_UPDATE_DOCS'] === '1') writeFileSync(pathOf(file), current);
  expect(JSON.parse(textOf(file))).toEqual(JSON.parse(current));
});

test('docs/storage-class.md shows a StorageClass whose parameters exist', () => {
  const example = /parameters:\n((?: {2}\w+: .*\n)+)/.exec(textOf(DOCUMENT))?.[1] ?? '';
  const names = [...example.matchAll(/^ {2}(\w+):/gm)].map((match) => match[1]);
  const known = parametersOf('StorageClass').map(({ name }) => name);
  expect(names.length).toBeGreaterThan(0);
  expect(names.filter((name) => !known.includes(name))).toEqual([]);
});
