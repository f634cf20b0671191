import { Command, Option } from 'commander';
import { formatTargetAddress, type TargetAddress } from '../aoe/address.ts';
import { isClusterId } from '../volumes/claim.ts';
import { releaseTarget, type ReleaseWipe } from '../volumes/release-target.ts';
import { CommandFailure, EXIT_USAGE } from './exit-codes.ts';
import { storeOption, withExistingStore } from './open-store.ts';
import { parseTarget } from './options.ts';

interface Options {
  readonly store: string;
  readonly clusterId: string;
  readonly wipe?: ReleaseWipe;
}

const HELP = `
A target whose config string holds a claim of this cluster, of a volume that nobody knows any more, is not used: its data may
be all that is left of something. The controller's log names it. When you know that nobody needs it, this gives it back: a node
looks whether its disk is blank, or wipes it with --wipe, and takes the claim off; then it is free for new volumes.

Examples:
  aoe-csi release e10.3 --store kubernetes --cluster-id lab
  aoe-csi release e10.3 --store kubernetes --cluster-id lab --wipe zero

Exit codes:
  0  a node does it as soon as it can
  1  failed: the store does not know the target, or there is no such store
  2  wrong usage
  5  it is no such target: it is free, a volume's, or somebody else's`;

/** `aoe-csi release e10.3`: a person's word that nobody needs a target whose volume is lost. */
export function releaseCommand(): Command {
  return new Command('release')
    .description('give a target back that has a claim of this cluster, and of no volume')
    .argument('<target>', 'address of the target, e<shelf>.<slot>', parseTarget)
    .addOption(storeOption())
    .addOption(
      new Option('--cluster-id <id>', 'this cluster, as the controller has it').env('AOE_CSI_CLUSTER_ID').makeOptionMandatory(),
    )
    .addOption(
      new Option('--wipe <how>', 'destroy what is on the disk; else it must be blank').choices(['headers', 'zero', 'discard']),
    )
    .addHelpText('after', HELP)
    .action(run);
}

async function run({ shelf, slot }: TargetAddress, { store: place, clusterId, wipe }: Options): Promise<void> {
  if (!isClusterId(clusterId)) {
    throw new CommandFailure(
      EXIT_USAGE,
      `cannot use '${clusterId}' as --cluster-id: give the one that the controller was started with`,
    );
  }
  const address = formatTargetAddress(shelf, slot);
  await withExistingStore({ store: place, clusterId }, async (store) => {
    const claim = await releaseTarget(store, clusterId, address, wipe);
    const how = wipe === undefined ? 'if its disk is blank' : `when it is wiped (${wipe})`;
    console.error(
      `${address}: a node takes claim ${claim} off the target ${how}; what comes of it stands in the target's record`,
    );
  });
}
