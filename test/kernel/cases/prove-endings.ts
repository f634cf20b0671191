import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { Random } from '../../simulation/random.ts';
import { faultRow } from '../../support/kernel-faults.ts';
import type { LoadReport } from '../../support/kernel-load.ts';
import { kill, type KernelNbd } from '../../support/kernel-nbd.ts';
import { IS_SOAK, OURS, withOurs, type ProofScene } from '../../support/kernel-proof.ts';
import { kernelCase } from '../guest/cases.ts';

/** The proof (test/support/kernel-proof.ts), while initiators end in every way. */

const SEED = Number(process.env['AOE_CSI_KERNEL_SEED'] ?? Date.now() % 1_000_000);
const ROUNDS_A_LOOK = 4;

/** A way in which an initiator ends, and the next one takes over. */
interface Succession {
  readonly name: string;
  readonly rounds: number;
  readonly succeed: (host: KernelNbd, random: Random) => Promise<void>;
}

const SUCCESSIONS: readonly Succession[] = [
  {
    name: 'initiator killed',
    rounds: IS_SOAK ? 75 : 3,
    succeed: async (host) => {
      await kill(host.initiator, 'SIGKILL');
      await host.start();
    },
  },
  {
    name: 'initiator killed, the next one too',
    rounds: IS_SOAK ? 25 : 1,
    succeed: async (host, random) => {
      await kill(host.initiator, 'SIGKILL');
      // Before it runs, while it takes devices over, or just afterwards.
      const next = host.launch('i');
      await sleep(random.integer(0, 9_000));
      await kill(next, 'SIGKILL');
      await host.start();
    },
  },
  {
    name: 'initiator replaced as planned',
    rounds: IS_SOAK ? 20 : 3,
    succeed: async (host) => void (await host.replace()),
  },
  {
    name: 'initiator ended by SIGTERM, and started',
    rounds: IS_SOAK ? 10 : 1,
    succeed: async (host) => {
      await kill(host.initiator, 'SIGTERM');
      await host.start();
    },
  },
];

/** One succession after the other; after every few of them a look at all that was acknowledged. */
async function sufferSuccession(
  { host, load }: ProofScene,
  { name, rounds, succeed }: Succession,
  random: Random,
): Promise<string> {
  let longestMs = 0;
  for (let round = 1; round <= rounds; round++) {
    await sleep(random.integer(0, 2_000));
    await succeed(host, random);
    await load.progress();
    // Writers have not come round to overwriting what they have written since the last look.
    if (round % ROUNDS_A_LOOK !== 0 && round < rounds) continue;
    const report: LoadReport = await load.look();
    assert.deepEqual([report.errors, report.lost], [[], []], `${name}, round ${String(round)}`);
    longestMs = Math.max(longestMs, report.longestMs);
  }
  return faultRow(OURS, `${name}, ${String(rounds)} ×`, longestMs, 0, 0);
}

kernelCase(
  'initiators of ours end at any instant',
  async ({ figure }) =>
    withOurs('vblade', async (scene) => {
      const random = new Random(SEED);
      figure(`seed ${String(SEED)}: AOE_CSI_KERNEL_SEED repeats it, as far as time allows`);
      await scene.load.progress();
      for (const succession of SUCCESSIONS) figure(await sufferSuccession(scene, succession, random));
      const { acknowledged } = await scene.load.look();
      figure(`${String(acknowledged)} writes acknowledged, 0 errors, 0 lost`);
    }),
  120_000 + SUCCESSIONS.reduce((sum, { rounds }) => sum + rounds, 0) * 20_000,
);
