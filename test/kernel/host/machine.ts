import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { repositoryRoot } from '../../support/repository.ts';
import type { GuestMachine } from './guest-run.ts';
import type { Kernel } from './kernels.ts';

export const MEMORY_MIB = 4096;
const CONSOLE_FILE = 'console.log';

/** A virtual machine in software emulation: it needs neither KVM nor root. */
export class Machine implements GuestMachine {
  readonly #process: ChildProcess;
  readonly #consolePath: string;
  readonly #errors: string[] = [];

  /** @param folder shared with the guest; the console's log goes there too */
  constructor(kernel: Kernel, initramfs: string, folder: string) {
    this.#consolePath = join(folder, CONSOLE_FILE);
    // It must not outlive this process, however that ends.
    const words = ['--pdeathsig', 'KILL', 'qemu-system-x86_64', ...arguments_(kernel, initramfs, folder, this.#consolePath)];
    this.#process = spawn('setpriv', words, { stdio: ['ignore', 'ignore', 'pipe'] });
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

  async kill(): Promise<void> {
    if (!this.running) return;
    const gone = once(this.#process, 'exit');
    this.#process.kill('SIGKILL');
    await gone;
  }
}

function arguments_(kernel: Kernel, initramfs: string, folder: string, consolePath: string): string[] {
  const commandLine = [
    // A busy host keeps the emulated timer from ticking while the kernel looks whether it does.
    'console=ttyS0 loglevel=5 panic=-1 oops=panic mitigations=off no_timer_check',
    `aoe_csi.modules=${kernel.modules}`,
    `aoe_csi.node=${process.execPath}`,
    `aoe_csi.repository=${repositoryRoot.replace(/\/$/, '')}`,
  ];
  return [
    ...['-accel', 'tcg,thread=multi,tb-size=1024', '-cpu', 'max', '-smp', '2', '-m', String(MEMORY_MIB)],
    ...['-nodefaults', '-display', 'none', '-no-reboot', '-serial', `file:${consolePath}`],
    ...['-kernel', kernel.image, '-initrd', initramfs, '-append', commandLine.join(' ')],
    ...['-virtfs', 'local,path=/,mount_tag=host,security_model=none,readonly=on,multidevs=remap'],
    ...['-virtfs', `local,path=${folder},mount_tag=exchange,security_model=none`],
  ];
}
