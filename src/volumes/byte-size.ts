/** Sizes as Kubernetes writes them: bytes, or with a suffix. https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/ */
const UNITS: ReadonlyMap<string, number> = new Map([
  ['', 1],
  ['k', 1e3],
  ['M', 1e6],
  ['G', 1e9],
  ['T', 1e12],
  ['P', 1e15],
  ['Ki', 2 ** 10],
  ['Mi', 2 ** 20],
  ['Gi', 2 ** 30],
  ['Ti', 2 ** 40],
  ['Pi', 2 ** 50],
]);
const SIZE = /^(\d{1,16})(|[kMGTP]|[KMGTP]i)$/;

/** Reads a whole number with an optional suffix, e.g. `100Gi`. Undefined for another text or one beyond 2^53 - 1; never throws. */
export function parseBytes(text: string): number | undefined {
  const match = SIZE.exec(text);
  if (match === null) return undefined;
  const bytes = Number(match[1]) * (UNITS.get(match[2]) ?? NaN);
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}

/** The shortest text that says exactly this many bytes, a whole number of at least 0: `100Gi`, `500G`, `1536Mi`, `1000001`. */
export function formatBytes(bytes: number): string {
  const texts = [...UNITS].flatMap(([suffix, unit]) => (bytes % unit === 0 ? [`${bytes / unit}${suffix}`] : []));
  return texts.reduce((shortest, text) => (text.length < shortest.length ? text : shortest));
}
