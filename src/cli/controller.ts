import { Command, Option } from 'commander';
import { Controller } from '../controller/daemon.ts';
import { DEFAULT_DRIVER_NAME, isDriverName } from '../csi/driver-name.ts';
import { socketPathOf } from '../csi/endpoint.ts';
import type { LogLevel } from '../logging/logger.ts';
import { isClusterId } from '../volumes/claim.ts';
import { daemonLogger } from './daemon-logger.ts';
import { CommandFailure, EXIT_USAGE } from './exit-codes.ts';
import { openStore, storeOption } from './open-store.ts';
import { logLevelOption, metricsOption } from './options.ts';
import { stopSignal, switchLevelOnSignal } from './signals.ts';
import { version } from './version.ts';

interface Options {
  readonly endpoint: string;
  readonly store: string;
  readonly clusterId: string;
  readonly driverName: string;
  readonly lease: boolean;
  readonly metrics?: string;
  readonly logLevel: LogLevel;
}

const HELP = `
Serves CSI Controller and Identity. It needs no right on the storage network: the nodes do there what it writes into the store.
Any number of controllers may run on one store, and all answer calls; on Kubernetes they elect one that does the rest. Runs in the foreground and logs lines of JSON to standard error; SIGTERM and
Ctrl-C end it, SIGUSR2 switches between --log-level and debug.

Examples:
  aoe-csi controller --endpoint unix:///run/aoe-csi/controller.sock --store /var/lib/aoe-csi/store --cluster-id lab
  aoe-csi csi CreateVolume --endpoint unix:///run/aoe-csi/controller.sock \\
    name=first capacityRange.requiredBytes=10Gi`;

export function controllerCommand(): Command {
  return new Command('controller')
    .description('serve CSI Controller: volumes, and where they are (daemon)')
    .addOption(new Option('--endpoint <socket>', 'unix socket to serve CSI on').env('CSI_ENDPOINT').makeOptionMandatory())
    .addOption(storeOption())
    .addOption(
      new Option('--cluster-id <id>', 'names this cluster among all on the storage network; must never change')
        .env('AOE_CSI_CLUSTER_ID')
        .makeOptionMandatory(),
    )
    .addOption(
      new Option('--driver-name <name>', "the driver's name in CSI").env('AOE_CSI_DRIVER_NAME').default(DEFAULT_DRIVER_NAME),
    )
    .addOption(
      new Option(
        '--no-lease',
        'do what nobody calls for (inventory, handing out wipes) in each controller, not only in one that they elect through a Lease',
      ).env('AOE_CSI_NO_LEASE'),
    )
    .addOption(metricsOption())
    .addOption(logLevelOption())
    .addHelpText('after', HELP)
    .action(run);
}

async function run(options: Options): Promise<void> {
  const socketPath = checked(options);
  const { clusterId, driverName, metrics: metricsAddress } = options;
  const logger = daemonLogger(options.logLevel);
  switchLevelOnSignal(logger, options.logLevel);
  const onProblem = (message: string): void => logger.warn(message);
  const store = await openStore(options.store, { clusterId, onProblem, remembersNodes: true });
  const controller = await Controller.start(
    { socketPath, clusterId, driverName, version: version(), metricsAddress, isElecting: options.lease },
    store,
    logger,
  );
  logger.info('the controller runs');
  const signal = await stopSignal();
  logger.info(`${signal}: stopping`);
  await controller.stop();
  await store.close();
  logger.info('stopped');
}

/** The socket's path. @throws CommandFailure for a configuration that makes no sense: better no controller than a wrong one */
function checked({ endpoint, clusterId, driverName }: Options): string {
  if (!isClusterId(clusterId)) {
    throw new CommandFailure(
      EXIT_USAGE,
      `cannot use '${clusterId}' as --cluster-id: give 1 to 63 letters, digits, dots, hyphens or underscores`,
    );
  }
  if (!isDriverName(driverName)) {
    throw new CommandFailure(
      EXIT_USAGE,
      `cannot use '${driverName}' as --driver-name: give a domain name like ${DEFAULT_DRIVER_NAME}`,
    );
  }
  try {
    return socketPathOf(endpoint);
  } catch (error) {
    throw new CommandFailure(EXIT_USAGE, (error as Error).message);
  }
}
