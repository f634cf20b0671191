import assert from 'node:assert/strict';
import { KernelAoe } from './kernel-aoe.ts';
import { KernelLoad } from './kernel-load.ts';
import { KernelNbd } from './kernel-nbd.ts';
import { LoadTargets, VOLUMES, type TargetProgram } from './load-targets.ts';

/**
 * The scene of the proof: nothing that was acknowledged is lost, no wrong byte and no error reaches a writer on a raw device, ext4 or
 * XFS, whatever happens to the initiator, the network and the target; beside it what the kernel's own initiator makes of the same.
 */
export interface ProofScene {
  readonly host: KernelNbd;
  readonly targets: LoadTargets;
  readonly load: KernelLoad;
}

export const OURS = 'ours, nbd';
export const PEER = 'aoe.ko';

/** As often and as long as it takes to believe it: an hour for initiators that end, a quarter for each of the other two. */
export const IS_SOAK = (process.env['AOE_CSI_KERNEL_SOAK'] ?? '') !== '';

export async function withOurs(program: TargetProgram, run: (scene: ProofScene) => Promise<void>): Promise<void> {
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
export async function withPeer(
  program: TargetProgram,
  figure: (text: string) => void,
  run: (scene: ProofScene) => Promise<void>,
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
