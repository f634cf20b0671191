import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { repositoryRoot } from '../../support/repository.ts';
import type { GuestMachine } from './guest-run.ts';
import type { Kernel } from './kernels.ts';

const CONSOLE_FILE = 'console.log';

export interface MachineOptions {
  readonly kernel: Kernel;
  readonly initramfs: string;
  /** Shared with the guest; the console's log goes there too. */
  readonly folder: string;
  readonly memoryMib: number;
  /** A script of the repository that goes on when the guest sees the host's files, by its path from the top folder. */
  readonly secondStage: string;
  /** What that finds in its environment; no blanks. */
  readonly variables?: Readonly<Record<string, string>>;
  /** More words for QEMU: disks, networks. */
  readonly devices?: readonly string[];
  /** Starts a command line where QEMU shall run. */
  readonly launcher?: readonly string[];
}

/** A virtual machine in software emulation: it needs neither KVM nor, without networks, root. */
export class Machine implements GuestMachine {
  readonly #process: ChildProcess;
  readonly #consolePath: string;
  readonly #errors: string[] = [];

  constructor(options: MachineOptions) {
    this.#consolePath = join(options.folder, CONSOLE_FILE);
    const qemu = [...options.kernel.platform.qemu, ...arguments_(options, this.#consolePath)];
    // It must not outlive this process, however that ends.
    const words = ['--pdeathsig', 'KILL', ...(options.launcher ?? []), ...qemu];
    this.#process = spawn('setpriv', words, { stdio: ['pipe', 'ignore', 'pipe'] });
    // Whoever tells something to a machine that has just ended sees that it has.
    this.#process.stdin?.on('error', () => undefined);
    this.#process.stderr?.on('data', (bytes: Buffer) => this.#errors.push(bytes.toString()));
    this.#process.on('error', (error) => this.#errors.push(error.message));
  }

  get running(): boolean {
    return this.#process.pid !== undefined && this.#process.exitCode === null && this.#process.signalCode === null;
  }

  /** All that the guest's kernel has said, and what QEMU itself has complained of. */
  get console(): string {
    const said = existsSync(this.#consolePath) ? readFileSync(this.#consolePath, 'latin1').replaceAll('\r', '') : '';
    return `${said}${this.#errors.join('')}`;
  }

  /** Comes in at its second serial port. */
  tell(line: string): void {
    this.#process.stdin?.write(`${line}\n`);
  }

  /** Nothing in it goes on until it is thawed; then its clocks have jumped. */
  freeze(): void {
    this.#process.kill('SIGSTOP');
  }

  thaw(): void {
    this.#process.kill('SIGCONT');
  }

  /** As cutting the power: what its kernel has not written yet is lost. */
  async kill(): Promise<void> {
    if (!this.running) return;
    const gone = once(this.#process, 'exit');
    this.#process.kill('SIGKILL');
    await gone;
  }
}

function arguments_(options: MachineOptions, consolePath: string): string[] {
  const { kernel, initramfs, folder, memoryMib, devices = [] } = options;
  const { platform } = kernel;
  const variables = {
    modules: kernel.modules,
    node: platform.node,
    repository: platform.repository,
    ...(platform.isRepositoryPutThere ? { put: 'yes' } : {}),
    stage: options.secondStage,
    ...options.variables,
  };
  const commandLine = [
    `console=${platform.console} loglevel=5 panic=-1 oops=panic mitigations=off ${platform.kernelWords}`,
    ...Object.entries(variables).map(([name, value]) => `aoe_csi.${name}=${value}`),
  ];
  return [
    ...['-accel', 'tcg,thread=multi,tb-size=1024', '-smp', '2', '-m', String(memoryMib)],
    ...['-nodefaults', '-display', 'none', '-no-reboot', '-serial', `file:${consolePath}`, '-serial', 'stdio'],
    ...['-kernel', kernel.image, '-initrd', initramfs, '-append', commandLine.join(' ')],
    ...['-virtfs', `local,path=${platform.root},mount_tag=host,security_model=none,readonly=on,multidevs=remap`],
    ...(platform.isRepositoryPutThere
      ? ['-virtfs', `local,path=${repositoryRoot},mount_tag=repository,security_model=none,readonly=on,multidevs=remap`]
      : []),
    ...['-virtfs', `local,path=${folder},mount_tag=exchange,security_model=none`],
    ...devices,
  ];
}
