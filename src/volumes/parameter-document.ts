import { METADATA, PARAMETERS, type Parameter, type ParameterPlace } from './parameter-table.ts';
import { parametersOf } from './parameters.ts';

/** Where a parameter may stand, in the order of the documents. */
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

/**
 * JSON Schema of the parameters, a definition for each place, for a chart's values and for editors: made from the same table. The
 * metadata of the sidecars is left out: people don't write it.
 */
export function parameterSchema(): object {
  const definitions = PLACES.map((place) => {
    const properties = parametersOf(place).map(({ name, doc, expected, schema, byDefault }) => [
      name,
      { type: 'string', description: `${doc} Expected: ${expected}.`, ...schema, default: byDefault },
    ]);
    return [place, { type: 'object', additionalProperties: false, properties: Object.fromEntries(properties) }];
  });
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'Parameters of volumes',
    $defs: Object.fromEntries(definitions),
  };
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.map(escaped).join(' | ')} |`).join('\n');
}

function escaped(cell: string): string {
  return cell.replaceAll('|', String.raw`\|`);
}
