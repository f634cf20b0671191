import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { KernelAoe } from '../../support/kernel-aoe.ts';
import {
  faultRow,
  initiatorStopped,
  interfaceDown,
  nothing,
  suffer,
  targetsAway,
  targetsRestarted,
} from '../../support/kernel-faults.ts';
import { KernelLoad, type LoadReport } from '../../support/kernel-load.ts';
import { kill, KernelNbd } from '../../support/kernel-nbd.ts';
import { LoadTargets, VOLUMES, type TargetProgram } from '../../support/load-targets.ts';
import { Random } from '../../simulation/random.ts';
import { kernelCase, type CaseContext } from '../guest/cases.ts';

/**
 * Nothing that was acknowledged is lost, no wrong byte and no error reaches a writer on a raw device, ext4 or XFS, whatever happens
 * to the initiator, the network and the target; beside it what the kernel's own initiator makes of the same.
 */

/** As often and as long as it takes to believe it: an hour for each kernel. */
const IS_SOAK = (process.env['AOE_CSI_KERNEL_SOAK'] ?? '') !== '';
const SEED = Number(process.env['AOE_CSI_KERNEL_SEED'] ?? Date.now() % 1_000_000);
const ROUNDS_A_LOOK = 4;
const OURS = 'ours, nbd';
const PEER = 'aoe.ko';

const NETWORK_FAULTS = [
  nothing,
  targetsRestarted,
  targetsAway(IS_SOAK ? 120 : 15),
  interfaceDown(IS_SOAK ? 30 : 5),
  // The kernel's own initiator gives up after 180 s: the last thing that happens to it.
  ...(IS_SOAK ? [targetsAway(200)] : []),
];
const STOPPED = initiatorStopped(IS_SOAK ? 60 : 10);

interface Scene {
  readonly host: KernelNbd;
  readonly targets: LoadTargets;
  readonly load: KernelLoad;
}

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

async function withOurs(program: TargetProgram, run: (scene: Scene) => Promise<void>): Promise<void> {
  await KernelNbd.use(async (host) => {
    const targets = new LoadTargets(host, program);
    await targets.start();
    await host.start();
    const found = await KernelLoad.use(
      host,
      targets,
      async (name) => host.attach(name),
      async (load) => run({ host, targets, load }),
    );
    assert.deepEqual(found, []);
    for (const name of VOLUMES) await host.detach(name);
  });
}

/** What becomes of the kernel's own initiator is no fault of ours: it is shown. */
async function withPeer(
  program: TargetProgram,
  figure: CaseContext['figure'],
  run: (scene: Scene) => Promise<void>,
): Promise<void> {
  await KernelNbd.use(async (host) => {
    const targets = new LoadTargets(host, program);
    await targets.start();
    await KernelAoe.use(async (peer) => {
      const found = await KernelLoad.use(
        host,
        targets,
        async (name) => peer.attach(name),
        async (load) => run({ host, targets, load }),
      );
      for (const text of found) figure(`${PEER}, in the end: ${text}`);
    });
  });
}

/** One succession after the other; after every few of them a look at all that was acknowledged. */
async function sufferSuccession({ host, load }: Scene, { name, rounds, succeed }: Succession, random: Random): Promise<string> {
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

/** From a target's announcement until all writers go on. */
async function sufferAnnouncement({ targets, load }: Scene): Promise<number> {
  await load.progress();
  await targets.kill();
  await sleep(2_000);
  await targets.start();
  return load.nextWritesMs();
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
