import type { Identity } from './identify.ts';
import type { Path } from './path.ts';
import type { Target } from './target.ts';

/** Whoever ends a volume's I/O once its target is reserved by another initiator. */
export interface FenceKeeper {
  fence(target: Target, nowUs: number): void;
}

/** An unattached target's identity has been learnt. */
export interface IdentityListener {
  identified(path: Path, identity: Identity): void;
}
