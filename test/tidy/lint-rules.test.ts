import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { pathOf, textOf } from '../support/repository.ts';

/** [folder of src/, a line that breaks a rule there, the rule]; a lint rule nobody saw fail may as well not exist. */
const PLANTED: readonly (readonly [folder: string, line: string, rule: string])[] = [
  ['aoe', `import { readFileSync } from 'node:fs'; readFileSync('x');`, 'no-restricted-imports'],
  ['aoe', `import koffi from 'koffi'; koffi.load(null);`, 'no-restricted-imports'],
  ['aoe', `export { x } from '../nbd/x.ts';`, 'no-restricted-imports'],
  ['aoe', `export { x } from '../initiator/x.ts';`, 'no-restricted-imports'],
  ['aoe', `export { x } from '../system/x.ts';`, 'no-restricted-imports'],
  ['aoe', `export const x = Date.now();`, 'no-restricted-globals'],
  ['aoe', `export const x = performance.now();`, 'no-restricted-globals'],
  ['aoe', `export const x = Math.random();`, 'no-restricted-properties'],
  ['aoe', `setTimeout(() => {}, 1);`, 'no-restricted-globals'],
  ['aoe', `globalThis.setTimeout(() => {}, 1);`, 'no-restricted-globals'],
  ['aoe', `export const x = process.pid;`, 'no-restricted-globals'],
  ['aoe', `export const x = new Promise<void>((done) => done());`, 'no-restricted-globals'],
  ['aoe', `export async function x() { await x(); }`, 'no-async-await'],
  ['aoe', `export const x = new DataView(new ArrayBuffer(8)).getBigUint64(0);`, 'no-restricted-properties'],
  ['nbd', `export { x } from '../aoe/x.ts';`, 'no-restricted-imports'],
  ['nbd', `export { x } from '../target/x.ts';`, 'no-restricted-imports'],
  ['nbd', `export const x = Buffer.alloc(1);`, 'no-restricted-globals'],
  ['block', `export { x } from '../aoe/x.ts';`, 'no-restricted-imports'],
  ['block', `export const x = Date.now();`, 'no-restricted-globals'],
  ['buffers', `export { x } from '../block/x.ts';`, 'no-restricted-imports'],
  ['buffers', `export const x = BigInt(1);`, 'no-restricted-globals'],
  ['system', `export { x } from '../initiator/x.ts';`, 'no-restricted-imports'],
  ['initiator', `import koffi from 'koffi'; koffi.load(null);`, 'no-restricted-imports'],
  ['initiator', `export { x } from '../controller/x.ts';`, 'no-restricted-imports'],
  ['initiator', `export { x } from '../node/x.ts';`, 'no-restricted-imports'],
  ['initiator', `export { x } from '../kubernetes/x.ts';`, 'no-restricted-imports'],
  ['initiator', `export { x } from '../cli/x.ts';`, 'no-restricted-imports'],
  ['initiator', `export { x } from '@kubernetes/client-node';`, 'no-restricted-imports'],
  ['target', `import koffi from 'koffi'; koffi.load(null);`, 'no-restricted-imports'],
  ['target', `export { x } from '../nbd/x.ts';`, 'no-restricted-imports'],
  ['volumes', `export { x } from '../embedded/x.ts';`, 'no-restricted-imports'],
  ['volumes', `export { x } from '@grpc/grpc-js';`, 'no-restricted-imports'],
  ['volumes', `import { readFileSync } from 'node:fs'; readFileSync('x');`, 'no-restricted-imports'],
  ['embedded', `export { x } from '../controller/x.ts';`, 'no-restricted-imports'],
  ['kubernetes', `export { x } from '../controller/x.ts';`, 'no-restricted-imports'],
  ['kubernetes', `export { x } from 'undici';`, 'no-restricted-imports'],
  ['controller', `export { x } from '../embedded/x.ts';`, 'no-restricted-imports'],
  ['controller', `export { x } from '../kubernetes/x.ts';`, 'no-restricted-imports'],
  ['controller', `export { x } from '../node/x.ts';`, 'no-restricted-imports'],
  ['csi', `export { x } from '../controller/x.ts';`, 'no-restricted-imports'],
  ['csi', `export { x } from '../system/x.ts';`, 'no-restricted-imports'],
  ['identity', `export { x } from '../initiator/x.ts';`, 'no-restricted-imports'],
  ['metrics', `export { x } from '../csi/x.ts';`, 'no-restricted-imports'],
  ['cli', `import koffi from 'koffi'; koffi.load(null);`, 'no-restricted-imports'],
  ['initiator', `console.log('x');`, 'no-console'],
  ['initiator', `export default 1;`, 'no-default-export'],
  ['initiator', `async function x(): Promise<void> { await Promise.resolve(); } x();`, 'no-floating-promises'],
  ['initiator', `export function x(y: Promise<void>): void { if (y) y.catch(() => {}); }`, 'no-misused-promises'],
  ['initiator', `export async function x(y: number): Promise<void> { await y; }`, 'await-thenable'],
  ['initiator', `export function x(): void { throw 'text'; }`, 'only-throw-error'],
  ['initiator', `export const x: any = 1;`, 'no-explicit-any'],
  ['initiator', `export function x(y?: string): string { return y!; }`, 'no-non-null-assertion'],
  ['initiator', `export const x = (y: unknown): boolean => y == 1;`, 'eqeqeq'],
  ['initiator', `export const x = 1;\n${'// padding\n'.repeat(400)}`, 'max-lines'],
];

