/**
 * `node tools/generate-chart-readme.js`, after a change of deploy/helm/values.yaml: writes what the chart's README says of each value.
 *
 * A comment that begins with `# --` says what the value below it means, of all that is in it. test/tidy/chart.test.ts fails while the
 * README says something else.
 */

import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { loadYaml } from '@kubernetes/client-node';

export const VALUES = 'deploy/helm/values.yaml';
export const README = 'deploy/helm/README.md';
const SECTION =
  /(<!-- values: [^\n]*\n<!-- prettier-ignore-start -->\n)([^]*?)(<!-- prettier-ignore-end -->\n<!-- \/values -->\n)/;
const INDENT = 2;

/** The README with the table of `values`, the text of values.yaml. @throws Error for a value that no comment explains */
export function withValues(readme, values) {
  const rows = explanations(values).map(({ path, text }) => {
    const value = path.split('.').reduce((inner, key) => inner[key], loadYaml(values));
    return `| \`${path}\` | ${text.replaceAll('|', '\\|')} | \`${JSON.stringify(value)}\` |`;
  });
  const table = ['| value | meaning | default |', '| --- | --- | --- |', ...rows].join('\n');
  return readme.replace(SECTION, (_all, start, _old, end) => `${start}\n${table}\n\n${end}`);
}

/** Each value that a comment explains, in order. */
export function explanations(values) {
  const found = [];
  const path = [];
  let text = '';
  let explained = Infinity;
  for (const line of values.split('\n')) {
    const [, indent, comment, key, rest] = /^( *)(?:# ?(.*)|([\w.-]+):(.*)|.*)$/.exec(line);
    const depth = indent.length / INDENT;
    if (comment !== undefined) {
      text = comment.startsWith('-- ') ? comment.slice(3) : text && `${text} ${comment}`;
      continue;
    }
    if (key === undefined || depth > explained) continue;
    path.splice(depth, Infinity, key);
    explained = text === '' ? Infinity : depth;
    if (text !== '') found.push({ path: path.join('.'), text });
    else if (rest.trim() !== '') throw new Error(`${VALUES}: no comment says what ${path.join('.')} means`);
    text = '';
  }
  return found;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const pathOf = (name) => fileURLToPath(new URL(`../${name}`, import.meta.url));
  writeFileSync(pathOf(README), withValues(readFileSync(pathOf(README), 'utf8'), readFileSync(pathOf(VALUES), 'utf8')));
}
