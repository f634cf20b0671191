import { Command } from 'commander';
import type { InterfacesResponse } from '../initiator/control-messages.ts';
import { ControlClient } from './control-client.ts';
import { EXIT_CODES_HELP } from './exit-codes.ts';
import { jsonOption, socketOption, splitNames } from './options.ts';
import { formatTable } from './table.ts';

interface Options {
  readonly socket: string;
  readonly json: boolean;
}

const HELP = `
AoE goes over the listed interfaces and no others. Volumes keep their I/O on those that stay on the list.

Examples:
  aoe-csi interfaces                  which are allowed, and what state they are in
  aoe-csi interfaces set eth1 eth2    allow these from now on
  aoe-csi interfaces set 'san*'       all whose name begins with san, also those to come
  aoe-csi interfaces set --none       no AoE at all: volumes hold their I/O
${EXIT_CODES_HELP}`;

/** `aoe-csi interfaces [set …]`: shows or replaces the list of interfaces that may carry AoE. */
export function interfacesCommand(): Command {
  const command = new Command('interfaces')
    .description('show or set which interfaces may carry AoE')
    .addOption(socketOption())
    .addOption(jsonOption())
    .addHelpText('after', HELP)
    .action(async ({ socket, json }: Options) => {
      await ControlClient.use(socket, async (client) => print(await client.getInterfaces(), json));
    });
  command
    .command('set')
    .description('allow these interfaces, and no others')
    .argument('[names...]', 'names, or patterns with * and ?')
    .option('--none', 'allow none', false)
    .action(async (names: string[], options: { none: boolean }, set: Command) => {
      const patterns = names.flatMap(splitNames);
      if ((patterns.length === 0) !== options.none) set.error('error: name interfaces, or give --none', { exitCode: 2 });
      const { socket, json } = command.opts<Options>();
      await ControlClient.use(socket, async (client) => print(await client.setInterfaces(patterns), json));
    });
  return command;
}

function print(response: InterfacesResponse, json: boolean): void {
  const { patterns, interfaces } = response;
  if (json) {
    console.log(JSON.stringify(response));
    return;
  }
  console.error(patterns.length === 0 ? 'no interface may carry AoE' : `allowed: ${patterns.join(' ')}`);
  if (interfaces.length > 0) console.log(formatInterfaces(response));
}

function formatInterfaces({ interfaces }: InterfacesResponse): string {
  const columns = [
    ...[{ heading: 'INTERFACE' }, { heading: 'STATE' }, { heading: 'MAC' }],
    ...['MTU', 'SENT', 'RECEIVED', 'DROPPED'].map((heading) => ({ heading, right: true })),
    { heading: 'REASON' },
  ];
  const rows = interfaces.map((each) => [
    ...[each.name, each.state, each.mac],
    ...[each.mtu, each.framesSent, each.framesReceived, each.framesDropped].map(String),
    each.reason,
  ]);
  return formatTable(columns, rows);
}