/** Files whose lines break no rule: what the rules above must let through. */
const INNOCENT: readonly (readonly [folder: string, line: string])[] = [
  [
    'aoe',
    `import type { X } from './x.ts'; import { y } from '../block/x.ts'; import { z } from '../buffers/x.ts'; export const x: X = [y, z];`,
  ],
  [
    'system',
    `import koffi from 'koffi'; import { x } from '../buffers/x.ts'; import { readFileSync } from 'node:fs'; readFileSync(x + koffi.version);`,
  ],
  ['initiator', `export { x } from '../aoe/x.ts'; export { y } from '../nbd/x.ts'; export { z } from '../system/x.ts';`],
  ['target', `export { x } from '../aoe/x.ts'; export { y } from '../system/x.ts'; export { createServer } from 'node:net';`],
];

let folder = '';
let rulesOfFile: Map<string, string[]>;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'aoe-csi-lint-'));
  for (const name of ['.oxlintrc.json', 'tsconfig.json', 'package.json']) cpSync(pathOf(name), join(folder, name));
  symlinkSync(pathOf('node_modules'), join(folder, 'node_modules'));
  [...PLANTED, ...INNOCENT].forEach(([where, line], index) => plant(fileOf(where, index), line));
  rulesOfFile = lint();
}, 60_000);

afterAll(() => rmSync(folder, { recursive: true, force: true }));

function fileOf(where: string, index: number): string {
  return `src/${where}/planted-${index}.ts`;
}

function plant(name: string, line: string): void {
  const path = join(folder, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, `${line}\n`);
}

/** Rules that oxlint names for each file. */
function lint(): Map<string, string[]> {
  const oxlint = join(folder, 'node_modules/.bin/oxlint');
  const result = spawnSync(process.execPath, [oxlint, '--type-aware', '--format=json', '.'], { cwd: folder, encoding: 'utf8' });
  const report = JSON.parse(result.stdout) as { diagnostics: { filename: string; code: string }[] };
  const found = new Map<string, string[]>();
  for (const { filename, code } of report.diagnostics) {
    const rule = /\((.*)\)/.exec(code)?.[1] ?? code;
    found.set(filename, [...(found.get(filename) ?? []), rule]);
  }
  return found;
}

describe('oxlint', () => {
  test.each(PLANTED.map(([where, line, rule], index) => [rule, where, line.slice(0, 80), index] as const))(
    'reports %s when src/%s holds `%s`',
    (rule, where, _line, index) => {
      expect(rulesOfFile.get(fileOf(where, index))).toContain(rule);
    },
  );

  test.each(INNOCENT.map(([where, line], index) => [where, line, PLANTED.length + index] as const))(
    'reports no import when src/%s holds `%s`',
    (where, _line, index) => {
      expect(rulesOfFile.get(fileOf(where, index)) ?? []).not.toContain('no-restricted-imports');
    },
  );
});

test('.oxlintrc.json has an import allow list for every folder of src/', () => {
  const folders = readdirSync(pathOf('src'), { withFileTypes: true }).filter((entry) => entry.isDirectory());
  const config = textOf('.oxlintrc.json');
  const unlisted = folders.map((entry) => entry.name).filter((name) => !config.includes(`"src/${name}/**"`));
  expect(unlisted).toEqual([]);
});
