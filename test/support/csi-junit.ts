/** What a test of somebody else's suite came to. */
export interface JunitCase {
  readonly name: string;
  readonly status: 'passed' | 'failed' | 'skipped';
  /** Why it failed or was skipped, as far as the file says. */
  readonly message: string;
}

/**
 * The tests in a JUnit file as Ginkgo writes it: one element for each, with what went wrong inside. What belongs to no test
 * (setting up and tearing down the suite) is left out unless it failed.
 */
export function parseJunit(xml: string): JunitCase[] {
  const elements = xml.matchAll(/<testcase\b([^>]*?)(?:\/>|>(.*?)<\/testcase>)/gs);
  return Array.from(elements, ([, attributes, content = '']) => caseOf(attributes, content)).filter(
    ({ name, status }) => name.startsWith('[It] ') || status === 'failed',
  );
}

function caseOf(attributes: string, content: string): JunitCase {
  const wrong = /<(failure|error|skipped)\b([^>]*)>/.exec(content);
  const status = wrong === null ? 'passed' : wrong[1] === 'skipped' ? 'skipped' : 'failed';
  return { name: attribute(attributes, 'name'), status, message: attribute(wrong?.[2] ?? '', 'message') };
}

function attribute(attributes: string, name: string): string {
  return textOf(new RegExp(`\\b${name}="([^"]*)"`).exec(attributes)?.[1] ?? '');
}

const ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

function textOf(xml: string): string {
  return xml.replace(/&(?:#x([0-9a-fA-F]+)|#(\d+)|(\w+));/g, (whole, hex?: string, decimal?: string, name?: string) => {
    if (hex !== undefined) return String.fromCodePoint(Number.parseInt(hex, 16));
    if (decimal !== undefined) return String.fromCodePoint(Number(decimal));
    return ENTITIES[name ?? ''] ?? whole;
  });
}
