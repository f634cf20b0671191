import type { Store } from '../volumes/store.ts';
import type { InitiatorClient } from './initiator-client.ts';
import type { NodeRecorder } from './node-recorder.ts';
import type { StateDirectory } from './staging/state-directory.ts';

/** What the services of a node work with. */
export interface NodeParts {
  readonly nodeId: string;
  readonly clusterId: string;
  readonly bootId: string;
  readonly store: Store;
  readonly initiator: InitiatorClient;
  readonly recorder: NodeRecorder;
  readonly state: StateDirectory;
}
