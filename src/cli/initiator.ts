import { rmSync, writeFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { Command, Option } from 'commander';
import { BACKEND_CHOICES, type BackendChoice } from '../initiator/attach/backend.ts';
import { CHUNKS_DEFAULT } from '../initiator/data-path.ts';
import type { LogLevel } from '../logging/logger.ts';
import { CAP_NET_RAW, hasCapability } from '../system/capabilities.ts';
import { reapOrphansAsFirstProcess } from '../system/orphans.ts';
import { daemonLogger } from './daemon-logger.ts';
import { CommandFailure, EXIT_CODES_HELP, EXIT_FAILED } from './exit-codes.ts';
import { InterfacesFile } from './interfaces-file.ts';
import { interfacesOption, logLevelOption, parseCount, socketOption } from './options.ts';
import { protectCode, protectionOptions, protectProcess, type ProtectionOptions } from './protection.ts';
import { stopSignal, switchLevelOnSignal } from './signals.ts';
import { version } from './version.ts';

interface Options extends ProtectionOptions {
  readonly interfaces: readonly string[];
  readonly interfacesFile?: string;
  readonly socket: string;
  readonly runDirectory?: string;
  readonly attach: BackendChoice;
  readonly etherdDirectory: string;
  readonly etherdPartitions: boolean;
  readonly staticMinors: boolean;
  readonly chunks: number;
  readonly replace: boolean;
  readonly standBy: boolean;
  readonly readyFile?: string;
  readonly logLevel: LogLevel;
}

/** Where the kernel's aoe driver and its tools have theirs. */
const ETHERD_DIRECTORY = '/dev/etherd';
const NO_LINKS = 'none';

const HELP = `
Runs in the foreground and logs lines of JSON to standard error. SIGTERM and Ctrl-C end it. Devices of backend nbd stay, hold
their I/O, and go on with the next initiator that has the same run directory. Of the others those that nobody uses are taken
away first, and those in use fail. SIGUSR2 switches between --log-level and debug.

Examples:
  aoe-csi initiator --interfaces eth1
  aoe-csi initiator --interfaces 'san*' --interfaces eth3 --attach nbd-socket
  AOE_CSI_INTERFACES=eth1,eth2 aoe-csi initiator
${EXIT_CODES_HELP}`;

export function initiatorCommand(): Command {
  const command = new Command('initiator')
    .description('run the AoE initiator: AoE on the named interfaces and nowhere else')
    .addOption(
      interfacesOption(
        'interfaces that may carry AoE: names or patterns with * and ?, separated by commas; none means no AoE at all',
      ),
    )
    .addOption(
      new Option('--interfaces-file <path>', 'file with such names, one or more a line, # comments; followed when it changes')
        .env('AOE_CSI_INTERFACES_FILE')
        .conflicts('interfaces'),
    )
    .addOption(socketOption())
    .addOption(
      new Option('--run-directory <path>', 'folder for the sockets and mounts of volumes (default: the folder of --socket)').env(
        'AOE_CSI_RUN_DIRECTORY',
      ),
    )
    .addOption(
      new Option(
        '--attach <backend>',
        'how volumes become devices: nbd (the kernel), fuse (a loop device), nbd-socket (a unix socket), or auto',
      )
        .env('AOE_CSI_ATTACH')
        .choices(BACKEND_CHOICES)
        .default('auto'),
    )
    .addOption(
      new Option(
        '--etherd-directory <path>',
        `folder for links to devices, as ${ETHERD_DIRECTORY}/e10.3; '${NO_LINKS}' for no links`,
      )
        .env('AOE_CSI_ETHERD_DIRECTORY')
        .default(ETHERD_DIRECTORY),
    )
    .addOption(
      new Option('--etherd-partitions', 'look for partitions, and link them too, as e10.3p1')
        .env('AOE_CSI_ETHERD_PARTITIONS')
        .default(false),
    )
    .addOption(
      new Option('--static-minors', 'backend nbd: e10.3 is /dev/nbd163, shelf × 16 + slot, or nothing')
        .env('AOE_CSI_STATIC_MINORS')
        .default(false),
    )
    .addOption(
      new Option('--chunks <count>', 'payload memory in pieces of 64 KiB')
        .env('AOE_CSI_CHUNKS')
        .argParser(parseCount)
        .default(CHUNKS_DEFAULT),
    )
    .addOption(
      new Option(
        '--replace',
        'go on with the nbd devices of an initiator that runs with the same run directory, while they are in use',
      )
        .env('AOE_CSI_REPLACE')
        .default(false),
    )
    .addOption(
      new Option(
        '--stand-by',
        'when another one has gone on with its devices: wait, and take them up again when that one has ended',
      )
        .env('AOE_CSI_STAND_BY')
        .default(false),
    )
    .addOption(
      new Option(
        '--ready-file <path>',
        'a file that is there while this initiator has the devices, and not while it waits for them',
      ).env('AOE_CSI_READY_FILE'),
    )
    .addHelpText('after', HELP)
    .action(run);
  for (const option of [...protectionOptions(), logLevelOption()]) command.addOption(option);
  return command;
}

async function run(options: Options): Promise<void> {
  requirePrivilege();
  const obstacles = protectProcess(options);
  const logger = daemonLogger(options.logLevel);
  for (const obstacle of obstacles) logger.warn(obstacle, { component: 'protection' });
  // Heard from now on, and heeded when there is something to stop: the first process of a container gets no signal otherwise.
  const stopping = stopSignal();
  switchLevelOnSignal(logger, options.logLevel);
  reapOrphansAsFirstProcess();
  const { Initiator } = await import('../initiator/daemon.ts');
  const { RunDirectory } = await import('../initiator/run-directory.ts');
  const { succeed, vacancy } = await import('../initiator/succession.ts');
  const socketPath = resolve(options.socket);
  const runDirectory = resolve(options.runDirectory ?? dirname(socketPath));
  const failed = (error: Error): void => {
    logger.error('the data path has ended; nothing works any more', { err: error });
    process.exit(EXIT_FAILED);
  };
  const { attach: backend, chunks, lockMemory } = options;
  const file = options.interfacesFile === undefined ? undefined : new InterfacesFile(resolve(options.interfacesFile));
  const given = {
    ...{ socketPath, runDirectory, backend, chunks, lockMemory, version: version() },
    ...{ etherdPartitions: options.etherdPartitions, staticMinors: options.staticMinors },
    etherdDirectory: options.etherdDirectory === NO_LINKS ? undefined : resolve(options.etherdDirectory),
  };
  const ready = (isReady: boolean): void => {
    if (options.readyFile === undefined) return;
    if (isReady) writeFileSync(options.readyFile, '');
    else rmSync(options.readyFile, { force: true });
  };
  // One that was killed has left it.
  ready(false);
  const stop = new AbortController();
  void stopping.then((signal) => {
    logger.info(`${signal}: stopping`);
    stop.abort();
  });
  do {
    const now = { ...given, interfaces: file?.read() ?? options.interfaces };
    const initiator = options.replace
      ? await succeed(now, logger, failed, stop.signal)
      : await Initiator.start(now, logger, failed);
    if (initiator === undefined) break;
    file?.watch(async (names) => initiator.setInterfaces(names), logger);
    for (const obstacle of protectCode(options)) logger.warn(obstacle, { component: 'protection' });
    logger.info('the initiator runs');
    ready(true);
    await Promise.race([stopping, initiator.handedOver]);
    ready(false);
    file?.close();
    if (stop.signal.aborted) await initiator.stop();
    else if (options.standBy) logger.info('stands by, to take the devices up again when the one that has them ends');
  } while (options.standBy && (await vacancy(new RunDirectory(runDirectory), stop.signal)));
  logger.info('stopped');
}

/** Without it there are no packet sockets. */
function requirePrivilege(): void {
  if (hasCapability(CAP_NET_RAW)) return;
  throw new CommandFailure(
    EXIT_FAILED,
    'the initiator needs CAP_NET_RAW for packet sockets; run it as root, for example with sudo',
  );
}
