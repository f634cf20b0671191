import type { Target } from './target.ts';
import type { Volume } from './volume.ts';

/** What a notice is about; also the label of the errors stream and, later, of metrics and Kubernetes events. */
export type NoticeKind =
  | 'target-found'
  | 'target-state'
  | 'target-announced'
  | 'identity-mismatch'
  | 'conflict'
  | 'payload'
  | 'reserved'
  | 'ata-error'
  | 'aoe-error'
  | 'size-changed'
  | 'durability'
  | 'limit'
  | 'dead';

/** Where the engine tells what has happened. Called rarely, never for an ordinary frame. */
export interface EngineEvents {
  /** Something a person may want to know, as a full sentence. `target` is `e10.3`, or '' when it concerns no single one. */
  notice(kind: NoticeKind, target: string, text: string): void;
  /** An attach has succeeded: the volume takes I/O. */
  attached(volume: Volume): void;
  /** An attach can't succeed; the target is free again. */
  attachRefused(target: Target, reason: string): void;
  /** A detach has ended: the volume is gone and nothing of it is under way. */
  detached(target: Target): void;
}
