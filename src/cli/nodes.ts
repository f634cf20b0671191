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

Exit codes:
  0  there are nodes, and all are alive
  1  there is none, or one is not alive; or there is no such store
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
    .addOption(jsonOption())
    .addHelpText('after', HELP)
    .action(run);
}

async function run({ store: place, wait, json }: Options): Promise<void> {
  const store = await openExistingStore(place);
  try {
    const nodes = await looked(store, wait);
    const silent = nodes.filter(({ isAlive }) => !isAlive).map(({ record }) => record.nodeId);
    if (json) console.log(JSON.stringify(nodes.map(({ record, isAlive }) => ({ ...record, isAlive }))));
    else if (nodes.length > 0) console.log(formatTable(COLUMNS, nodes.map(rowOf)));
    if (nodes.length === 0) {
      throw new CommandFailure(EXIT_FAILED, 'no node has reported itself: see the log of a node plugin for what keeps it');
    }
    if (silent.length > 0) {
      throw new CommandFailure(EXIT_FAILED, `not alive: ${silent.join(', ')}; see whether machine and node plugin run there`);
    }
  } finally {
    await store.close();
  }
}

interface Node {
  readonly record: NodeRecord;
  readonly isAlive: boolean;
}

/** All nodes, as soon as there are some and all are alive, or when the time is over. */
async function looked(store: Store, waitSeconds: number): Promise<Node[]> {
  const liveness = new Liveness();
  const endMs = performance.now() + waitSeconds * 1_000;
  const look = async (): Promise<Node[]> => {
    for (;;) {
      const listed = await store.nodes.list();
      const nodes = listed.map(({ value: record }) => ({ record, isAlive: liveness.isAlive(record) }));
      const isGood = nodes.length > 0 && nodes.every(({ isAlive }) => isAlive);
      if (isGood || performance.now() + LOOK_MS > endMs) return nodes;
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
