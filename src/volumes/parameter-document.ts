import { METADATA, PARAMETERS, type Parameter, type ParameterPlace } from './parameter-table.ts';

const PLACES: readonly ParameterPlace[] = ['StorageClass', 'VolumeAttributesClass', 'PersistentVolume'];

/** The tables of docs/storage-class.md, in Markdown, made from the table that the driver reads parameters with. */
export function parameterDocument(): string {
  const parameters = Object.values(PARAMETERS) as readonly Parameter<unknown>[];
  const head = ['parameter', 'meaning', 'value', 'default', ...PLACES];
  const rows = parameters.map((parameter) => [
    `\`${parameter.name}\``,
    parameter.doc,
    parameter.expected,
    parameter.byDefault === '' ? 'empty' : `\`${parameter.byDefault}\``,
    ...PLACES.map((place) => (parameter.places.includes(place) ? 'yes' : '–')),
  ]);
  const metadata = [...METADATA].map(([name, what]) => [`\`${name}\``, what]);
  return `${table(head, rows)}\n\n${table(['metadata', 'what it is'], metadata)}`;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.map(escaped).join(' | ')} |`).join('\n');
}

function escaped(cell: string): string {
  return cell.replaceAll('|', String.raw`\|`);
}
