import { Command, Option } from 'commander';
import { TARGET_KINDS, type TargetKind } from '../demo/commands.ts';
import { runDemo } from '../demo/demo.ts';
import { BACKEND_CHOICES, type BackendChoice } from '../initiator/attach/backend.ts';
import { CommandFailure, EXIT_CODES_HELP, EXIT_FAILED } from './exit-codes.ts';
import { parseCount } from './options.ts';

interface Options {
  readonly target: TargetKind;
  readonly size: number;
  readonly mtu: number;
  readonly attach: BackendChoice;
}

/** As shells have it: 128 and the number of the signal. */
const EXIT_INTERRUPTED = 130;

const HELP = `
Makes two network namespaces joined by a virtual cable, serves a disk in one, runs the initiator in the other (in this machine's
own network, where volumes become devices of the kernel's NBD driver) and controller and node plugin beside it, and leads a
volume's life over CSI: create, publish, stage, write while the target and then the node plugin are killed and started again,
expand, take away, bring back, verify every byte, delete, wipe. Each call is told in a line. Prints a report and removes
everything it has made; also on Ctrl-C, and what an earlier demo has left that was killed. Needs root; takes well under two
minutes.

Examples:
  aoe-csi demo
  aoe-csi demo --target vblade
  aoe-csi demo --size 1000 --mtu 1500
${EXIT_CODES_HELP}`;

export function demoCommand(): Command {
  return new Command('demo')
    .description("run a volume's whole life on a virtual network on this machine")
    .addOption(
      new Option('--target <kind>', 'our own target, or that of the Debian package vblade')
        .choices(TARGET_KINDS)
        .default('aoe-csi'),
    )
    .addOption(new Option('--size <megabytes>', 'how much to write').argParser(parseCount).default(320))
    .addOption(new Option('--mtu <bytes>', 'MTU of the virtual network').argParser(parseCount).default(9000))
    .addOption(
      new Option('--attach <backend>', 'how volumes become devices; auto is the first of the others that can be used')
        .choices(BACKEND_CHOICES)
        .default('auto'),
    )
    .addHelpText('after', HELP)
    .action(run);
}

async function run({ target, size, mtu, attach }: Options): Promise<void> {
  const interrupted = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => interrupted.abort(new CommandFailure(EXIT_INTERRUPTED, `interrupted by ${signal}`)));
  }
  try {
    const good = await runDemo({ target, sizeBytes: size * 1e6, mtu, backend: attach }, interrupted.signal);
    if (!good) throw new CommandFailure(EXIT_FAILED, 'what was read is not what was written');
  } catch (error) {
    if (!interrupted.signal.aborted) throw error;
    // What was under way may still wait for something that is gone.
    console.error(`aoe-csi: ${(error as Error).message}`);
    process.exit(EXIT_INTERRUPTED);
  }
}
