import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { SAN } from '../../support/faults-laboratory.ts';
import { KernelAoe } from '../../support/kernel-aoe.ts';
import { KernelLoad, LoadTargets, VOLUMES, type LoadReport } from '../../support/kernel-load.ts';
import { kill, KernelNbd } from '../../support/kernel-nbd.ts';
import { Random } from '../../simulation/random.ts';
import { kernelCase, type CaseContext } from '../guest/cases.ts';

/**
 * Nothing that was acknowledged is lost, no wrong byte and no error reaches a writer on a raw device, ext4 or XFS, whatever happens
 * to the initiator, the network and the target; beside it what the kernel's own initiator makes of the same.
 */

/** For a soak: AOE_CSI_KERNEL_SOAK=10 kills ten times as often. */
const SOAK = Number(process.env['AOE_CSI_KERNEL_SOAK'] ?? '1');
const KILLS = 8 * SOAK;
const SEED = Number(process.env['AOE_CSI_KERNEL_SEED'] ?? Date.now() % 1_000_000);
const STOPPED_MS = 15_000;
const AWAY_MS = 20_000;
const DOWN_MS = 10_000;

interface Fault {
  readonly name: string;
  readonly inflict: (targets: LoadTargets, host: KernelNbd) => Promise<void>;
}

const NETWORK_FAULTS: readonly Fault[] = [
  {
    name: 'target restarted',
    inflict: async (targets) => {
      await targets.kill();
      await targets.start();
    },
  },
  {
    name: `target away for ${String(AWAY_MS / 1000)} s`,
    inflict: async (targets) => {
      await targets.kill();
      await sleep(AWAY_MS);
      await targets.start();
    },
  },
  {
    name: `interface down for ${String(DOWN_MS / 1000)} s`,
    inflict: async () => {
      execFileSync('ip', ['link', 'set', SAN, 'down']);
      await sleep(DOWN_MS);
      execFileSync('ip', ['link', 'set', SAN, 'up']);
    },
  },
];

const STOPPED: Fault = {
  name: `initiator stopped for ${String(STOPPED_MS / 1000)} s`,
  inflict: async (_targets, host) => {
    host.initiator.process.signal('SIGSTOP');
    await sleep(STOPPED_MS);
    host.initiator.process.signal('SIGCONT');
  },
};

/** Runs faults one after the other under a load; what was seen of each is printed as a row of a table. */
async function suffer(
  subject: string,
  host: KernelNbd,
  targets: LoadTargets,
  load: KernelLoad,
  faults: readonly Fault[],
  figure: CaseContext['figure'],
): Promise<string[]> {
  await load.progress();
  await load.look();
  const found: string[] = [];
  for (const { name, inflict } of faults) {
    await inflict(targets, host);
    await load.progress();
    const report = await load.look();
    figure(row(subject, name, report));
    found.push(...report.errors.map((text) => `${name}: ${text}`), ...report.lost.map((text) => `${name}: ${text}`));
  }
  return found;
}

function row(subject: string, fault: string, { longestMs, errors, lost }: LoadReport): string {
  const cells = [
    subject,
    fault,
    `${(longestMs / 1000).toFixed(1)} s`,
    `${String(errors.length)} errors`,
    `${String(lost.length)} lost`,
  ];
  return `| ${cells.join(' | ')} |`;
}

async function withOurs(run: (host: KernelNbd, targets: LoadTargets, load: KernelLoad) => Promise<void>): Promise<void> {
  await KernelNbd.use(async (host) => {
    const targets = new LoadTargets(host);
    await targets.start();
    await host.start();
    const found = await KernelLoad.use(
      host,
      targets,
      async (name) => host.attach(name),
      async (load) => run(host, targets, load),
    );
    assert.deepEqual(found, []);
    for (const name of VOLUMES) await host.detach(name);
  });
}

kernelCase(
  'initiators of ours are killed at any instant',
  async ({ figure }) =>
    withOurs(async (host, _targets, load) => {
      const random = new Random(SEED);
      figure(`seed ${String(SEED)}: AOE_CSI_KERNEL_SEED repeats it, as far as time allows`);
      let [longestMs, acknowledged] = [0, 0];
      for (let round = 0; round < KILLS; round++) {
        await sleep(random.integer(0, 2_000));
        await kill(host.initiator, 'SIGKILL');
        if (random.chance(0.25)) {
          // The next one does not live long either: it may be killed in the middle of taking over.
          const early = host.launch('i');
          await sleep(random.integer(0, 6_000));
          await kill(early, 'SIGKILL');
        }
        await host.start();
        await load.progress();
        const report = await load.look();
        assert.deepEqual([report.errors, report.lost], [[], []], `after kill ${String(round + 1)}`);
        longestMs = Math.max(longestMs, report.longestMs);
        acknowledged = report.acknowledged;
      }
      figure(`${String(KILLS)} kills: ${String(acknowledged)} writes acknowledged, 0 errors, 0 lost`);
      figure(row('ours, nbd', 'initiator killed', { longestMs, acknowledged, errors: [], lost: [] }));
    }),
  60_000 + KILLS * 20_000,
);

kernelCase(
  'ours waits for an initiator that stands still, for targets and for the network',
  async ({ figure }) =>
    withOurs(async (host, targets, load) => {
      assert.deepEqual(await suffer('ours, nbd', host, targets, load, [STOPPED, ...NETWORK_FAULTS], figure), []);
    }),
  180_000,
);

kernelCase(
  'what the kernel’s own initiator makes of the same',
  async ({ figure }) =>
    KernelNbd.use(async (host) => {
      const targets = new LoadTargets(host);
      await targets.start();
      await KernelAoe.use(async (peer) => {
        const during: string[] = [];
        const afterwards = await KernelLoad.use(
          host,
          targets,
          async (name) => peer.attach(name),
          async (load) => void during.push(...(await suffer('aoe.ko', host, targets, load, NETWORK_FAULTS, figure))),
        );
        // What becomes of it is no fault of ours: it is shown.
        for (const text of [...during, ...afterwards]) figure(`aoe.ko: ${text}`);
      });
    }),
  180_000,
);
