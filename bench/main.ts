import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { measureCosts } from './costs.ts';
import { measureDataPath, SUBJECTS } from './data-path.ts';
import { measureRestarts } from './restart.ts';
import type { Row } from './row.ts';
import { soak } from './soak.ts';
import { measureStarts } from './start.ts';
import { describeSetting } from './support/setting.ts';
import { WORKLOADS } from './workload.ts';

const HELP = `npm run bench -- SUITE [options]     needs root, and says what else it lacks

suites
  data-path       ours and its peers: throughput, ratios, processor time
  costs           ours alone: processor time per frame, system calls per request
  restart         ours alone: how long a write waits after its target serves again
  start           ours alone: how long a daemon takes to start, as emitted and as a bundle
  soak            both engines without a network: heap, allocation and time over many requests (needs no root)

Tables go to standard output, as Markdown; progress goes to standard error.

options
  --seconds N     length of a sample (default 2)
  --rounds N      samples of each subject on each workload (default 5)
  --json FILE     writes the rows {suite, workload, subject, value, unit} there
  --patience N    seconds to wait, before each sample of data-path, for a calm machine (default 3)
  --mtu LIST      default 1500,9000
  --no-offload    the TCP peers send packets of the MTU, not 64 KiB at a time
  --workload TEXT only workloads whose name holds TEXT:
                  ${WORKLOADS.map((workload) => workload.name).join(', ')}
  --requests N    length of a soak (default 10000000)
  --subject LIST  only these subjects, separated by commas:
                  ${SUBJECTS.map((subject) => subject.name).join(', ')}
`;

const EXIT_USAGE = 2;

/** Composition root of the benches: options in, tables to standard output, rows to a file. Exit code 2: wrong words. */
async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      seconds: { type: 'string', default: '2' },
      rounds: { type: 'string', default: '5' },
      json: { type: 'string' },
      mtu: { type: 'string', default: '1500,9000' },
      workload: { type: 'string', default: '' },
      subject: { type: 'string', default: '' },
      'no-offload': { type: 'boolean', default: false },
      patience: { type: 'string', default: '3' },
      requests: { type: 'string', default: '10000000' },
      help: { type: 'boolean', default: false },
    },
  });
  const suite = positionals[0];
  if (values.help || !['data-path', 'costs', 'restart', 'start', 'soak'].includes(suite)) {
    console.log(HELP);
    return values.help ? 0 : EXIT_USAGE;
  }
  const print = (text: string): void => console.log(text);
  const progress = (text: string): void => console.error(text);
  const mtus = values.mtu.split(',').map((mtu) => positive('--mtu', mtu));
  const rows: Row[] = [];
  if (suite !== 'soak' && process.getuid?.() !== 0) {
    throw new Error('network namespaces and packet sockets need root; run it as root');
  }
  print(describeSetting(new Date()));
  if (suite === 'soak') {
    const requests = positive('--requests', values.requests);
    for (const mtu of mtus) rows.push(...soak({ requests, mtu, print, progress }));
  } else if (suite === 'restart') {
    rows.push(...(await measureRestarts({ rounds: positive('--rounds', values.rounds), print, progress })));
  } else if (suite === 'start') {
    rows.push(...(await measureStarts({ rounds: positive('--rounds', values.rounds), print, progress })));
  } else {
    const names = values.subject.split(',').filter(Boolean);
    const seconds = positive('--seconds', values.seconds);
    const rounds = positive('--rounds', values.rounds);
    const workloads = WORKLOADS.filter((workload) => workload.name.includes(values.workload));
    const common = { seconds, rounds, mtus, workloads, print, progress };
    if (suite === 'costs') rows.push(...(await measureCosts(common)));
    else {
      const subjects = SUBJECTS.filter((subject) => names.length === 0 || names.includes(subject.name));
      const patienceSeconds = Number(values.patience);
      for await (const report of measureDataPath({ ...common, subjects, patienceSeconds, offload: !values['no-offload'] })) {
        print(`\n${report.text()}`);
        rows.push(...report.rows());
      }
    }
  }
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(rows, undefined, 2)}\n`);
  return 0;
}

function positive(option: string, text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new Error(`${option} ${text}: a number above 0 is needed`);
  return value;
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(`bench: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}
