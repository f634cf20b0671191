import type { StagedVolume } from '../../src/node/staging/staged-volume.ts';

/** The state of a raw volume that is staged, of this boot `boot`; what a test cares for in place of that. */
export function stagedVolume(
  given: Pick<StagedVolume, 'volumeId' | 'address' | 'stagingPath'> & Partial<StagedVolume>,
): StagedVolume {
  return {
    bootId: 'boot',
    phase: 'staged',
    access: { kind: 'block' },
    accessMode: 'SINGLE_NODE_WRITER',
    epoch: 5,
    attach: { readOnly: false, deadSeconds: 0, maxOutstanding: 0, interfaces: [] },
    isReserved: false,
    device: '',
    deviceNumber: '',
    fsType: '',
    publications: [],
    ...given,
  };
}
