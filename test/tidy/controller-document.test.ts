import { expect, test } from '@jest/globals';
import { CONTROLLER_CAPABILITIES } from '../../src/controller/capabilities.ts';
import { loadProto } from '../../src/rpc/proto-file.ts';
import { textOf } from '../support/repository.ts';

const document = textOf('docs/csi.md');

/** What the driver leaves out. */
const ABSENT = /Snapshot/;

test('docs/csi.md has a place for each method that is served', () => {
  const root = loadProto('csi.proto');
  const methods = ['Identity', 'Controller', 'Node'].flatMap((name) => Object.keys(root.lookupService(`csi.v1.${name}`).methods));
  const named = (method: string): boolean =>
    document.split('\n').some((line) => (line.startsWith('#') || line.startsWith('- **')) && line.includes(method));
  expect(methods.filter((method) => !ABSENT.test(method) && !named(method))).toEqual([]);
});

test('docs/csi.md names each capability and each reason of ill health', () => {
  const reasons = [...textOf('src/controller/health.ts').matchAll(/ailment\(\s*'[A-Z_]+',\s*'(\w+)'/g)].map(
    ([, reason]) => reason,
  );
  expect(reasons.length).toBeGreaterThanOrEqual(7);
  expect([...CONTROLLER_CAPABILITIES, ...reasons].filter((name) => !document.includes(`\`${name}\``))).toEqual([]);
});
