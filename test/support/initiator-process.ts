import { execFile, execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { loopDevicesOf } from '../../src/initiator/attach/loop-device.ts';
import type { AttachmentMessage } from '../../src/initiator/control-messages.ts';
import type { InterfaceState, TargetReport } from '../../src/initiator/messages.ts';
import { isMountPoint, listMounts } from '../../src/system/mounts.ts';
import { Laboratory, SAN } from './faults-laboratory.ts';
import { eventually, TestProcess } from './faults-process.ts';
import { MAIN } from './program.ts';
import type { NetworkNamespace } from './system-namespace.ts';

const START_MS = 10_000;
const COMMAND_MS = 45_000;

/** How a command ended, and what it said. */
export interface Outcome {
  readonly code: number | string;
  readonly out: string;
  readonly err: string;
}

/** Runs `aoe-csi` in the test's own network namespace. */
export async function aoeCsi(...words: readonly string[]): Promise<Outcome> {
  return new Promise((done) => {
    const options = { timeout: COMMAND_MS, killSignal: 'SIGKILL' as const, maxBuffer: 1 << 24 };
    execFile(process.execPath, [MAIN, ...words], options, (error, stdout, stderr) => {
      done({ code: error === null ? 0 : (error.code ?? error.signal ?? 'unknown'), out: stdout.trim(), err: stderr.trim() });
    });
  });
}

/** A running `aoe-csi initiator`, and the commands that talk to it. */
export class InitiatorProcess {
  readonly process: TestProcess;
  readonly socketPath: string;
  /** Where it links its devices. */
  readonly etherd: string;
  readonly #folder: string;

  /**
   * Starts it on a host of the laboratory.
   * @param name of its run directory: the same name again is the same initiator again
   */
  constructor(
    laboratory: Laboratory,
    name: string,
    words: readonly string[],
    launcher: readonly string[] = [],
    host = laboratory.initiator,
  ) {
    this.#folder = laboratory.folder;
    this.socketPath = join(laboratory.folder, name, 'initiator.sock');
    this.etherd = join(laboratory.folder, name, 'dev-etherd');
    // Not `ip netns exec`: that has mounts of its own, where those of the fuse backend would be out of our sight.
    const enter = ['nsenter', `--net=/run/netns/${host.name}`, ...launcher];
    const own = ['--socket', this.socketPath, '--etherd-directory', this.etherd];
    const commandLine = [...enter, process.execPath, MAIN, 'initiator', ...own, ...words];
    this.process = new TestProcess(`initiator ${name}`, commandLine, laboratory.folder);
  }

  /** Messages that it has logged. */
  get log(): string[] {
    return this.process.errors.map((line) => (line.startsWith('{') ? (JSON.parse(line) as { msg: string }).msg : line));
  }

  async logged(pattern: RegExp): Promise<string> {
    return eventually(`the log to say ${String(pattern)}`, START_MS, () => this.log.find((line) => pattern.test(line)));
  }

  async ready(): Promise<this> {
    await eventually('the initiator to start', START_MS, () => {
      if (!this.process.running) throw new Error(this.process.report);
      return this.log.includes('the initiator runs');
    }).catch((error: Error) => {
      throw new Error(`${error.message}; ${this.process.report}`);
    });
    return this;
  }

  /** Its exit code, when it has ended by itself. */
  async end(): Promise<number | string> {
    await eventually('the initiator to end', START_MS, () => !this.process.running);
    return this.process.child.exitCode ?? this.process.child.signalCode ?? 'unknown';
  }

  /** Runs `aoe-csi` against it. */
  async run(...words: readonly string[]): Promise<Outcome> {
    return aoeCsi(...words, '--socket', this.socketPath);
  }

  /** Starts `aoe-csi` against it, for tests that end it themselves. */
  command(...words: readonly string[]): TestProcess {
    return new TestProcess(words.join(' '), [process.execPath, MAIN, ...words, '--socket', this.socketPath], this.#folder);
  }

  /** Runs `aoe-csi`, which must succeed; what it printed. */
  async must(...words: readonly string[]): Promise<string> {
    const { code, out, err } = await this.run(...words);
    if (code !== 0) throw new Error(`aoe-csi ${words.join(' ')} ended with ${String(code)}: ${err}\n${this.process.report}`);
    return out;
  }

  async json<T>(...words: readonly string[]): Promise<T> {
    return JSON.parse(await this.must(...words, '--json')) as T;
  }

  async stat(): Promise<{ targets: TargetReport[]; attachments: AttachmentMessage[] }> {
    return this.json('stat');
  }

  async counter(name: string): Promise<number> {
    const { counters } = await this.json<{ counters: Record<string, number> }>('stat', '--counters');
    return counters[name];
  }

  async interface(name: string): Promise<InterfaceState | undefined> {
    const { interfaces } = await this.json<{ interfaces: InterfaceState[] }>('interfaces');
    return interfaces.find((each) => each.name === name);
  }
}

/** Two hosts, a wire between them, and what starts initiators on one of them. */
export interface InitiatorLaboratory {
  readonly lab: Laboratory;
  /** Starts an initiator and waits until it serves; by default on SAN and with nbd-socket. */
  readonly initiate: (...words: string[]) => Promise<InitiatorProcess>;
  /** Starts an initiator that may not come so far. */
  readonly launch: (
    name: string,
    words: readonly string[],
    launcher?: readonly string[],
    host?: NetworkNamespace,
  ) => InitiatorProcess;
}

/**
 * Runs a test with a laboratory of its own; all that it has started ends with it.
 * @param inMachine initiators run in the machine's own network
 */
export async function withInitiators(run: (given: InitiatorLaboratory) => Promise<void>, inMachine = false): Promise<void> {
  const lab = new Laboratory(inMachine);
  const started: InitiatorProcess[] = [];
  const launch: InitiatorLaboratory['launch'] = (name, words, launcher = [], host = lab.initiator) => {
    const initiator = new InitiatorProcess(lab, name, words, launcher, host);
    started.push(initiator);
    return initiator;
  };
  const initiate = async (...words: string[]): Promise<InitiatorProcess> => {
    const given = words.length > 0 ? words : ['--interfaces', SAN, '--attach', 'nbd-socket'];
    return launch('i', given).ready();
  };
  // Mounts below a shared mount are unmounted in every copy: tests beside this one copy all mounts with each `ip netns exec`.
  execFileSync('mount', ['--bind', lab.folder, lab.folder]);
  execFileSync('mount', ['--make-shared', lab.folder]);
  try {
    await run({ lab, initiate, launch });
  } finally {
    for (const { process: each } of started) await each.end();
    // Those in use go when their last user has. Afterwards their files have no path, and their numbers may be others' devices.
    for (const device of loopDevicesOf(lab.folder)) spawnSync('losetup', ['--detach', device]);
    // With one of them, copies of it in other places go.
    for (const path of mountsBelow(lab.folder)) if (isMountPoint(path)) spawnSync('umount', ['--lazy', path]);
    await lab.close();
  }
}

/** Mount points in a folder and the folder itself, innermost first. */
export function mountsBelow(folder: string): string[] {
  const paths = listMounts().map(({ mountPoint }) => mountPoint);
  return paths.filter((path) => path === folder || path.startsWith(`${folder}/`)).toReversed();
}

/**
 * Whether a loop device has a file of this laboratory's; other tests take its number as soon as it is free. In a mount that is gone
 * a file's path begins where the mount was.
 */
export function isBound(lab: Laboratory, device: string): boolean {
  const path = join('/sys/block', basename(device), 'loop/backing_file');
  if (!existsSync(path)) return false;
  const file = readFileSync(path, 'utf8').trim();
  return file.startsWith(`${lab.folder}/`) || dirname(file) === '/';
}
