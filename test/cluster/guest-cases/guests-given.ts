import type { GuestNode } from '../../support/cluster-guest-node.ts';
import type { Given } from '../cases/given.ts';

/** What a case is given whose nodes are guests. */
export type GuestsGiven = Given<GuestNode>;
