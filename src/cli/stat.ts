import { Command } from 'commander';
import { SECTOR_BYTES } from '../aoe/constants.ts';
import type { AttachmentMessage } from '../initiator/control-messages.ts';
import type { PathState, TargetReport } from '../initiator/messages.ts';
import { ControlClient } from './control-client.ts';
import { EXIT_CODES_HELP } from './exit-codes.ts';
import { jsonOption, socketOption } from './options.ts';
import { formatTable } from './table.ts';

interface Options {
  readonly socket: string;
  readonly json: boolean;
  readonly paths: boolean;
  readonly counters: boolean;
}

const HELP = `
Columns: target, size in GB (10^9 bytes), interfaces it answers on, bytes of data in a frame, state, device.
States: discovered (not attached), attaching, up, down (I/O is held), mismatch (another disk answers there; I/O is held),
fenced (reserved by another initiator), detaching.

Examples:
  aoe-csi stat
  aoe-csi stat --paths
  aoe-csi stat --json | jq '.targets[] | select(.state == "down") | .name'
  aoe-csi stat --counters
${EXIT_CODES_HELP}`;

export function statCommand(): Command {
  return new Command('stat')
    .description('show targets, their paths and their devices')
    .option('--paths', 'show each path of each target', false)
    .option('--counters', "show the initiator's counters instead", false)
    .addOption(socketOption())
    .addOption(jsonOption())
    .addHelpText('after', HELP)
    .action(run);
}

async function run({ socket, json, paths, counters }: Options): Promise<void> {
  await ControlClient.use(socket, async (client) => {
    if (counters) {
      const stat = await client.stat();
      console.log(json ? JSON.stringify(stat) : formatCounters(stat.counters));
      return;
    }
    const { targets } = await client.listTargets();
    const { attachments } = await client.listAttachments();
    if (json) console.log(JSON.stringify({ targets: targets.map(printable), attachments }));
    else if (targets.length === 0) console.error('no targets; see `aoe-csi interfaces` and `aoe-csi discover`');
    else console.log(paths ? formatPaths(targets) : formatTargets(targets, attachments));
  });
}

/** Also what `discover` prints. */
export function formatTargets(targets: readonly TargetReport[], attachments: readonly AttachmentMessage[]): string {
  const attached = new Map(attachments.map((attachment) => [attachment.name, attachment]));
  const columns = [
    { heading: 'TARGET' },
    { heading: 'SIZE', right: true },
    { heading: 'INTERFACES' },
    { heading: 'PAYLOAD', right: true },
    { heading: 'STATE' },
    { heading: 'DEVICE' },
  ];
  const rows = targets
    .toSorted(byAddress)
    .map((target) => [
      target.name,
      formatSize(target.sectors),
      [...new Set(target.paths.map((path) => path.interface))].join(','),
      String(Math.max(0, ...target.paths.map((path) => path.payloadBytes))),
      formatState(target, attached.get(target.name)?.link ?? ''),
      attached.get(target.name)?.device ?? '',
    ]);
  return formatTable(columns, rows);
}

function formatState({ state, reason }: TargetReport, link: string): string {
  const reasons = [reason, link === '' ? '' : `the device ${link}`].filter((text) => text !== '');
  return reasons.length === 0 ? state : `${state} (${reasons.join('; ')})`;
}

/** A report for JSON: bytes become base64. */
export function printable(target: TargetReport): object {
  return { ...target, configString: Buffer.from(target.configString).toString('base64') };
}

function formatPaths(targets: readonly TargetReport[]): string {
  const columns = [
    ...[{ heading: 'TARGET' }, { heading: 'INTERFACE' }, { heading: 'MAC' }, { heading: 'STANDING' }],
    ...['PAYLOAD', 'RTT', 'TIMEOUT', 'WINDOW', 'IN FLIGHT', 'SENT', 'RESENT', 'TIMEOUTS'].map((heading) => ({
      heading,
      right: true,
    })),
  ];
  const rows = targets.toSorted(byAddress).flatMap(({ name, paths }) => paths.map((path) => pathRow(name, path)));
  return formatTable(columns, rows);
}

function pathRow(name: string, path: PathState): string[] {
  const numbers = [path.window, path.inFlight, path.framesSent, path.framesResent, path.timeouts].map(String);
  const times = [path.roundTripUs, path.timeoutUs].map((us) => `${(us / 1000).toFixed(2)} ms`);
  return [name, path.interface, path.mac, path.standing || 'not attached', String(path.payloadBytes), ...times, ...numbers];
}

function formatCounters(counters: Readonly<Record<string, number>>): string {
  const rows = Object.entries(counters)
    .toSorted(([a], [b]) => a.localeCompare(b))
    .map(([name, value]) => [name, String(value)]);
  return formatTable([{ heading: 'COUNTER' }, { heading: 'VALUE', right: true }], rows);
}

/** As aoe-stat writes it: decimal gigabytes with three digits. */
function formatSize(sectors: number): string {
  return sectors === 0 ? '-' : `${((sectors * SECTOR_BYTES) / 1e9).toFixed(3)}GB`;
}

function byAddress(a: TargetReport, b: TargetReport): number {
  return a.shelf - b.shelf || a.slot - b.slot;
}
