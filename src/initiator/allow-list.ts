/**
 * Which interfaces may carry AoE: exact names, or patterns with `*` and `?`. Nothing is allowed unless it is named: an empty list
 * means no AoE traffic at all, where the Linux driver means all interfaces.
 */
export class AllowList {
  readonly patterns: readonly string[];
  readonly #expressions: readonly RegExp[];

  /** Throws RangeError with what is wrong with a pattern. */
  constructor(patterns: readonly string[]) {
    for (const pattern of patterns) {
      if (!/^[^\s/:]{1,15}$/.test(pattern)) {
        throw new RangeError(
          `'${pattern}' is not an interface name or pattern: 1 to 15 characters, no spaces, slashes or colons`,
        );
      }
    }
    this.patterns = [...new Set(patterns)];
    this.#expressions = this.patterns.map(expressionOf);
  }

  allows(name: string): boolean {
    return this.#expressions.some((expression) => expression.test(name));
  }

  /** Names without wildcards, which ought to exist. */
  get names(): readonly string[] {
    return this.patterns.filter((pattern) => !/[*?]/.test(pattern));
  }
}

function expressionOf(pattern: string): RegExp {
  const literal = pattern.replaceAll(/[.+^${}()|[\]\\]/g, String.raw`\$&`);
  return new RegExp(`^${literal.replaceAll('*', '.*').replaceAll('?', '.')}$`);
}
