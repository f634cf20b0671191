import { basename } from 'node:path';
import type { CaseResult, CaseStatus, GuestEvent } from '../protocol.ts';

const MARKS: Readonly<Record<CaseStatus, string>> = { passed: '✓', failed: '✗', skipped: '○' };

/** Prints what guests tell while it happens, and at the end what matters of it; the last line is as that of `npm test`. */
export class Report {
  readonly #print: (text: string) => void;
  readonly #mayNotSkip: boolean;
  readonly #results: (CaseResult & { readonly kernel: string })[] = [];
  #kernel = 'no kernel';
  /** What the last line was about: guests beside each other work at one file each. */
  #file = '';

  /** @param mayNotSkip a guest has all that it has been given: in CI, a skip would hide a fault */
  constructor(print: (text: string) => void, mayNotSkip = false) {
    this.#print = print;
    this.#mayNotSkip = mayNotSkip;
  }

  /** Prints what is no result. */
  note(text: string): void {
    this.#print(text);
  }

  take(event: GuestEvent): void {
    if (event.type === 'ready') {
      const { kernel, speedFactor, uptimeMs } = event;
      this.#kernel = kernel;
      this.#print(
        `guest: Linux ${kernel} after ${seconds(uptimeMs)}, ${speedFactor.toFixed(1)} times slower than this machine outside of it`,
      );
    } else if (event.type === 'figure') {
      this.#printOf(event.file, `    ${event.text}`);
    } else if (event.type === 'result') {
      const status = event.status === 'skipped' && this.#mayNotSkip ? 'failed' : event.status;
      this.#results.push({ ...event, status, kernel: this.#kernel });
      this.#printOf(event.file, `  ${MARKS[status]} ${event.name} (${seconds(event.durationMs)})${indented(event.reason)}`);
    } else if (event.type === 'file-end') {
      this.#printOf(event.file, `  ${seconds(event.durationMs)} in all`);
    }
  }

  #printOf(file: string, text: string): void {
    if (file !== this.#file) this.#print(`\n${shortName(file)}`);
    this.#file = file;
    this.#print(text);
  }

  get failed(): number {
    return this.#count('failed');
  }

  /** All failures once more: whoever looks at the end of a long log sees them. */
  summary(): string {
    const failures = this.#results.filter(({ status }) => status === 'failed');
    const lines = failures.map(
      ({ kernel, file, name, reason }) => `${MARKS.failed} ${shortName(file)} in ${kernel}: ${name}${indented(reason)}`,
    );
    const counts = `${this.#count('passed')} passed, ${this.failed} failed, ${this.#count('skipped')} skipped`;
    return ['', ...lines, counts].join('\n');
  }

  #count(status: CaseStatus): number {
    return this.#results.filter((result) => result.status === status).length;
  }
}

function shortName(file: string): string {
  return basename(file, '.js');
}

function indented(text: string): string {
  return text === '' ? '' : `\n${text.replaceAll(/^/gm, '      ')}`;
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}
