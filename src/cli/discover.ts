import { setTimeout as sleep } from 'node:timers/promises';
import { Command, Option } from 'commander';
import { ControlClient } from './control-client.ts';
import { EXIT_CODES_HELP } from './exit-codes.ts';
import { jsonOption, parseSeconds, socketOption } from './options.ts';
import { formatTargets, printable } from './stat.ts';

interface Options {
  readonly socket: string;
  readonly json: boolean;
  readonly wait: number;
}

const HELP = `
Asks on every allowed interface, waits a moment and lists who has answered, now or earlier.

Examples:
  aoe-csi discover
  aoe-csi discover --wait 3 --json
${EXIT_CODES_HELP}`;

/** `aoe-csi discover`: asks all targets to say that they are there, and prints those that do. */
export function discoverCommand(): Command {
  return new Command('discover')
    .description('ask which targets are there, and list them')
    .addOption(new Option('--wait <seconds>', 'how long to wait for answers').argParser(parseSeconds).default(0.5))
    .addOption(socketOption())
    .addOption(jsonOption())
    .addHelpText('after', HELP)
    .action(run);
}

async function run({ socket, json, wait }: Options): Promise<void> {
  await ControlClient.use(socket, async (client) => {
    const { interfaces } = await client.getInterfaces();
    const unused = interfaces.filter(({ state }) => state !== 'up');
    if (interfaces.length === 0) console.error('no interface may carry AoE; allow some: aoe-csi interfaces set <names>');
    for (const { name, state, reason } of unused) console.error(`interface ${name} is ${state}: ${reason}`);
    await client.discover();
    await sleep(wait * 1000);
    const { targets } = await client.listTargets();
    const { attachments } = await client.listAttachments();
    if (json) console.log(JSON.stringify({ targets: targets.map(printable) }));
    else if (targets.length === 0) console.error(`no target has answered within ${wait} s`);
    else console.log(formatTargets(targets, attachments));
  });
}
