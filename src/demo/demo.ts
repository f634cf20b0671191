import { setTimeout as sleep } from 'node:timers/promises';
import { Backends } from '../initiator/attach/choice.ts';
import { FuseBackend } from '../initiator/attach/fuse.ts';
import { NbdBackend } from '../initiator/attach/nbd.ts';
import { NbdSocketBackend } from '../initiator/attach/nbd-socket.ts';
import { findProgram } from '../system/programs.ts';
import { cleanUp } from './cleanup.ts';
import { aoeCsi, type TargetKind } from './commands.ts';
import { lastLines } from './daemon.ts';
import { Laboratory, type DemoOptions } from './laboratory.ts';
import { Narrator } from './narrator.ts';
import { formatReport, type Counters } from './report.ts';
import { DemoRun } from './run.ts';
import { liveOnSocket } from './socket-life.ts';
import { liveWithFileSystem } from './volume-life.ts';

/** Programs that a demo starts, and the Debian packages that have them. */
const PROGRAMS = [
  ['ip', 'iproute2'],
  ['mkfs.ext4', 'e2fsprogs'],
  ['blkid', 'util-linux'],
  ['nsenter', 'util-linux'],
  ['mount', 'mount'],
  ['nbdcopy', 'libnbd-bin'],
] as const;

/** What is under way when the demo ends has so long to come to its own end. */
const LAST_STEP_MS = 2_000;

/**
 * Runs a volume's life on a virtual network and removes everything again.
 * @returns whether every byte was as it was written
 * @throws Error when something is missing or has failed; the signal's reason when it was interrupted
 */
export async function runDemo(options: DemoOptions, signal: AbortSignal): Promise<boolean> {
  requirePrograms(options.target);
  const narrator = new Narrator();
  for (const old of DemoRun.leftovers()) {
    narrator.say(`removing what demo ${old.id}, which was killed, has left`);
    report(await cleanUp(old));
  }
  const run = DemoRun.begin();
  const ending = new AbortController();
  const living = live(run, options, narrator, AbortSignal.any([signal, ending.signal]));
  try {
    return await Promise.race([living, interruption(signal)]);
  } catch (error) {
    if (!signal.aborted) showLogs(run);
    throw error;
  } finally {
    ending.abort();
    narrator.say('removing everything');
    // What it is just making shall be there when it is removed. It may also wait for a target, and will do so for as long as that is gone.
    await Promise.race([living.catch(() => undefined), sleep(LAST_STEP_MS, undefined, { ref: false })]);
    report(await cleanUp(run));
  }
}

async function live(run: DemoRun, options: DemoOptions, narrator: Narrator, signal: AbortSignal): Promise<boolean> {
  const startedMs = performance.now();
  const backend = await backendFor(run, options, narrator);
  const laboratory = await Laboratory.build(run, options, backend, narrator, signal);
  const living = backend === 'nbd-socket' ? liveOnSocket(laboratory) : liveWithFileSystem(laboratory);
  const life = await Promise.race([living, laboratory.broken]);
  const { counters } = JSON.parse(await aoeCsi(run, ['stat', '--counters', '--json'])) as { counters: Counters };
  console.log(`\n${formatReport(life, counters, (performance.now() - startedMs) / 1000)}\n`);
  return life.damaged.length === 0;
}

/** Chooses as an initiator with --attach does, but before there is one: where that runs depends on it. */
async function backendFor(run: DemoRun, options: DemoOptions, narrator: Narrator): Promise<string> {
  const nbd = new NbdBackend(run.folder, () => undefined);
  try {
    const backends = new Backends([nbd, new FuseBackend(run.folder, () => undefined), new NbdSocketBackend()]);
    const { backend, note } = await backends.choose(options.backend);
    if (note !== '') narrator.say(note);
    if (backend.name === 'nbd-socket') narrator.say('no file system in this demo, nbdcopy instead: there is no block device');
    return backend.name;
  } finally {
    nbd.stop();
  }
}

function requirePrograms(target: TargetKind): void {
  if (process.getuid?.() !== 0)
    throw new Error('the demo makes network namespaces and mounts; run it as root, for example with sudo');
  const wanted = target === 'vblade' ? [...PROGRAMS, ['vblade', 'vblade'] as const] : PROGRAMS;
  const packages = wanted.filter(([program]) => findProgram(program) === undefined).map(([, debianPackage]) => debianPackage);
  if (packages.length > 0)
    throw new Error(`the demo needs programs that are missing; on Debian: apt-get install ${packages.join(' ')}`);
}

async function interruption(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error));
  });
}

/** The last words of the daemons, which are about to be removed. */
function showLogs(run: DemoRun): void {
  for (const name of ['target', 'initiator', 'controller', 'node'])
    console.error(`--- log of the ${name}, its end:\n${lastLines(run.log(name))}`);
}

function report(failures: readonly string[]): void {
  for (const failure of failures) console.error(`could not remove everything: ${failure}`);
}
