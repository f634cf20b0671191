/**
 * Names of network interfaces, or patterns with `*` (any characters) and `?` (one character), as the initiator's allow list has
 * them. A volume's list narrows the node's; an empty one leaves it as it is.
 */
export type InterfacePatterns = readonly string[];

const PATTERNS_MAX = 64;
/** IFNAMSIZ is 16 with the final zero; the kernel allows neither slash nor colon nor white space. The comma is ours. */
const PATTERN = /^[^\s/:,]{1,15}$/;

/** Reads patterns with commas between, at most 64. Undefined when one can't be an interface's name; never throws. */
export function parseInterfacePatterns(text: string): InterfacePatterns | undefined {
  if (text.trim() === '') return [];
  const patterns = new Set(text.split(',').map((part) => part.trim()));
  return patterns.size <= PATTERNS_MAX && [...patterns].every((pattern) => PATTERN.test(pattern)) ? [...patterns] : undefined;
}

/** Tells which interfaces a volume may use. */
export function interfaceFilter(patterns: InterfacePatterns): (name: string) => boolean {
  if (patterns.length === 0) return () => true;
  const expressions = patterns.map(expressionOf);
  return (name) => expressions.some((expression) => expression.test(name));
}

function expressionOf(pattern: string): RegExp {
  const literal = pattern.replaceAll(/[.+^${}()|[\]\\]/g, String.raw`\$&`);
  return new RegExp(`^${literal.replaceAll('*', '.*').replaceAll('?', '.')}$`);
}
