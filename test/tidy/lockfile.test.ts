import { expect, test } from '@jest/globals';
import { linesMatching, pathOf, textOf } from '../support/repository.ts';

interface CompleteLockfile {
  readonly missingOptionals: (packages: unknown) => { name: string; version: string }[];
}

test('package-lock.json has an entry for every optional dependency (`node tools/complete-lockfile.js` repairs)', async () => {
  const { missingOptionals } = (await import(pathOf('tools/complete-lockfile.js'))) as CompleteLockfile;
  const { packages } = JSON.parse(textOf('package-lock.json')) as { packages: unknown };
  expect(missingOptionals(packages)).toEqual([]);
});

test('package-lock.json says what to install, not from where', () => {
  expect(linesMatching(['package-lock.json'], /"resolved":/)).toEqual([]);
});

test('missingOptionals() names what no folder up the tree holds when packages are nested', async () => {
  const { missingOptionals } = (await import(pathOf('tools/complete-lockfile.js'))) as CompleteLockfile;
  const packages = {
    'node_modules/a': { optionalDependencies: { x: '1.0.0', y: '1.0.0' } },
    'node_modules/a/node_modules/b': { optionalDependencies: { x: '1.0.0', y: '1.0.0', z: '1.0.0' } },
    'node_modules/x': {},
    'node_modules/a/node_modules/z': {},
  };
  expect(missingOptionals(packages)).toMatchObject([
    { name: 'y', dependent: 'node_modules/a' },
    { name: 'y', dependent: 'node_modules/a/node_modules/b' },
  ]);
});
