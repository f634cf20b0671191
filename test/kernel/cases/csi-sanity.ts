import assert from 'node:assert/strict';
import { SANITY_PROGRAM, sanityFailures, sanitySkips, sanitySummary } from '../../support/csi-sanity.ts';
import { SANITY_SKIP_NAMES } from '../../support/csi-sanity-skips.ts';
import { sanityOfVolumes } from '../../support/csi-sanity-volumes.ts';
import { leavingNoDevice } from '../../support/kernel-devices.ts';
import { patiently } from '../../support/patience.ts';
import { kernelCase } from '../guest/cases.ts';

/** csi-sanity, unmodified, on volumes that are devices of the kernel's NBD driver, with Debian's targets. */

const SUITE_MS = 60_000;
const IS_WHOLE = (process.env['AOE_CSI_KERNEL_SOAK'] ?? '') !== '';
/** What is called on a node, for everyday; a soak runs all of it. */
const NODE_SPECS = 'Node Service';

for (const accessType of ['mount', 'block'] as const) {
  kernelCase(
    `csi-sanity finds nothing wrong ${IS_WHOLE ? '' : 'with the node plugin '}when volumes are used as ${accessType}`,
    async ({ figure, skip }) => {
      if (process.env[SANITY_PROGRAM] === undefined) skip('csi-sanity has not been built, which takes Go (go.dev) in PATH');
      const options = { accessType, timeoutMs: patiently(SUITE_MS), ...(IS_WHOLE ? {} : { focus: NODE_SPECS }) };
      await leavingNoDevice(async () => {
        const result = await sanityOfVolumes(options, { inKernel: true, vblade: true });
        figure(sanitySummary(accessType, result));
        assert.deepEqual(sanityFailures(result), []);
        if (IS_WHOLE) assert.deepEqual(sanitySkips(result), SANITY_SKIP_NAMES);
      });
    },
    SUITE_MS + 30_000,
  );
}
