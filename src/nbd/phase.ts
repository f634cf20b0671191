import type { IoVector } from '../buffers/io-vector.ts';
import type { DropReason } from './counters.ts';

/** Something that happened to a connection and is rare enough to be written down. Names from the peer are cut short. */
export type NbdEvent =
  | { readonly kind: 'exportOpened'; readonly exportName: string; readonly readOnly: boolean }
  | { readonly kind: 'exportUnknown'; readonly exportName: string }
  | { readonly kind: 'connectionDropped'; readonly reason: DropReason; readonly detail: string };

export type NbdLog = (event: NbdEvent) => void;

/**
 * Whether a phase goes on: `open` reads and answers; `ending` reads no more, and is over when everything is answered; `broken` is
 * over at once, because the peer can't be understood.
 */
export type PhaseState = 'open' | 'ending' | 'broken';

/** Negotiation or transmission, as NbdSession drives them; see there for what the methods mean. */
export interface Phase {
  /** Nothing more will be read or sent. */
  readonly over: boolean;
  /** Takes what can be taken from the bytes received so far. */
  advance(): void;
  fillReceive(vector: IoVector): void;
  received(bytes: number): void;
  fillTransmit(vector: IoVector): void;
  transmitted(bytes: number): void;
  shutdown(): void;
  close(): void;
}
