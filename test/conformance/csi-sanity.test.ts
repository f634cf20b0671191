import { expect } from '@jest/globals';
import { go } from '../support/csi-go.ts';
import { csiSanity, SANITY_BUILD_MS, sanityFailures, sanitySkips, sanitySummary } from '../support/csi-sanity.ts';
import { SANITY_SKIP_NAMES } from '../support/csi-sanity-skips.ts';
import { withSanityVolumes } from '../support/csi-sanity-volumes.ts';
import { command, describeIf, device, root, testIf } from '../support/requires.ts';

const SUITE_MS = 400_000;

const REQUIREMENTS = [
  root(),
  go(),
  command('nbdfuse', 'libnbd-bin'),
  command('mkfs.ext4', 'e2fsprogs'),
  device('/dev/fuse'),
  device('/dev/loop-control'),
];

describeIf(REQUIREMENTS, 'csi-sanity', () => {
  for (const accessType of ['mount', 'block'] as const) {
    testIf(
      [],
      `finds nothing wrong when volumes are used as ${accessType}`,
      async () => {
        csiSanity();
        await withSanityVolumes({}, async (run) => {
          const result = await run({ accessType, timeoutMs: SUITE_MS });
          console.log(sanitySummary(accessType, result));
          expect(sanityFailures(result)).toEqual([]);
          expect(sanitySkips(result)).toEqual(SANITY_SKIP_NAMES);
        });
      },
      SUITE_MS + SANITY_BUILD_MS,
    );
  }
});
