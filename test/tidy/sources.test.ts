import { expect, test } from '@jest/globals';
import { linesMatching, repositoryFiles, textOf } from '../support/repository.ts';

const files = repositoryFiles();
const text = files.filter((name) => !/\.(png|pcap|bin)$/.test(name));
const code = text.filter((name) => /\.(ts|js|c|h|sh|proto)$/.test(name) || name === '.ci/run');
const sources = code.filter((name) => /^src\/.*\.ts$/.test(name));

test('every source file says something about itself in a docstring', () => {
  expect(sources.filter((name) => !textOf(name).includes('/**'))).toEqual([]);
});

test('code holds no marker of unfinished work', () => {
  const markers = ['TO' + 'DO', 'FIX' + 'ME', 'X' + 'XX', 'HA' + 'CK'];
  expect(linesMatching(code, new RegExp(`\\b(${markers.join('|')})\\b`))).toEqual([]);
});

test('no file names a path of somebody’s machine', () => {
  expect(linesMatching(text, /(?<![\w.}~-])\/(root|work|home)\//)).toEqual([]);
});

test('no file names the host of a package registry', () => {
  expect(linesMatching(text, /npmjs\.(com|org)|\/\/[\w.-]*registry[\w-]*\./i)).toEqual([]);
});

test('engines hold no BigInt literal', () => {
  const engines = sources.filter((name) => /^src\/(aoe|nbd|block|buffers)\//.test(name));
  expect(linesMatching(engines, /(?<![\w.])\d+n\b/)).toEqual([]);
});

test('the Kubernetes library is loaded by the store in Kubernetes, and that only when it is asked for', () => {
  const others = sources.filter((name) => !name.startsWith('src/kubernetes/'));
  expect(linesMatching(others, /^(?:import|export|\}) (?!type ).*'[^']*kubernetes\//)).toEqual([]);
});

test('no barrel file stands between a reader and the file that is meant', () => {
  expect(files.filter((name) => /(^|\/)index\.(ts|js)$/.test(name))).toEqual([]);
});
