import { Command } from 'commander';
import type { TargetAddress } from '../aoe/address.ts';
import { ControlClient } from './control-client.ts';
import { EXIT_CODES_HELP } from './exit-codes.ts';
import { jsonOption, parseTarget, socketOption, timeoutOption } from './options.ts';

interface Options {
  readonly socket: string;
  readonly json: boolean;
  readonly timeout: number;
}

const HELP = `
For devices of backend nbd; others are detached and attached again. What is on the device is grown after that, by its own program.
The target is asked how large it is now. A device never becomes smaller; one that has all of its target already is no error.

Examples:
  aoe-csi grow e10.3
  resize2fs "$(aoe-csi grow e10.3)"
${EXIT_CODES_HELP}`;

/** `aoe-csi grow e10.3`: lets a device in use have all of its target, which has become larger, and prints which device it is. */
export function growCommand(): Command {
  return new Command('grow')
    .description('let a device in use have all of its target, which has become larger')
    .argument('<target>', 'address of the target, e<shelf>.<slot>', parseTarget)
    .addOption(timeoutOption('give up after so long', 30))
    .addOption(socketOption())
    .addOption(jsonOption())
    .addHelpText('after', HELP)
    .action(run);
}

async function run(target: TargetAddress, { socket, json, timeout }: Options): Promise<void> {
  await ControlClient.use(socket, async (client) => {
    const { attachment, note } = await client.grow(target, timeout);
    console.error(note);
    console.log(json ? JSON.stringify(attachment) : attachment.device);
  });
}
