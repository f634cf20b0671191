import { Command, InvalidArgumentError, Option } from 'commander';
import { formatMac, parseMac, targetKey, type Mac } from '../aoe/address.ts';
import type { Logger, LogLevel } from '../logging/logger.ts';
import { INJECTED_ERRORS, type FaultOptions, type InjectedErrorKind } from '../target/faults.ts';
import {
  BUFFER_COUNT_DEFAULT,
  BUFFER_COUNT_MAX,
  EXPORTS_MAX,
  openTarget,
  type ExportOptions,
  type RunningTarget,
} from '../target/open-target.ts';
import { LIST_ENTRIES_MAX } from '../target/state.ts';
import { FRAME_SECTORS_MAX } from '../target/target-port.ts';
import { daemonLogger } from './daemon-logger.ts';
import { CommandFailure, EXIT_USAGE } from './exit-codes.ts';
import { interfacesOption, logLevelOption, parseCount, parseTarget, splitNames } from './options.ts';
import { version } from './version.ts';

interface Options {
  readonly interfaces: readonly string[];
  readonly buffers: number;
  readonly sectors?: number;
  readonly mask: readonly Mac[];
  readonly stateDir?: string;
  readonly forgetState: boolean;
  readonly volatileCache: boolean;
  readonly delay?: readonly [delayMs: number, jitterMs: number];
  readonly slow?: number;
  readonly loss?: number;
  readonly duplicate?: number;
  readonly error?: readonly [probability: number, kind: InjectedErrorKind];
  readonly dropLarge?: number;
  readonly seed: number;
  readonly logLevel: LogLevel;
}

/** How long the server may look after its sockets before the process looks after its signals. */
const SLICE_MS = 100;
/** Longest delay or service time: beyond it a target is simply gone. */
const MILLISECONDS_MAX = 60_000;

const HELP = `
Exports are written <address>=<path>[,ro][,serial=<text>]: address e<shelf>.<slot>, path of a file or block device. Every
export is served on every interface. A file is made first, for example with: truncate -s 1G disk.img

A write is acknowledged when the kernel has it, and durable after the FLUSH that follows: a crash of this machine in between
may lose it. Config string, MAC mask, reserve list and serial are kept in <path>.aoe, or in --state-dir as e10.3.json, and are
saved before they are answered. A file that grows is noticed when an initiator asks for its identity.

Runs in the foreground, prints what it serves to standard output and logs lines of JSON to standard error. SIGTERM and Ctrl-C
end it. SIGUSR1 does to --volatile-cache what a power failure does.

Examples:
  aoe-csi target --interfaces eth1 e10.3=disk.img
  aoe-csi target --interfaces eth1,eth2 e10.3=disk.img,ro e10.4=/dev/sdb --state-dir /var/lib/aoe-csi --buffers 64
  aoe-csi target --interfaces veth1 e10.3=disk.img --delay 5,20 --loss 0.01 --duplicate 0.01 --seed 7

Exit codes:
  0  ended by a signal
  1  failed
  2  wrong usage`;

export function targetCommand(): Command {
  const command = new Command('target')
    .description('serve files or block devices as AoE targets')
    .argument('<export...>', 'what to serve, and where: e10.3=disk.img', collectExport)
    .addOption(interfacesOption('interfaces to serve on, separated by commas'))
    .addOption(
      new Option('--buffers <count>', 'requests that an initiator may have under way; more are dropped')
        .argParser(countUpTo(BUFFER_COUNT_MAX))
        .default(BUFFER_COUNT_DEFAULT),
    )
    .addOption(
      new Option('--sectors <count>', 'sectors per frame, where the MTU would allow more').argParser(
        countUpTo(FRAME_SECTORS_MAX),
      ),
    )
    .addOption(
      new Option('--mask <macs>', 'MAC addresses that may use exports without saved state, separated by commas')
        .argParser(parseMacs)
        .default([], 'everybody'),
    )
    .addOption(new Option('--state-dir <path>', 'folder for saved state; needed for block devices (default: beside each file)'))
    .addOption(
      new Option('--forget-state', 'keep config string, mask and reserve list in memory only, as vblade does')
        .default(false)
        .conflicts('stateDir'),
    )
    .addOption(logLevelOption())
    .addHelpText('after', HELP)
    .action(run);
  addFaultOptions(command);
  return command;
}

