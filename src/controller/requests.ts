import type { CreateVolumeRequest, Topology, TopologyRequirement as TopologyMessage } from '../csi/messages.ts';
import { capacityRange } from '../volumes/capacity.ts';
import { VolumeError } from '../volumes/errors.ts';
import { readMutableParameters, readParameters, type GivenParameters } from '../volumes/parameters.ts';
import { ANYWHERE, type TopologyRequirement } from '../volumes/topology.ts';
import type { WantedVolume } from './provisioning.ts';

type Given = Readonly<Record<string, string>>;

/** What a CreateVolume request asks for. @throws VolumeError `invalid-argument`, `out-of-range` */
export function wantedVolume(request: CreateVolumeRequest): WantedVolume {
  const { name, volumeContentSource } = request;
  if (volumeContentSource !== null) {
    throw new VolumeError(
      'invalid-argument',
      `cannot make volume ${name} from a snapshot or another volume: AoE has neither; leave the source out`,
    );
  }
  const range = capacityRange(request.capacityRange?.requiredBytes ?? 0, request.capacityRange?.limitBytes ?? 0);
  const { parameters, labels } = givenParameters(request.parameters);
  const changed = givenMutable(request.mutableParameters);
  const topology = topologyOf(request.accessibilityRequirements);
  return { name, range, parameters, mutableParameters: changed.parameters, labels: { ...labels, ...changed.labels }, topology };
}

/** Of a StorageClass. @throws VolumeError `invalid-argument` */
export function givenParameters(given: Given): GivenParameters {
  return readParameters('StorageClass', given);
}

/** Of a VolumeAttributesClass. @throws VolumeError `invalid-argument` */
export function givenMutable(given: Given): GivenParameters {
  return readMutableParameters(given);
}

export function topologyOf(requirement: TopologyMessage | null): TopologyRequirement {
  if (requirement === null) return ANYWHERE;
  const segments = (terms: readonly Topology[]) => terms.map((term) => term.segments);
  return { requisite: segments(requirement.requisite), preferred: segments(requirement.preferred) };
}

/** From this place; from anywhere when none is given. */
export function reachableFrom(place: Topology | null): TopologyRequirement {
  return place === null ? ANYWHERE : { requisite: [place.segments], preferred: [] };
}
