import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from '@jest/globals';
import { pathOf, repositoryFiles, textOf } from '../support/repository.ts';

const documents = repositoryFiles().filter((name) => name.endsWith('.md'));

test('links between documents lead to a file', () => {
  const broken = documents.flatMap((name) =>
    [...textOf(name).matchAll(/\]\((?!https?:|#|mailto:)([^)#]+)(#[^)]*)?\)/g)]
      .map((link) => join(dirname(name), link[1]))
      .filter((path) => !existsSync(pathOf(path)))
      .map((path) => `${name} -> ${path}`),
  );
  expect(broken).toEqual([]);
});

test('every decision is linked from docs/decisions/README.md and the numbers have no gap', () => {
  const decisions = documents.filter((name) => /^docs\/decisions\/\d{4}-/.test(name)).sort();
  const overview = textOf('docs/decisions/README.md');
  expect(decisions.filter((name) => !overview.includes(`(${name.slice('docs/decisions/'.length)})`))).toEqual([]);
  expect(decisions.map((name) => Number(name.slice('docs/decisions/'.length, -1).slice(0, 4)))).toEqual(
    decisions.map((_, index) => index + 1),
  );
});

test('every npm script that a document names exists in package.json', () => {
  const { scripts } = JSON.parse(textOf('package.json')) as { scripts: Record<string, string> };
  const named = documents.flatMap((name) =>
    [...textOf(name).matchAll(/\bnpm (?:run (?:-s )?([a-z][\w:-]*)|(test)\b)/g)].map((match) => match[1] ?? match[2]),
  );
  expect(named).toContain('demo');
  expect(named.filter((script) => !(script in scripts))).toEqual([]);
});

test('every Debian package that a test asks for is one that its job installs', async () => {
  type Job = { debianPackages(): string[] };
  const { JOBS } = (await import(pathOf('tools/run/jobs.js'))) as { JOBS: Record<'test' | 'test:cluster', Job> };
  const files = repositoryFiles().filter((name) => /^test\/.*\.ts$/.test(name) && name !== 'test/support/requires.ts');
  const isOfCluster = (name: string): boolean => /^test\/(cluster\/|support\/cluster-)/.test(name);
  const missing = (job: Job, names: readonly string[]): string[] => {
    const asked = names.flatMap((name) =>
      [...textOf(name).matchAll(/(?<![.\w])command\('([^']+)'(?:, '([^']+)')?\)/g)].map((match) => match[2] ?? match[1]),
    );
    return asked.filter((name) => !job.debianPackages().includes(name));
  };
  expect(
    missing(
      JOBS.test,
      files.filter((name) => !isOfCluster(name)),
    ),
  ).toEqual([]);
  expect(missing(JOBS['test:cluster'], files.filter(isOfCluster))).toEqual([]);
});