function addFaultOptions(command: Command): void {
  const kinds = Object.keys(INJECTED_ERRORS).join(', ');
  const group = 'Faults, for tests:';
  const faults = [
    new Option('--volatile-cache', 'keep writes in memory until they are flushed; a kill loses them').default(false),
    new Option('--delay <ms[,jitter]>', 'carry requests out later, by up to <jitter> more').argParser(parseDelay),
    new Option('--slow <ms>', 'a slow disk: each ATA command takes this long, one after another').argParser(parseMilliseconds),
    new Option('--loss <p>', 'lose frames, in each direction, with probability 0 to 1').argParser(parseProbability),
    new Option('--duplicate <p>', 'carry requests out twice').argParser(parseProbability),
    new Option('--error <p[:kind]>', `answer ATA commands with an error: ${kinds} (default unc)`).argParser(parseError),
    new Option('--drop-large <bytes>', 'lose frames longer than this, as a switch with a smaller MTU does').argParser(parseCount),
    new Option('--seed <n>', 'the same seed and traffic give the same faults').argParser(parseCount).default(1),
  ];
  for (const option of faults) command.addOption(option.helpGroup(group));
}

async function run(exports: readonly ExportOptions[], options: Options): Promise<void> {
  requireSense(exports, options);
  const logger = daemonLogger(options.logLevel);
  const target = openTarget(
    {
      interfaces: [...new Set(options.interfaces)],
      exports,
      bufferCount: options.buffers,
      sectorsPerFrame: options.sectors,
      mask: options.mask,
      stateFolder: options.stateDir,
      forgetState: options.forgetState,
      volatileCache: options.volatileCache,
      faults: faultsOf(options),
      firmware: version(),
    },
    logger,
  );
  describe(target);
  await serve(target, logger);
}

/** Serves until a signal ends it. One turn of Node's own loop after each slice delivers the signals. */
async function serve({ server, caches }: RunningTarget, logger: Logger): Promise<void> {
  let stopSignal: string | undefined;
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => (stopSignal = signal));
  // Node would start its debugger on this signal; it leaves it to whoever listens.
  process.on('SIGUSR1', () => {
    for (const cache of caches) logger.warn(`${cache.name}: lost ${cache.lose()} sectors that were not flushed`);
  });
  while (stopSignal === undefined) {
    server.run(SLICE_MS);
    await new Promise((done) => setImmediate(done));
  }
  for (const { name, counters, socket } of server.ports) {
    const dropped = socket?.statistics().dropped ?? 0;
    const { received, sent, dropped: unsent, tooLong } = counters;
    logger.info(`${name}: ${received} frames received, ${dropped} dropped; ${sent} sent, ${unsent + tooLong} could not be sent`);
  }
  server.close();
  logger.info(`${stopSignal}: stopped`);
}

function describe({ server }: RunningTarget): void {
  for (const { name, serial, mask, backing } of server.devices) {
    const { sectors, readOnly, canTrim } = backing;
    const size = `${sectors} sectors (${(sectors / 2048).toFixed(1)} MiB)`;
    const notes = [readOnly ? 'read-only' : 'read-write', canTrim ? 'trim' : 'no trim', `serial ${serial}`];
    if (mask.length > 0) notes.push(`only for ${mask.map(formatMac).join(' ')}`);
    console.log(`${name}  ${backing.name}  ${size}, ${notes.join(', ')}`);
  }
  const ports = server.ports.map(({ name, mtu, mac, up, sectorsPerFrame }) => {
    return `${name} (${formatMac(mac)}, MTU ${mtu}, ${sectorsPerFrame} sectors per frame${up ? '' : ', down'})`;
  });
  console.log(`serving ${server.devices.map(({ name }) => name).join(', ')} on ${ports.join(', ')}`);
}

