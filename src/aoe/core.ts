import type { Arena } from '../buffers/arena.ts';
import type { ChunkPool } from '../buffers/chunk-pool.ts';
import type { Copies } from './copies.ts';
import type { EngineEvents } from './events.ts';
import type { FragmentPool } from './fragment.ts';
import type { LateWrites } from './late-writes.ts';
import type { Port } from './port.ts';
import type { Target } from './target.ts';

/**
 * The driver of a port may let the kernel write the data of expected answers straight to where it belongs. It must stop as soon as
 * the engine no longer waits there, because the memory is then somebody else's.
 */
export interface ReplyPlacement {
  /** Copy `copy` is answered, lost or given up: no frame may be received into its memory any more. */
  withdraw(copy: number): void;
}

export const NO_PLACEMENT: ReplyPlacement = { withdraw: () => undefined };

/** What the engine's parts share. */
export interface Core {
  readonly arena: Arena;
  readonly chunks: ChunkPool;
  readonly copies: Copies;
  readonly fragments: FragmentPool;
  readonly lateWrites: LateWrites;
  readonly placement: ReplyPlacement;
  readonly events: EngineEvents;
  /** A number in [0, 1). */
  readonly random: () => number;
  /** Arena offset of FRAME_SECTORS_MAX sectors that stay zero: the data of "write zeroes". */
  readonly zeroes: number;
  readonly counters: Counters;
  readonly ports: readonly (Port | undefined)[];
  /** Targets with a volume, or on their way to one. */
  readonly attached: readonly Target[];
}

/** What happened to frames, for people. Every refused frame is counted under one reason. */
export class Counters {
  /** Frames that carried I/O, and those of them sent again. */
  framesSent = 0;
  framesResent = 0;
  /** Answers that completed something. */
  answers = 0;
  /** Answers whose data lay elsewhere than expected and was copied. */
  answersMoved = 0;
  /** Answers nobody asked for, or asked for and already had. */
  unexpected = 0;
  /** Right tag, but from another MAC, interface or address than asked. */
  wrongSource = 0;
  shortData = 0;
  malformed = 0;
  aoeErrors = 0;
  ataErrors = 0;
  lateWritesAnswered = 0;
  /** Answers to frames that were sent before another disk may have come. */
  distrusted = 0;
  /** Writes that had to wait for a late copy. */
  writesHeld = 0;
  /** Writes done again because their target may have started anew in between. */
  writesRepeated = 0;
  targetsRefused = 0;
  requestsFailed = 0;
}
