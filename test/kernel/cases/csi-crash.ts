import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { CRASH_POINTS, CRASH_VARIABLE, type CrashPoint } from '../../../src/node/crash-points.ts';
import { Random } from '../../simulation/random.ts';
import { eventually } from '../../support/faults-process.ts';
import { leavingNoDevice } from '../../support/kernel-devices.ts';
import { withNode, type NodeLaboratory } from '../../support/node-laboratory.ts';
import { FILE_SYSTEM_POINTS, GROW_POINTS, live, LIFE_BYTES } from '../../support/node-life.ts';
import type { NodeMethod, NodeProcess } from '../../support/node-process.ts';
import { NodeWriter } from '../../support/node-writer.ts';
import { patiently } from '../../support/patience.ts';
import { kernelCase, type CaseContext } from '../guest/cases.ts';

/**
 * The node plugin and the initiator are killed in each step of a volume's life on the kernel's devices, while a pod writes to another
 * volume: each call succeeds when it is made again, the writer sees no error and loses nothing, and no device is left in the end.
 */

const IS_SOAK = (process.env['AOE_CSI_KERNEL_SOAK'] ?? '') !== '';
const SEED = Number(process.env['AOE_CSI_KERNEL_SEED'] ?? Date.now() % 1_000_000);
const GROWN_BYTES = LIFE_BYTES * 1.5;
/** Longer than an initiator takes to start and take over in a guest that is busy. */
const DEAD_AFTER = ['--dead-after', '300'];
const END_MS = 10_000;
/** About what a call takes on a quiet native machine. */
const CALL_MS = 400;
/** Of every day; each costs the start of a plugin. */
const EVERYDAY_POINTS: readonly CrashPoint[] = [
  'stage-attached',
  'stage-mounted',
  'expand-grown',
  'unstage-unmounted',
  'wipe-started',
];
const EVERYDAY_KILLS: readonly NodeMethod[] = ['NodeStageVolume', 'NodeExpandVolume', 'NodeUnstageVolume'];

/** Runs a case on two disks, with a pod that writes to e10.2. */
async function besideWriter(
  figure: CaseContext['figure'],
  run: (lab: NodeLaboratory, node: NodeProcess) => Promise<void>,
): Promise<void> {
  const disks = { 'e10.1': LIFE_BYTES, 'e10.2': LIFE_BYTES };
  await leavingNoDevice(async () =>
    withNode({ disks, inKernel: true }, async (lab) => {
      const node = await lab.startNode({ words: DEAD_AFTER });
      const writer = await NodeWriter.start(lab, node, 'e10.2');
      await run(lab, node);
      const { acknowledged, longestMs } = await writer.end();
      const stall = `longest stall ${(longestMs / 1000).toFixed(1)} s`;
      figure(`the pod beside it: ${String(acknowledged)} writes acknowledged, 0 errors, 0 lost, ${stall}`);
    }),
  );
}

/** The node plugin dies once at each of these points. */
async function dieAt(points: readonly CrashPoint[], node: NodeProcess, life: () => Promise<void>): Promise<void> {
  const left = [...points];
  node.keepAlive(() => {
    const point = left.shift();
    return point === undefined ? {} : { [CRASH_VARIABLE]: point };
  });
  // The volume of the pod beside it has come this far without that.
  node.kill();
  await eventually('the first crash point to be set', END_MS, () => node.deaths === 1 && node.running);
  await life();
  await eventually(`all points to be visited; left are ${left.join(', ')}`, END_MS, () => node.deaths === 1 + points.length);
  assert.deepEqual(left, []);
}

/** The initiator is killed during calls, at any instant of the time that such a call has taken before, or is likely to take. */
function killer(lab: NodeLaboratory, random: Random, isChosen: (method: NodeMethod, isFirst: boolean) => boolean) {
  const took = new Map<NodeMethod, number>();
  return async (method: NodeMethod, call: () => Promise<unknown>): Promise<void> => {
    const startedMs = performance.now();
    const [isFirst, likelyMs] = [!took.has(method), took.get(method) ?? patiently(CALL_MS)];
    const calling = call().then(() => void took.set(method, performance.now() - startedMs));
    // It is awaited below, but may fail before.
    calling.catch(() => undefined);
    if (isChosen(method, isFirst)) {
      await sleep(random.integer(0, Math.round(likelyMs)));
      await lab.restartInitiator();
    }
    await calling;
  };
}

function seeded(figure: CaseContext['figure'], offset = 0): Random {
  figure(`seed ${String(SEED)}: AOE_CSI_KERNEL_SEED repeats it, as far as time allows`);
  return new Random(SEED + offset);
}

if (!IS_SOAK) {
  kernelCase(
    'calls succeed when the node plugin is killed between their steps, and the initiator during them',
    async ({ figure }) =>
      besideWriter(figure, async (lab, node) => {
        const during = killer(lab, seeded(figure), (method, isFirst) => isFirst && EVERYDAY_KILLS.includes(method));
        await dieAt(EVERYDAY_POINTS, node, async () => live(lab, node, 'ext4', { grownBytes: GROWN_BYTES, during }));
      }),
    60_000,
  );
} else {
  for (const use of ['ext4', 'block'] as const) {
    kernelCase(
      `a node plugin goes on where it was when it dies at every crash point in one life of a volume as ${use}`,
      async ({ figure }) =>
        besideWriter(figure, async (lab, node) => {
          const others = use === 'block' ? [...FILE_SYSTEM_POINTS, ...GROW_POINTS] : GROW_POINTS;
          const points = CRASH_POINTS.filter((point) => !others.includes(point));
          await dieAt(points, node, async () => live(lab, node, use, { grownBytes: GROWN_BYTES }));
        }),
      120_000,
    );
    for (let life = 1; life <= 3; life++) {
      kernelCase(
        `calls succeed when the initiator is killed during each of them, in life ${String(life)} of a volume as ${use}`,
        async ({ figure }) =>
          besideWriter(figure, async (lab, node) => {
            const during = killer(lab, seeded(figure, life), () => true);
            await live(lab, node, use, { grownBytes: GROWN_BYTES, during });
          }),
        120_000,
      );
    }
  }
}
