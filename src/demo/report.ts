import type { Life } from './volume-life.ts';

/** Counters of the initiator, by name. */
export type Counters = Readonly<Record<string, number>>;

/** The demo's last words: sizes, speeds, frames. */
export function formatReport({ writing, reading, damaged }: Life, counters: Counters, totalSeconds: number): string {
  const { 'aoe.framesSent': sent = 0, 'aoe.framesResent': resent = 0 } = counters;
  const lines: [string, string][] = [
    ['written', `${megabytes(writing.bytes)} at ${rate(writing.rate(writing.standstillMs))}, the target's restart not counted`],
    ['longest standstill', `${(writing.standstillMs / 1000).toFixed(1)} s, while the target was away; no I/O error`],
    ['read and verified', `${megabytes(reading.bytes)} at ${rate(reading.rate())}`],
    ['frames', `${sent} sent, ${resent} of them again`],
    ['result', damaged.length === 0 ? 'every byte is as it was written' : `${damaged.length} files are damaged`],
    ['time', `${totalSeconds.toFixed(1)} s`],
  ];
  const width = Math.max(...lines.map(([name]) => name.length));
  return lines.map(([name, value]) => `  ${name.padEnd(width)}  ${value}`).join('\n');
}

function megabytes(bytes: number): string {
  return `${Math.round(bytes / 1e6)} MB`;
}

function rate(bytesPerSecond: number): string {
  return `${Math.round(bytesPerSecond / 1e6)} MB/s`;
}
