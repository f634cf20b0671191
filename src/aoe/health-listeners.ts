import type { Identity } from './identify.ts';
import type { Path } from './path.ts';

/** Whoever decides what becomes of a volume whose target has refused a path's I/O as reserved. */
export interface RefusalListener {
  refused(path: Path, nowUs: number): void;
}

/** An unattached target's identity has been learnt. */
export interface IdentityListener {
  identified(path: Path, identity: Identity): void;
}
