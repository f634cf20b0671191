#!/usr/bin/env node
import { Command, CommanderError } from 'commander';
import { EXIT_FAILED, EXIT_OK, EXIT_USAGE } from './cli/exit-codes.ts';
import { version } from './cli/version.ts';

interface Verb {
  readonly description: string;
  /** Loaded only when it is asked for: the daemons carry nothing that they don't use. */
  readonly load: () => Promise<Command>;
}

const VERBS: Readonly<Record<string, Verb>> = {
  initiator: {
    description: 'run the AoE initiator (daemon)',
    load: async () => (await import('./cli/initiator.ts')).initiatorCommand(),
  },
  target: {
    description: 'serve files or block devices as AoE targets (daemon)',
    load: async () => (await import('./cli/target.ts')).targetCommand(),
  },
  node: {
    description: 'run the CSI node plugin (daemon)',
    load: async () => (await import('./cli/node.ts')).nodeCommand(),
  },
  controller: {
    description: 'serve CSI Controller: volumes, and where they are (daemon)',
    load: async () => (await import('./cli/controller.ts')).controllerCommand(),
  },
  csi: {
    description: 'call a method of CSI',
    load: async () => (await import('./cli/csi.ts')).csiCommand(),
  },
  nodes: {
    description: 'show which nodes have reported themselves, and whether they live',
    load: async () => (await import('./cli/nodes.ts')).nodesCommand(),
  },
  accept: {
    description: 'say that the disk of a volume is right as it is',
    load: async () => (await import('./cli/accept.ts')).acceptCommand(),
  },
  release: {
    description: 'give a target back whose volume nobody knows any more',
    load: async () => (await import('./cli/release.ts')).releaseCommand(),
  },
  import: {
    description: 'write the PersistentVolume of a target that holds data already',
    load: async () => (await import('./cli/import.ts')).importCommand(),
  },
  discover: {
    description: 'ask which targets are there, and list them',
    load: async () => (await import('./cli/discover.ts')).discoverCommand(),
  },
  attach: {
    description: 'make a target usable as a block device',
    load: async () => (await import('./cli/attach.ts')).attachCommand(),
  },
  detach: {
    description: 'take the device of a target away',
    load: async () => (await import('./cli/detach.ts')).detachCommand(),
  },
  grow: {
    description: 'let a device in use have all of its target, which has become larger',
    load: async () => (await import('./cli/grow.ts')).growCommand(),
  },
  stat: {
    description: 'show targets, their paths and their devices',
    load: async () => (await import('./cli/stat.ts')).statCommand(),
  },
  interfaces: {
    description: 'show or set which interfaces may carry AoE',
    load: async () => (await import('./cli/interfaces.ts')).interfacesCommand(),
  },
  err: {
    description: 'show what has happened, and follow it',
    load: async () => (await import('./cli/err.ts')).errCommand(),
  },
  demo: {
    description: "run a volume's whole life on a virtual network on this machine",
    load: async () => (await import('./cli/demo.ts')).demoCommand(),
  },
};

const HELP = `
Each command has its own --help, with examples. Options can be given in the environment, too: --socket as AOE_CSI_SOCKET.`;

/** The oldest Node that has what this program uses; package.json says so too, but only npm reads that. */
const NODE_MAJOR_MIN = 24;

/** Runs the command line and returns the exit code. */
async function main(args: readonly string[]): Promise<number> {
  if (Number.parseInt(process.versions.node, 10) < NODE_MAJOR_MIN) {
    console.error(`aoe-csi: this is Node ${process.versions.node}; run aoe-csi with Node ${NODE_MAJOR_MIN} or newer`);
    return EXIT_FAILED;
  }
  const program = new Command('aoe-csi')
    .description('ATA over Ethernet in user space: initiator, target, and what it takes to use them')
    .version(version())
    .addHelpText('after', HELP);
  const named = args.find((word) => !word.startsWith('-')) ?? '';
  for (const [name, { description, load }] of Object.entries(VERBS)) {
    // `help attach` shows the options of attach, which only the loaded command knows.
    if (named === name || (named === 'help' && args.includes(name))) program.addCommand(await load());
    else program.command(name).description(description);
  }
  exitByThrowing(program);
  try {
    await program.parseAsync(args, { from: 'user' });
    return EXIT_OK;
  } catch (error) {
    return exitCodeOf(error as Error);
  }
}

function exitByThrowing(command: Command): void {
  command.exitOverride();
  command.commands.forEach(exitByThrowing);
}

/** Says what went wrong, unless commander has said it, and finds the exit code. Told apart by name: Jest has its own Error. */
function exitCodeOf(error: Error): number {
  if (error.name === CommanderError.name) return (error as CommanderError).exitCode === EXIT_OK ? EXIT_OK : EXIT_USAGE;
  console.error(`aoe-csi: ${error.message}`);
  return (error as { exitCode?: number }).exitCode ?? EXIT_FAILED;
}

// A reader that has seen enough (`| head`) is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? EXIT_OK : EXIT_FAILED));
const exitCode = await main(process.argv.slice(2));
// Of a daemon that could not start, a part may run already: that must not keep the process, nor whoever waits for its end.
if (exitCode !== EXIT_OK) process.exit(exitCode);
