import assert from 'node:assert/strict';
import { SANITY_PROGRAM, sanityFailures, sanitySkips, sanitySummary } from '../../support/csi-sanity.ts';
import { SANITY_SKIP_NAMES } from '../../support/csi-sanity-skips.ts';
import { withSanityVolumes } from '../../support/csi-sanity-volumes.ts';
import { leavingNoDevice } from '../../support/kernel-devices.ts';
import { patiently } from '../../support/patience.ts';
import { kernelCase } from '../guest/cases.ts';

/** csi-sanity, unmodified, on volumes that are devices of the kernel's NBD driver, with Debian's targets. */

const SUITE_MS = 60_000;
const IS_WHOLE = (process.env['AOE_CSI_KERNEL_SOAK'] ?? '') !== '';
/** What is called on a node, for everyday; a soak runs all of it. */
const NODE_SPECS = 'Node Service';

kernelCase(
  `csi-sanity finds nothing wrong ${IS_WHOLE ? '' : 'with the node plugin '}when volumes are mounted, nor when they are used as block devices`,
  async ({ figure, skip }) => {
    if (process.env[SANITY_PROGRAM] === undefined) skip('csi-sanity has not been built, which takes Go (go.dev) in PATH');
    await leavingNoDevice(async () =>
      withSanityVolumes({ inKernel: true, vblade: true }, async (run) => {
        for (const accessType of ['mount', 'block'] as const) {
          const timeoutMs = patiently(SUITE_MS);
          const result = await run({ accessType, timeoutMs, ...(IS_WHOLE ? {} : { focus: NODE_SPECS }) });
          figure(sanitySummary(accessType, result));
          assert.deepEqual(sanityFailures(result), []);
          if (IS_WHOLE) assert.deepEqual(sanitySkips(result), SANITY_SKIP_NAMES);
        }
      }),
    );
  },
  2 * SUITE_MS + 30_000,
);
