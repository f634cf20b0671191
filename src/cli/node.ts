import { hostname } from 'node:os';
import { resolve } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { DEFAULT_DRIVER_NAME, isDriverName } from '../csi/driver-name.ts';
import { socketPathOf } from '../csi/endpoint.ts';
import type { Logger, LogLevel } from '../logging/logger.ts';
import { NodePlugin } from '../node/node-plugin.ts';
import { awaitState, lockState } from '../node/staging/state-lock.ts';
import { isClusterId } from '../volumes/claim.ts';
import { parseInterfacePatterns, type InterfacePatterns } from '../volumes/interface-patterns.ts';
import { reapOrphansAsFirstProcess } from '../system/orphans.ts';
import { daemonLogger } from './daemon-logger.ts';
import { CommandFailure, EXIT_FAILED } from './exit-codes.ts';
import { openStore, storeOption } from './open-store.ts';
import {
  CSI_ENDPOINT_DEFAULT,
  logLevelOption,
  metricsOption,
  parseCount,
  parseSeconds,
  RUN_DIRECTORY_DEFAULT,
  SOCKET_DEFAULT,
} from './options.ts';
import { stopSignal, switchLevelOnSignal } from './signals.ts';
import { version } from './version.ts';

interface Options {
  readonly endpoint: string;
  readonly driverName: string;
  readonly nodeId: string;
  readonly clusterId: string;
  readonly initiator: string;
  readonly store: string;
  readonly stateDirectory: string;
  readonly volumesMax: number;
  readonly segment: Readonly<Record<string, string>>;
  readonly network: Readonly<Record<string, InterfacePatterns>>;
  readonly deadAfter: number;
  readonly registrationDirectory?: string;
  readonly registrationEndpoint?: string;
  readonly standBy: boolean;
  readonly metrics?: string;
  readonly logLevel: LogLevel;
}

/** CSI: node ids have up to 256 bytes; as a record's name ours is printable besides. */
const NODE_ID = /^[\x21-\x7e]{1,253}$/;
const VOLUMES_MAX_DEFAULT = 128;
const DEAD_AFTER_SECONDS = 30;

const HELP = `
Runs in the foreground, as root, beside an initiator, and logs lines of JSON to standard error. May be killed and started again
at any time: volumes in use stay in use. SIGTERM and Ctrl-C end it. SIGUSR2 switches between --log-level and debug.

Examples:
  aoe-csi node --endpoint unix:///run/aoe-csi/csi/csi.sock --store /var/lib/aoe-csi/store --cluster-id lab
  aoe-csi node --node-id node-7 --segment topology.aoe.csi.dev/segment=san-a --volumes-max 32 …
  aoe-csi node --registration-directory /var/lib/kubelet/plugins_registry …

Exit codes:
  0  ended by a signal
  1  failed
  2  wrong usage`;

export function nodeCommand(): Command {
  return new Command('node')
    .description('run the CSI node plugin')
    .addOption(
      new Option('--endpoint <url>', 'unix socket to serve CSI on, unix:///…/csi.sock')
        .env('CSI_ENDPOINT')
        .argParser(parseEndpoint)
        .default(CSI_ENDPOINT_DEFAULT),
    )
    .addOption(
      new Option('--driver-name <name>', 'name of the driver, a domain name')
        .env('AOE_CSI_DRIVER_NAME')
        .argParser(parseDriverName)
        .default(DEFAULT_DRIVER_NAME),
    )
    .addOption(
      new Option('--node-id <id>', 'what this node is called in the cluster')
        .env('AOE_CSI_NODE_ID')
        .argParser(parseNodeId)
        .default(hostname(), "this machine's host name"),
    )
    .addOption(
      new Option('--cluster-id <id>', 'what this cluster is called on the storage network; never the same for two clusters')
        .env('AOE_CSI_CLUSTER_ID')
        .argParser(parseClusterId)
        .makeOptionMandatory(),
    )
    .addOption(
      new Option('--initiator <path>', 'unix socket of the initiator on this node')
        .env('AOE_CSI_INITIATOR')
        .default(SOCKET_DEFAULT),
    )
    .addOption(storeOption())
    .addOption(
      new Option('--state-directory <path>', 'where this node remembers what is staged; best on a tmpfs')
        .env('AOE_CSI_STATE_DIRECTORY')
        .default(`${RUN_DIRECTORY_DEFAULT}/node`),
    )
    .addOption(
      new Option('--volumes-max <count>', 'volumes that this node can have at a time')
        .env('AOE_CSI_VOLUMES_MAX')
        .argParser(parseCount)
        .default(VOLUMES_MAX_DEFAULT),
    )
    .addOption(
      new Option('--segment <key=value>', 'where this node is, for topology; may be given several times, or with commas between')
        .env('AOE_CSI_SEGMENT')
        .argParser(collectSegments)
        .default({}, 'none'),
    )
    .addOption(
      new Option(
        '--network <name=interfaces>',
        'a storage network and the interfaces that are on it, for topology: where one of them is there, the node has the segment ' +
          'topology.<driver name>/<name>=true; may be given several times',
      )
        .env('AOE_CSI_NETWORK')
        .argParser(collectNetworks)
        .default({}, 'none'),
    )
    .addOption(
      new Option(
        '--dead-after <seconds>',
        'a target that is silent for so long while its volume is unstaged is not waited for: the call fails, and is made again',
      )
        .env('AOE_CSI_DEAD_AFTER')
        .argParser(parseSeconds)
        .default(DEAD_AFTER_SECONDS),
    )
    .addOption(
      new Option('--registration-directory <path>', "the kubelet's folder plugins_registry, to register there").env(
        'AOE_CSI_REGISTRATION_DIRECTORY',
      ),
    )
    .addOption(
      new Option('--registration-endpoint <path>', 'the CSI socket as the kubelet sees it (default: that of --endpoint)').env(
        'AOE_CSI_REGISTRATION_ENDPOINT',
      ),
    )
    .addOption(
      new Option('--stand-by', 'while another one has the state directory: wait until it has ended')
        .env('AOE_CSI_STAND_BY')
        .default(false),
    )
    .addOption(metricsOption())
    .addOption(logLevelOption())
    .addHelpText('after', HELP)
    .action(run);
}

