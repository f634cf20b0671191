/**
 * `npm run test:kernel`: runs the cases of test/kernel/cases inside Debian's kernels. Exit code 0 when none failed, 1 when one did, 2
 * when the command line is wrong.
 */
import { readdirSync } from 'node:fs';
import { availableParallelism, totalmem } from 'node:os';
import { parseArgs } from 'node:util';
import { pathOf } from '../../support/repository.ts';
import { provideArm64 } from './arm64-root.ts';
import { kernelCache } from './cache.ts';
import { provideKernel, SERIES, type Kernel, type Series } from './kernels.ts';
import { Report } from './report.ts';
import { MEMORY_MIB, runSuite } from './suite.ts';

/** One kernel after the other. */
const BOTH = 'both';
const DEFAULT_SERIES: Series = '6.12';
const ARCHITECTURES = ['x64', 'arm64'] as const;
/** Debian 12's own. */
const ARM64_SERIES: Series = '6.1';

/** One for each processor, in not more than half of the memory. */
const GUESTS = Math.max(1, Math.min(availableParallelism(), Math.floor(totalmem() / 2 / (MEMORY_MIB * 2 ** 20))));

const HELP = `npm run test:kernel -- [--kernel ${[...SERIES, BOTH].join('|')}] [--arch ${ARCHITECTURES.join('|')}] [--guests N] [PATTERN …]

  --kernel SERIES  which of Debian's kernels (default: AOE_CSI_KERNEL, else ${DEFAULT_SERIES})
  --arch NAME      the processor (default: x64); arm64, whose files are fetched first, has kernel ${ARM64_SERIES} only
  --guests N       guests beside each other, of 4 GiB each (default here: ${String(GUESTS)})
  PATTERN          only files of test/kernel/cases whose name holds one of these`;

const EXIT_USAGE = 2;
const CASES = 'dist/test/kernel/cases';

interface Order {
  readonly arch: (typeof ARCHITECTURES)[number];
  readonly series: readonly Series[];
  readonly files: readonly string[];
  readonly guests: number;
}

/** What the command line asks for; throws an Error that says what is wrong with it. */
function readOrder(args: string[]): Order | undefined {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      kernel: { type: 'string' },
      arch: { type: 'string', default: 'x64' },
      guests: { type: 'string', default: String(GUESTS) },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return undefined;
  const arch = ARCHITECTURES.find((each) => each === values.arch);
  if (arch === undefined) throw new Error(`--arch ${values.arch}: there are ${ARCHITECTURES.join(', ')}`);
  const byDefault = arch === 'arm64' ? ARM64_SERIES : process.env['AOE_CSI_KERNEL'] || DEFAULT_SERIES;
  const given = values.kernel ?? byDefault;
  if (arch === 'arm64' && given !== ARM64_SERIES) throw new Error(`--kernel ${given}: for arm64 there is ${ARM64_SERIES} only`);
  const series = SERIES.filter((each) => given === each || given === BOTH);
  if (series.length === 0)
    throw new Error(`no kernel ${given} (--kernel, AOE_CSI_KERNEL): there are ${SERIES.join(', ')}, ${BOTH}`);
  const guests = Number(values.guests);
  if (!Number.isInteger(guests) || guests < 1) throw new Error(`--guests ${values.guests}: give a whole number from 1`);
  const names = readdirSync(pathOf(CASES)).filter((name) => name.endsWith('.js'));
  const chosen = names.filter((name) => positionals.length === 0 || positionals.some((pattern) => name.includes(pattern)));
  if (chosen.length === 0) throw new Error(`no file of test/kernel/cases is named like ${positionals.join(' or ')}`);
  return { arch, series, files: chosen.map((name) => `${CASES}/${name}`), guests };
}

async function main(): Promise<number> {
  let order: Order | undefined;
  try {
    order = readOrder(process.argv.slice(2));
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${HELP}`);
    return EXIT_USAGE;
  }
  if (order === undefined) {
    console.log(HELP);
    return 0;
  }
  if (process.arch !== 'x64')
    throw new Error(`kernel guests are x86-64, and share the programs of this machine, which is ${process.arch}`);
  const report = new Report((text) => console.log(text), process.env['CI'] === 'true');
  const cache = kernelCache();
  for (const series of order.series) {
    const say = (text: string): void => console.error(text);
    const kernel: Kernel = order.arch === 'arm64' ? provideArm64(cache, say) : provideKernel(series, cache, say);
    await runSuite(kernel, order.files, order.guests, report);
  }
  console.log(report.summary());
  return report.failed === 0 ? 0 : 1;
}

process.exitCode = await main();
