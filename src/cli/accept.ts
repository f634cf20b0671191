import { Command } from 'commander';
import { formatTargetAddress, type TargetAddress } from '../aoe/address.ts';
import { acceptDisk } from '../volumes/accept-disk.ts';
import { Liveness } from '../volumes/liveness.ts';
import { storeOption, withExistingStore } from './open-store.ts';
import { parseTarget } from './options.ts';

interface Options {
  readonly store: string;
}

const HELP = `
A volume whose disk is not as the last node left it is not staged: it might be another disk, or an older state of it. When you
know better, because you have restored a backup to it, repaired or replaced it, say so with this command: what the disk held
before is forgotten, and so is which one it was when live nodes now see another one there. The next node takes it as it finds it.
The volume must not be published: stop its pods first. Of a volume that was deleted, the disk that is there now is wiped.

Examples:
  aoe-csi accept e10.3 --store /var/lib/aoe-csi/store

Exit codes:
  0  done, or there was nothing to forget
  1  failed: there is no such volume, or no such store
  2  wrong usage
  5  the volume is published, nodes see different disks, or the disk is too small`;

/** `aoe-csi accept e10.3`: a person's word that the disk of a volume is right as it is. */
export function acceptCommand(): Command {
  return new Command('accept')
    .description('say that the disk of a volume is right as it is, though not as it was left')
    .argument('<target>', 'address of the target, e<shelf>.<slot>', parseTarget)
    .addOption(storeOption())
    .addHelpText('after', HELP)
    .action(run);
}

async function run({ shelf, slot }: TargetAddress, options: Options): Promise<void> {
  const address = formatTargetAddress(shelf, slot);
  await withExistingStore(options, async (store) => {
    const liveness = new Liveness();
    const live = (await store.nodes.list()).map(({ value }) => value).filter((node) => liveness.isAlive(node));
    const { fingerprint, identity } = await acceptDisk(store, address, live);
    if (identity !== undefined) {
      console.error(
        `${address}: another disk is there now; that it was serial '${identity.serial}', model '${identity.model}', is forgotten`,
      );
    }
    const known =
      fingerprint &&
      `what node ${fingerprint.nodeId} left there at ${new Date(fingerprint.takenAtMs).toISOString()} is forgotten`;
    console.error(`${address}: ${known ?? 'nothing was known of what it holds'}; it is taken as it is when it is staged next`);
  });
}
