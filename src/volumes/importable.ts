import { VolumeError } from './errors.ts';
import type { TargetRecord } from './records.ts';
import type { Store } from './store.ts';
import { nodesThatSee, placesOf, type Segments } from './topology.ts';
import { volumeIdOf } from './volume-on-target.ts';

/** A target that can become a static volume, and from where it is seen. */
export interface Importable {
  readonly target: TargetRecord;
  readonly places: readonly Segments[];
}

/**
 * A target as nodes see it, for a static volume.
 * @throws VolumeError `not-found` when no node sees it; `failed-precondition` when it is somebody else's, or a volume's
 */
export async function findImportable(store: Store, address: string): Promise<Importable> {
  const target = (await store.targets.get(address))?.value;
  const nodes = (await store.nodes.list()).map(({ value }) => value);
  if (target === undefined || target.state === 'Missing' || nodes.every(({ targets }) => targets[address] === undefined)) {
    throw new VolumeError(
      'not-found',
      `cannot import ${address}: no node sees a target there; look with \`aoe-csi discover\` on a node, and see that the controller runs`,
    );
  }
  const { state, reason, claim } = target;
  if (state === 'Foreign') throw refused(address, `it is not ours to use: ${reason}`);
  if (claim !== undefined) throw refused(address, `it is ${state}, with volume ${volumeIdOf(target)} (${claim.volumeName})`);
  if (state !== 'Available' && state !== 'Static') throw refused(address, `it is ${state}; wait until it is free`);
  return { target, places: placesOf(nodesThatSee(address, nodes, [])) };
}

function refused(address: string, why: string): VolumeError {
  return new VolumeError('failed-precondition', `cannot import ${address}: ${why}`);
}
