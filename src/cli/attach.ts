import { Command, Option } from 'commander';
import { formatTargetAddress, type TargetAddress } from '../aoe/address.ts';
import { BACKEND_CHOICES } from '../initiator/attach/backend.ts';
import { ControlClient } from './control-client.ts';
import { EXIT_CODES_HELP } from './exit-codes.ts';
import { interfacesOption, jsonOption, parseCount, parseSeconds, parseTarget, socketOption, timeoutOption } from './options.ts';
import { withProgress } from './progress.ts';

interface Options {
  readonly socket: string;
  readonly json: boolean;
  readonly timeout: number;
  readonly attach?: string;
  readonly readOnly: boolean;
  readonly deadSeconds: number;
  readonly maxOutstanding?: number;
  readonly interfaces: readonly string[];
}

const HELP = `
Prints the device. Attaching what is attached already, with the same options, prints its device again.

Examples:
  aoe-csi attach e10.3                           /dev/nbd0, /dev/loop0, or the path of a unix socket
  mount "$(aoe-csi attach e10.3)" /mnt
  aoe-csi attach e10.3 --attach nbd-socket       an NBD server for qemu, nbdcopy, fio ...
  aoe-csi attach e10.3 --read-only --timeout 5
${EXIT_CODES_HELP}`;

/** `aoe-csi attach e10.3`: makes a target a block device here, and prints which. */
export function attachCommand(): Command {
  return new Command('attach')
    .description('make a target usable as a block device on this machine')
    .argument('<target>', 'address of the target, e<shelf>.<slot>', parseTarget)
    .addOption(
      new Option('--attach <backend>', "nbd, fuse, nbd-socket or auto (default: the initiator's)").choices(BACKEND_CHOICES),
    )
    .option('--read-only', 'refuse writes', false)
    .addOption(
      new Option('--dead-seconds <seconds>', 'fail I/O that a silent target has held for so long; 0 holds it for ever')
        .argParser(parseSeconds)
        .default(0),
    )
    .addOption(new Option('--max-outstanding <frames>', 'cap on unanswered frames (default: 128)').argParser(parseCount))
    .addOption(interfacesOption("use only these of the initiator's interfaces").default([], 'all'))
    .addOption(timeoutOption('give up when the target has not answered for so long', 30))
    .addOption(socketOption())
    .addOption(jsonOption())
    .addHelpText('after', HELP)
    .action(run);
}

async function run({ shelf, slot }: TargetAddress, options: Options): Promise<void> {
  const name = formatTargetAddress(shelf, slot);
  const interrupted = new AbortController();
  process.once('SIGINT', () => interrupted.abort());
  process.once('SIGTERM', () => interrupted.abort());
  const request = {
    shelf,
    slot,
    backend: options.attach ?? '',
    readOnly: options.readOnly,
    deadSeconds: options.deadSeconds,
    maxOutstanding: options.maxOutstanding ?? 0,
    interfaces: options.interfaces,
  };
  await ControlClient.use(options.socket, async (client) => {
    const describe = async (seconds: number): Promise<string> => {
      const waiting = (await client.listAttachments()).attachments.find((attachment) => attachment.name === name);
      return `attaching ${name}, ${seconds} s of ${options.timeout}: ${waiting?.reason ?? 'waiting'}`;
    };
    const { attachment, note } = await withProgress(describe, client.attach(request, options.timeout, interrupted.signal));
    if (options.json) {
      console.log(JSON.stringify(attachment));
      return;
    }
    if (note !== '') console.error(note);
    console.log(attachment.device);
  });
}