async function run(options: Options): Promise<void> {
  if (process.getuid?.() !== 0) {
    throw new CommandFailure(EXIT_FAILED, 'the node plugin mounts file systems; run it as root, for example with sudo');
  }
  const logger = daemonLogger(options.logLevel);
  switchLevelOnSignal(logger, options.logLevel);
  // Heard from now on: the first process of a container gets no signal otherwise, and this one may wait for long.
  const stopping = stopSignal();
  reapOrphansAsFirstProcess();
  const stateDirectory = resolve(options.stateDirectory);
  if (!options.standBy) await lockState(stateDirectory);
  else if (!(await stoodBy(stateDirectory, stopping, logger))) return;
  const socketPath = socketPathOf(options.endpoint);
  const onProblem = (message: string): void => logger.error(message, { component: 'store' });
  const store = await openStore(options.store, { clusterId: options.clusterId, onProblem });
  const { registrationDirectory, registrationEndpoint = socketPath } = options;
  const plugin = await NodePlugin.start(
    {
      socketPath,
      driverName: options.driverName,
      version: version(),
      nodeId: options.nodeId,
      clusterId: options.clusterId,
      initiatorSocket: resolve(options.initiator),
      stateDirectory,
      volumesMax: options.volumesMax,
      segments: options.segment,
      networks: options.network,
      deadAfterMs: options.deadAfter * 1000,
      registration:
        registrationDirectory === undefined
          ? undefined
          : { folder: resolve(registrationDirectory), endpoint: registrationEndpoint },
      metricsAddress: options.metrics,
    },
    store,
    logger,
  );
  const signal = await stopping;
  logger.info(`${signal}: stopping`);
  await plugin.stop();
  await store.close();
  logger.info('stopped');
  // A wipe or a format under way is gone on with by the next process.
  process.exit();
}

/** Waits until the state directory is ours. @returns false when this process was to end before */
async function stoodBy(stateDirectory: string, stopping: Promise<string>, logger: Logger): Promise<boolean> {
  const stop = new AbortController();
  void stopping.then(() => stop.abort());
  return awaitState(stateDirectory, stop.signal, () => {
    logger.info(`stands by until the node plugin that has ${stateDirectory} ends`);
  });
}

function parseEndpoint(text: string): string {
  try {
    return socketPathOf(text);
  } catch (error) {
    throw new InvalidArgumentError((error as Error).message);
  }
}

function parseDriverName(text: string): string {
  if (isDriverName(text)) return text;
  throw new InvalidArgumentError('Give a domain name of at most 63 characters, for example aoe.csi.dev.');
}

function parseNodeId(text: string): string {
  if (NODE_ID.test(text)) return text;
  throw new InvalidArgumentError('Give 1 to 253 printable characters without spaces.');
}

function parseClusterId(text: string): string {
  if (isClusterId(text)) return text;
  throw new InvalidArgumentError("Give 1 to 63 letters, digits, '.', '_', '-'.");
}

function collectSegments(text: string, before: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const entries = text.split(',').map((part) => {
    const [key, value, more] = part.split('=');
    if (key === '' || value === undefined || value === '' || more !== undefined) {
      throw new InvalidArgumentError('Give key=value, for example topology.aoe.csi.dev/segment=san-a.');
    }
    return [key, value] as const;
  });
  return { ...before, ...Object.fromEntries(entries) };
}

/** As Kubernetes names labels, after the slash. */
const NETWORK = /^[A-Za-z0-9]([-_.A-Za-z0-9]{0,61}[A-Za-z0-9])?$/;

function collectNetworks(
  text: string,
  before: Readonly<Record<string, InterfacePatterns>>,
): Readonly<Record<string, InterfacePatterns>> {
  const [name = '', interfaces = '', more] = text.split('=');
  const patterns = parseInterfacePatterns(interfaces);
  if (!NETWORK.test(name) || patterns === undefined || patterns.length === 0 || more !== undefined) {
    throw new InvalidArgumentError('Give name=interfaces, for example san-a=eth1 or san-a=eth1,san*.');
  }
  return { ...before, [name]: patterns };
}