/** What can't be said of one option alone. */
function requireSense(exports: readonly ExportOptions[], { interfaces, stateDir, forgetState }: Options): void {
  if (interfaces.length === 0) {
    throw new CommandFailure(EXIT_USAGE, 'no interface to serve on: name at least one with --interfaces');
  }
  if (exports.length > EXPORTS_MAX) {
    throw new CommandFailure(EXIT_USAGE, `${exports.length} exports are too many for one process: at most ${EXPORTS_MAX}`);
  }
  const seen = new Set<number>();
  for (const { address, path } of exports) {
    const key = targetKey(address.shelf, address.slot);
    if (seen.has(key)) throw new CommandFailure(EXIT_USAGE, `two exports have the address of ${path}: give each its own`);
    seen.add(key);
    if (path.startsWith('/dev/') && stateDir === undefined && !forgetState) {
      throw new CommandFailure(EXIT_USAGE, `${path} has no place beside it for its state: add --state-dir, or --forget-state`);
    }
  }
}

/** Undefined when nothing is to go wrong: then frames take the short way. */
function faultsOf({ delay, slow, loss, duplicate, error, dropLarge, seed }: Options): FaultOptions | undefined {
  if ([delay, slow, loss, duplicate, error, dropLarge].every((option) => option === undefined)) return undefined;
  return {
    seed,
    ...(delay && { delayMs: delay[0], jitterMs: delay[1] }),
    ...(slow !== undefined && { slowMs: slow }),
    ...(loss !== undefined && { loss }),
    ...(duplicate !== undefined && { duplicate }),
    ...(error && { error: error[0], errorKind: error[1] }),
    ...(dropLarge !== undefined && { dropLargeBytes: dropLarge }),
  };
}

/** `e10.3=/path,ro,serial=X`. A comma belongs to the path unless what follows it is a word of ours. */
export function parseExport(text: string): ExportOptions {
  const [, addressText, rest] = /^([^=]*)=(.+)$/.exec(text) ?? [];
  if (addressText === undefined || rest === undefined) {
    throw new InvalidArgumentError(`'${text}' is no export; write <address>=<path>, for example e10.3=disk.img`);
  }
  const words = rest.split(',');
  let readOnly = false;
  let serial: string | undefined;
  for (let word = words.at(-1); words.length > 1 && word !== undefined; word = words.at(-1)) {
    if (word === 'ro') readOnly = true;
    else if (/^serial=[!-~]{1,20}$/.test(word)) serial = word.slice('serial='.length);
    else break;
    words.pop();
  }
  return { address: parseTarget(addressText), path: words.join(','), readOnly, serial };
}

function collectExport(text: string, before: readonly ExportOptions[] | undefined): ExportOptions[] {
  return [...(before ?? []), parseExport(text)];
}

function parseMacs(text: string): Mac[] {
  const names = splitNames(text);
  if (names.length > LIST_ENTRIES_MAX) throw new InvalidArgumentError(`A mask has at most ${LIST_ENTRIES_MAX} addresses.`);
  try {
    return names.map(parseMac);
  } catch (error) {
    throw new InvalidArgumentError((error as Error).message);
  }
}

function countUpTo(most: number): (text: string) => number {
  return (text) => {
    const count = parseCount(text);
    if (count > most) throw new InvalidArgumentError(`Give a whole number from 1 to ${most}.`);
    return count;
  };
}

function parseMilliseconds(text: string): number {
  const milliseconds = Number(text);
  if (text.trim() === '' || !(milliseconds >= 0 && milliseconds <= MILLISECONDS_MAX)) {
    throw new InvalidArgumentError(`Give milliseconds, 0 to ${MILLISECONDS_MAX}.`);
  }
  return milliseconds;
}

function parseDelay(text: string): [delayMs: number, jitterMs: number] {
  const [delay, jitter = '0', ...more] = text.split(',');
  if (more.length > 0) throw new InvalidArgumentError('Give one or two numbers, for example 5,20.');
  return [parseMilliseconds(delay), parseMilliseconds(jitter)];
}

function parseProbability(text: string): number {
  const probability = Number(text);
  if (text.trim() === '' || !(probability >= 0 && probability <= 1)) {
    throw new InvalidArgumentError('Give a probability, 0 to 1, for example 0.01.');
  }
  return probability;
}

function parseError(text: string): [probability: number, kind: InjectedErrorKind] {
  const [probability, kind = 'unc'] = text.split(':');
  if (!Object.hasOwn(INJECTED_ERRORS, kind)) {
    throw new InvalidArgumentError(`Kinds of error are ${Object.keys(INJECTED_ERRORS).join(', ')}; for example 0.01:abrt.`);
  }
  return [parseProbability(probability), kind as InjectedErrorKind];
}
