import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { initiatorStopped, interfaceDown, nothing, suffer, targetsAway, targetsRestarted } from '../../support/kernel-faults.ts';
import { IS_SOAK, OURS, PEER, withOurs, withPeer, type ProofScene } from '../../support/kernel-proof.ts';
import { kernelCase } from '../guest/cases.ts';

/** The proof (test/support/kernel-proof.ts), while an initiator stands still and targets and network fail. */

const NETWORK_FAULTS = [
  nothing,
  targetsRestarted,
  targetsAway(IS_SOAK ? 120 : 15),
  interfaceDown(IS_SOAK ? 30 : 5),
  // The kernel's own initiator gives up after 180 s: the last thing that happens to it.
  ...(IS_SOAK ? [targetsAway(200)] : []),
];
const STOPPED = initiatorStopped(IS_SOAK ? 60 : 10);

/** From a target's announcement until all writers go on. */
async function sufferAnnouncement({ targets, load }: ProofScene): Promise<number> {
  await load.progress();
  await targets.kill();
  await sleep(2_000);
  await targets.start();
  return load.nextWritesMs();
}

kernelCase(
  'ours waits for an initiator that stands still, for targets and for the network',
  async ({ figure }) =>
    withOurs('vblade', async (scene) => {
      assert.deepEqual(await suffer(OURS, scene, [STOPPED, ...NETWORK_FAULTS], figure), []);
    }),
  IS_SOAK ? 1_200_000 : 180_000,
);

kernelCase(
  'what the kernel’s own initiator makes of the same',
  async ({ figure }) =>
    withPeer('vblade', figure, async (scene) => {
      for (const text of await suffer(PEER, scene, NETWORK_FAULTS, figure)) figure(`${PEER}: ${text}`);
    }),
  IS_SOAK ? 1_200_000 : 180_000,
);

kernelCase(
  'writers go on when a target says that it is back',
  async ({ figure }) => {
    await withOurs('aoe-csi', async (scene) => {
      figure(
        `${OURS}: ${(await sufferAnnouncement(scene)).toFixed(0)} ms after the target's announcement all writers have gone on`,
      );
    });
    await withPeer('aoe-csi', figure, async (scene) => {
      figure(`${PEER}: ${(await sufferAnnouncement(scene)).toFixed(0)} ms`);
    });
  },
  180_000,
);
