import { Command } from 'commander';
import { formatTargetAddress, type TargetAddress } from '../aoe/address.ts';
import { ControlClient } from './control-client.ts';
import { EXIT_CODES_HELP } from './exit-codes.ts';
import { parseTarget, socketOption, timeoutOption } from './options.ts';
import { withProgress } from './progress.ts';

interface Options {
  readonly socket: string;
  readonly timeout: number;
  readonly force: boolean;
}

const HELP = `
A device that is mounted or open is left alone. Detaching what is not attached is no error.

Examples:
  aoe-csi detach e10.3
  aoe-csi detach e10.3 --force       the target is gone for good: fail what waits for it, take the device away. What its
                                     users have not written yet is lost, and a file system on it ends as after a power failure
${EXIT_CODES_HELP}`;

/** `aoe-csi detach e10.3`: takes the device away again. */
export function detachCommand(): Command {
  return new Command('detach')
    .description('take the device of a target away')
    .argument('<target>', 'address of the target, e<shelf>.<slot>', parseTarget)
    .option('--force', 'fail the I/O under way, and take the device away from under its users, who lose data', false)
    .addOption(timeoutOption('stop waiting for I/O to end after so long', 30))
    .addOption(socketOption())
    .addHelpText('after', HELP)
    .action(run);
}

async function run({ shelf, slot }: TargetAddress, { socket, timeout, force }: Options): Promise<void> {
  const name = formatTargetAddress(shelf, slot);
  await ControlClient.use(socket, async (client) => {
    const describe = (seconds: number): string => `detaching ${name}, ${seconds} s of ${timeout}: waiting for I/O to end`;
    const { note } = await withProgress(describe, client.detach({ shelf, slot, force }, timeout));
    console.error(note === '' ? `${name} is detached` : note);
  });
}
