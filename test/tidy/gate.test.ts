import { spawnSync } from 'node:child_process';
import { expect, test } from '@jest/globals';
import { repositoryRoot } from '../support/repository.ts';

/** What a tool of node_modules/.bin prints, or nothing where it ended with success. */
function complaints(tool: string, ...args: string[]): string {
  const result = spawnSync(process.execPath, [`node_modules/.bin/${tool}`, ...args], { cwd: repositoryRoot, encoding: 'utf8' });
  return result.status === 0 ? '' : `${result.stdout}${result.stderr}`;
}

test('oxlint finds nothing when it reads the repository', () => {
  expect(complaints('oxlint', '--type-aware', '--format=unix')).toBe('');
}, 60_000);

test('prettier finds nothing when it checks the repository (`npm run format` repairs)', () => {
  expect(complaints('prettier', '--check', '--log-level=warn', '.')).toBe('');
}, 60_000);
