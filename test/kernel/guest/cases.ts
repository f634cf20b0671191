/** What a case can say besides passing and failing. */
export interface CaseContext {
  /** Ends the case here, as skipped. */
  readonly skip: (reason: string) => never;
  /** A line with a measured figure, shown with the results. */
  readonly figure: (text: string) => void;
}

export interface Case {
  readonly name: string;
  /** On a quiet native machine; what is waited is this times the guest's slowness. */
  readonly limitMs: number;
  readonly run: (context: CaseContext) => void | Promise<void>;
}

/** Thrown by a case that gives itself up, with the reason. */
export class Skipped extends Error {}

const DEFAULT_LIMIT_MS = 20_000;

/** The cases of this process' file, in the order of their declaration. */
export const declaredCases: Case[] = [];

/** Declares a case of a file in test/kernel/cases. The cases of a file run in one process, one after the other. */
export function kernelCase(name: string, run: Case['run'], limitMs = DEFAULT_LIMIT_MS): void {
  declaredCases.push({ name, limitMs, run });
}
