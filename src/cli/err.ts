import { Command } from 'commander';
import type { EventMessage } from '../initiator/control-messages.ts';
import { ControlClient } from './control-client.ts';
import { EXIT_CODES_HELP } from './exit-codes.ts';
import { jsonOption, socketOption } from './options.ts';

interface Options {
  readonly socket: string;
  readonly json: boolean;
  readonly follow: boolean;
}

const HELP = `
Prints the latest events and then new ones as they come, until Ctrl-C: what /dev/etherd/err is to the kernel's driver.

Examples:
  aoe-csi err
  aoe-csi err --no-follow
  aoe-csi err --json | jq -r 'select(.target == "e10.3") | .text'
${EXIT_CODES_HELP}`;

/** `aoe-csi err`: prints what has happened to targets, paths and interfaces, and follows it on request. */
export function errCommand(): Command {
  return new Command('err')
    .description('show what has happened to targets, paths and interfaces, and follow it')
    .option('--no-follow', 'print what there is and end')
    .addOption(socketOption())
    .addOption(jsonOption())
    .addHelpText('after', HELP)
    .action(run);
}

async function run({ socket, json, follow }: Options): Promise<void> {
  const interrupted = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => interrupted.abort());
  await ControlClient.use(socket, async (client) => {
    for await (const event of client.errors(follow, interrupted.signal)) console.log(json ? JSON.stringify(event) : line(event));
  });
}

function line({ time, kind, text }: EventMessage): string {
  return `${time} ${kind}: ${text}`;
}
