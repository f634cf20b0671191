import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { measureCosts } from './costs.ts';
import { measureDataPath, SUBJECTS } from './data-path.ts';
import type { Row } from './row.ts';
import { soak } from './soak.ts';
import { WORKLOADS } from './workload.ts';

const HELP = `npm run bench -- SUITE [options]     needs root, and says what else it lacks

suites
  data-path       ours and its peers: throughput, ratios, processor time
  costs           ours alone: processor time per frame, system calls per request
  soak            both engines without a network: heap, allocation and time over many requests (needs no root)

options
  --seconds N     length of a sample (default 2)
  --rounds N      samples of each subject on each workload (default 5)
  --json FILE     writes the rows {suite, workload, subject, value, unit} there
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
      requests: { type: 'string', default: '10000000' },
      help: { type: 'boolean', default: false },
    },
  });
  const suite = positionals[0];
  if (values.help || !['data-path', 'costs', 'soak'].includes(suite)) {
    console.log(HELP);
    return values.help ? 0 : EXIT_USAGE;
  }
  const say = (text: string): void => console.log(text);
  const mtus = values.mtu.split(',').map((mtu) => positive('--mtu', mtu));
  let rows: Row[];
  if (suite === 'soak') {
    rows = mtus.flatMap((mtu) => soak({ requests: positive('--requests', values.requests), mtu, say }));
  } else {
    if (process.getuid?.() !== 0) throw new Error('network namespaces and packet sockets need root; run it as root');
    const names = values.subject.split(',').filter(Boolean);
    const common = {
      seconds: positive('--seconds', values.seconds),
      rounds: positive('--rounds', values.rounds),
      mtus,
      workloads: WORKLOADS.filter((workload) => workload.name.includes(values.workload)),
      say,
    };
    const subjects = SUBJECTS.filter((subject) => names.length === 0 || names.includes(subject.name));
    rows =
      suite === 'costs'
        ? await measureCosts(common)
        : await measureDataPath({ ...common, subjects, offload: !values['no-offload'] });
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
