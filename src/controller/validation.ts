import type { ValidateVolumeCapabilitiesRequest } from '../csi/messages.ts';
import { isVolumeError } from '../volumes/errors.ts';
import type { ClaimRecord } from '../volumes/records.ts';
import { differenceOf, readAttributes } from '../volumes/parameters.ts';
import { capabilityProblem } from './capabilities.ts';
import type { FoundVolume } from './find-volume.ts';
import { givenMutable, givenParameters } from './requests.ts';

/** Why a volume is not what a ValidateVolumeCapabilities request says; undefined when it is. Never throws for what is asked. */
export function validationProblem(request: ValidateVolumeCapabilitiesRequest, { claim }: FoundVolume): string | undefined {
  for (const capability of request.volumeCapabilities) {
    const problem = capabilityProblem(capability);
    if (problem !== undefined) return problem;
  }
  try {
    if (claim === undefined) readAttributes(request.volumeContext);
    return claim === undefined ? undefined : parametersProblem(request, claim);
  } catch (error) {
    if (isVolumeError(error)) return error.message;
    throw error;
  }
}

/** A caller need not repeat the parameters, but if it does, they must be the volume's. */
function parametersProblem(
  { parameters, mutableParameters }: ValidateVolumeCapabilitiesRequest,
  claim: ClaimRecord,
): string | undefined {
  const has = { ...claim.parameters, ...claim.mutableParameters };
  const asked = {
    ...(Object.keys(parameters).length === 0 ? {} : givenParameters(parameters).parameters),
    ...claim.mutableParameters,
    ...givenMutable(mutableParameters).parameters,
  };
  const other = differenceOf(has, asked);
  return other === undefined ? undefined : `the volume has ${other.name} '${other.has}', not '${other.asked}'`;
}
