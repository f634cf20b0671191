/** A column: its heading, and whether its cells are numbers, which stand at the right. */
export interface Column {
  readonly heading: string;
  readonly right?: boolean;
}

const GAP = '  ';

/** Lines of text with aligned columns, the headings first. */
export function formatTable(columns: readonly Column[], rows: readonly (readonly string[])[]): string {
  const all = [columns.map(({ heading }) => heading), ...rows];
  const widths = columns.map((_, index) => Math.max(...all.map((row) => row[index].length)));
  const line = (row: readonly string[]): string =>
    row
      .map((cell, index) => (columns[index].right === true ? cell.padStart(widths[index]) : cell.padEnd(widths[index])))
      .join(GAP)
      .trimEnd();
  return all.map(line).join('\n');
}
