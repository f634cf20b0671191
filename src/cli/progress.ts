/** Nothing is shown for what is over within this time. */
const SILENCE_MS = 1_000;
const TERMINAL_INTERVAL_MS = 250;
/** Where lines pile up, in a log, fewer will do. */
const LOG_INTERVAL_MS = 5_000;

/**
 * Shows on standard error how work goes on: on a terminal one line that changes, elsewhere a line now and then.
 * @param describe a sentence about where things stand; may ask somebody first
 */
export async function withProgress<T>(describe: (seconds: number) => string | Promise<string>, work: Promise<T>): Promise<T> {
  const terminal = process.stderr.isTTY;
  const startedMs = performance.now();
  let shown = false;
  let busy = false;
  let ended = false;
  const show = async (): Promise<void> => {
    if (busy) return;
    busy = true;
    // Rounded: a timer may come a fraction of a millisecond before its time, and 0.9996 s is not 0 s.
    const text = await describe(Math.round((performance.now() - startedMs) / 1000));
    busy = false;
    if (ended) return;
    shown = true;
    process.stderr.write(terminal ? `\r\u001b[K${text}` : `${text}\n`);
  };
  const showQuietly = (): void => void show().catch(() => (busy = false));
  const first = setTimeout(showQuietly, SILENCE_MS);
  const timer = setInterval(
    () => (performance.now() - startedMs > SILENCE_MS ? showQuietly() : undefined),
    terminal ? TERMINAL_INTERVAL_MS : LOG_INTERVAL_MS,
  );
  try {
    return await work;
  } finally {
    ended = true;
    clearTimeout(first);
    clearInterval(timer);
    if (shown && terminal) process.stderr.write('\r\u001b[K');
  }
}
