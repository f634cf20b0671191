import { setTimeout as sleep } from 'node:timers/promises';
import { Command, Option } from 'commander';
import { Liveness } from '../volumes/liveness.ts';
import type { NodeRecord } from '../volumes/records.ts';
import type { Store } from '../volumes/store.ts';
import { CommandFailure, EXIT_FAILED } from './exit-codes.ts';
import { openExistingStore, storeOption } from './open-store.ts';
import { jsonOption, parseSeconds } from './options.ts';
import { withProgress } from './progress.ts';
import { formatTable } from './table.ts';

interface Options {
  readonly store: string;
  readonly wait: number;
  readonly unused: boolean;
  readonly json: boolean;
}

const LOOK_MS = 1_000;
const COLUMNS = [
  { heading: 'NODE' },
  { heading: 'ALIVE' },
  { heading: 'INTERFACES' },
  { heading: 'SEES', right: true },
  { heading: 'STAGED', right: true },
  { heading: 'MAX', right: true },
];

const HELP = `
Columns: node, whether its plugin has said in the last two and a half minutes that it lives, its interfaces on storage networks,
how many targets it sees, how many volumes it has staged, and how many it may have.

Examples:
  aoe-csi nodes --store kubernetes
  aoe-csi nodes --store kubernetes:aoe-csi --wait 60
  aoe-csi nodes --store kubernetes:aoe-csi --unused

Exit codes:
  0  there are nodes, and all are alive; with --unused: no volume is staged on any
  1  that is not so; or there is no such store
  2  wrong usage`;

/** `aoe-csi nodes`: which nodes have reported themselves, and whether they live. */
export function nodesCommand(): Command {
  return new Command('nodes')
    .description('show which nodes have reported themselves, and whether they live')
    .addOption(storeOption())
    .addOption(
      new Option('--wait <seconds>', 'wait so long for nodes, and for all of them to be alive')
        .argParser(parseSeconds)
        .default(0),
    )
    .addOption(
      new Option('--unused', 'be content with no nodes and dead ones, but not with a volume that is staged').default(false),
    )
    .addOption(jsonOption())
    .addHelpText('after', HELP)
    .action(run);
}

async function run({ store: place, wait, unused, json }: Options): Promise<void> {
  const store = await openExistingStore(place);
  try {
    const complaint = unused ? useOf : absenceOf;
    const nodes = await looked(store, wait, complaint);
    if (json) console.log(JSON.stringify(nodes.map(({ record, isAlive }) => ({ ...record, isAlive }))));
    else if (nodes.length > 0) console.log(formatTable(COLUMNS, nodes.map(rowOf)));
    const failure = complaint(nodes);
    if (failure !== undefined) throw new CommandFailure(EXIT_FAILED, failure);
  } finally {
    await store.close();
  }
}

interface Node {
  readonly record: NodeRecord;
  readonly isAlive: boolean;
}

type Complaint = (nodes: readonly Node[]) => string | undefined;

function absenceOf(nodes: readonly Node[]): string | undefined {
  if (nodes.length === 0) return 'no node has reported itself: see the log of a node plugin for what keeps it';
  const silent = nodes.filter(({ isAlive }) => !isAlive).map(({ record }) => record.nodeId);
  if (silent.length === 0) return undefined;
  return `not alive: ${silent.join(', ')}; see whether machine and node plugin run there`;
}

function useOf(nodes: readonly Node[]): string | undefined {
  const used = nodes.flatMap(({ record }) => Object.keys(record.staged).map((volume) => `${volume} on ${record.nodeId}`));
  return used.length === 0 ? undefined : `in use: ${used.join(', ')}; end the pods that use them`;
}

/** All nodes, as soon as there is nothing to complain of, or when the time is over. */
async function looked(store: Store, waitSeconds: number, complaint: Complaint): Promise<Node[]> {
  const liveness = new Liveness();
  const endMs = performance.now() + waitSeconds * 1_000;
  const look = async (): Promise<Node[]> => {
    for (;;) {
      const listed = await store.nodes.list();
      const nodes = listed.map(({ value: record }) => ({ record, isAlive: liveness.isAlive(record) }));
      if (complaint(nodes) === undefined || performance.now() + LOOK_MS > endMs) return nodes;
      await sleep(LOOK_MS);
    }
  };
  return withProgress((seconds) => `waiting for nodes since ${seconds} s`, look());
}

function rowOf({ record, isAlive }: Node): string[] {
  const { nodeId, interfaces, targets, staged, volumesMax } = record;
  const counts = [Object.keys(targets).length, Object.keys(staged).length, volumesMax].map(String);
  return [nodeId, isAlive ? 'yes' : 'no', interfaces.length === 0 ? '-' : interfaces.join(','), ...counts];
}
