import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { measureCosts } from './costs.ts';
import { measureDataPath, SUBJECTS } from './data-path.ts';
import { WORKLOADS } from './workload.ts';

const HELP = `npm run bench -- SUITE [options]     needs root, and says what else it lacks

suites
  data-path       ours and its peers: throughput, ratios, processor time
  costs           ours alone: processor time per frame, system calls per request

options
  --seconds N     length of a sample (default 2)
  --rounds N      samples of each subject on each workload (default 5)
  --json FILE     writes the rows {suite, workload, subject, value, unit} there
  --mtu LIST      default 1500,9000
  --workload TEXT only workloads whose name holds TEXT:
                  ${WORKLOADS.map((workload) => workload.name).join(', ')}
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
      help: { type: 'boolean', default: false },
    },
  });
  const suite = positionals[0];
  if (values.help || (suite !== 'data-path' && suite !== 'costs')) {
    console.log(HELP);
    return values.help ? 0 : EXIT_USAGE;
  }
  if (process.getuid?.() !== 0) {
    console.error('bench: network namespaces and packet sockets need root; run it as root');
    return 1;
  }
  const names = values.subject.split(',').filter(Boolean);
  const common = {
    seconds: positive('--seconds', values.seconds),
    rounds: positive('--rounds', values.rounds),
    mtus: values.mtu.split(',').map((mtu) => positive('--mtu', mtu)),
    workloads: WORKLOADS.filter((workload) => workload.name.includes(values.workload)),
    say: (text: string) => console.log(text),
  };
  const subjects = SUBJECTS.filter((subject) => names.length === 0 || names.includes(subject.name));
  const rows = suite === 'costs' ? await measureCosts(common) : await measureDataPath({ ...common, subjects });
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
