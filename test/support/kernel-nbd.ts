import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { parseTargetAddress } from '../../src/aoe/address.ts';
import { ControlClient } from '../../src/cli/control-client.ts';
import type { AttachmentMessage } from '../../src/initiator/control-messages.ts';
import { runFio, type FioResult } from './faults-clients.ts';
import { SAN, type Laboratory } from './faults-laboratory.ts';
import { eventually } from './faults-process.ts';
import { withInitiators, type InitiatorProcess } from './initiator-process.ts';
import { patiently } from './patience.ts';

const MTU = 9000;
const ATTACH_SECONDS = 60;
/** An initiator's words: the kernel's NBD driver, on SAN. */
export const BY_KERNEL = ['--interfaces', SAN, '--attach', 'nbd'];

type Launch = (name: string, words: readonly string[], launcher?: readonly string[]) => InitiatorProcess;

/** A guest with the kernel's NBD driver, an initiator that may be killed and started again, and a target at the end of a wire. */
export class KernelNbd {
  readonly lab: Laboratory;
  readonly #launch: Launch;
  #initiator: InitiatorProcess | undefined;

  /** Runs a case with all of it. Devices that it leaves are taken away; all that it has started ends with it. */
  static async use(run: (host: KernelNbd) => Promise<void>): Promise<void> {
    await withInitiators(async ({ lab, launch }) => {
      lab.wire(MTU);
      const host = new KernelNbd(lab, launch);
      try {
        await run(host);
      } finally {
        await host.#cleanUp();
      }
    }, true);
  }

  private constructor(lab: Laboratory, launch: Launch) {
    this.lab = lab;
    this.#launch = launch;
  }

  get initiator(): InitiatorProcess {
    if (this.#initiator === undefined) throw new Error('no initiator has been started');
    return this.#initiator;
  }

  /** Starts the initiator, or the next one with the same run directory; returns when it serves. */
  async start(words: readonly string[] = BY_KERNEL, launcher: readonly string[] = []): Promise<InitiatorProcess> {
    return this.becomes(this.launch('i', words, launcher));
  }

  /** Starts one that goes on with the devices of the one that runs; returns when it serves. */
  async replace(words: readonly string[] = []): Promise<InitiatorProcess> {
    return this.becomes(this.launchReplacement([], [...BY_KERNEL, ...words]));
  }

  /** Starts one that may not come so far. */
  launchReplacement(launcher: readonly string[] = [], words: readonly string[] = BY_KERNEL): InitiatorProcess {
    return this.launch('i', [...words, '--replace'], launcher);
  }

  /** This one serves, from when this resolves. */
  async becomes(initiator: InitiatorProcess): Promise<InitiatorProcess> {
    this.#initiator = await initiator.ready();
    return initiator;
  }

  /** Starts an initiator that may not come so far. */
  launch(name: string, words: readonly string[] = BY_KERNEL, launcher: readonly string[] = []): InitiatorProcess {
    return this.#launch(name, words, launcher);
  }

  /** @returns the device, `/dev/nbdN` */
  async attach(name: string, deadSeconds = 0): Promise<string> {
    const signal = new AbortController().signal;
    const settings = { backend: '', readOnly: false, deadSeconds, maxOutstanding: 0, interfaces: [] };
    return this.#control(async (client) => {
      const { attachment } = await client.attach({ ...parseTargetAddress(name), ...settings }, ATTACH_SECONDS, signal);
      return attachment.device;
    });
  }

  /** @throws with what the initiator said */
  async detach(name: string, force = false): Promise<void> {
    await this.#control(async (client) => client.detach({ ...parseTargetAddress(name), force }, ATTACH_SECONDS));
  }

  async grow(name: string): Promise<AttachmentMessage> {
    return this.#control(async (client) => (await client.grow(parseTargetAddress(name), ATTACH_SECONDS)).attachment);
  }

  async attachments(): Promise<readonly AttachmentMessage[]> {
    return (await this.#control(async (client) => client.listAttachments())).attachments;
  }

  async attachment(name: string): Promise<AttachmentMessage | undefined> {
    return (await this.attachments()).find((each) => each.name === name);
  }

  /** Waits until the volume's device is connected to the initiator that runs now. */
  async connected(name: string): Promise<void> {
    await eventually(`${name} to be connected`, 20_000, async () => {
      // On a busy machine a call may take longer than it waits for its answer.
      const found = await this.attachment(name).catch(() => undefined);
      return found !== undefined && found.link === '' && found.state === 'up';
    });
  }

  mountPoint(name = 'mnt'): string {
    const path = join(this.lab.folder, name);
    mkdirSync(path, { recursive: true });
    return path;
  }

  /** Makes a file system on a device and mounts it; returns where. */
  mountNew(device: string): string {
    const path = this.mountPoint();
    execFileSync('mkfs.ext4', ['-q', device]);
    execFileSync('mount', [device, path]);
    return path;
  }

  /** fio verifies what it writes to a file or a device, for so long. */
  async verify(path: string, seconds: number, ...words: string[]): Promise<FioResult> {
    const time = ['--time_based', `--runtime=${String(seconds)}`];
    const where = ['--ioengine=libaio', '--direct=1', `--filename=${path}`];
    return runFio([...where, ...time, ...words], this.lab.folder, seconds * 1000 + patiently(60_000));
  }

  async #control<T>(work: (client: ControlClient) => Promise<T>): Promise<T> {
    return ControlClient.use(this.initiator.socketPath, work);
  }

  async #cleanUp(): Promise<void> {
    if (this.#initiator?.process.running !== true) return;
    for (const { name, device } of await this.attachments()) {
      execFileSync('sh', ['-c', `grep -q "^${device} " /proc/mounts && umount --lazy ${device} || true`]);
      await this.detach(name, true);
    }
  }
}

/** What sysfs says of a device; undefined where there is no such attribute now. */
export function attributeOf(device: string, attribute: string): string | undefined {
  try {
    return readFileSync(join('/sys/block', basename(device), attribute), 'utf8').trim();
  } catch {
    return undefined;
  }
}

/** An initiator ends by a signal, and is dead when this resolves. */
export async function kill(initiator: InitiatorProcess, signal: NodeJS.Signals): Promise<void> {
  initiator.process.signal(signal);
  await eventually('the initiator to end', 10_000, () => !initiator.process.running);
}

/** Runs a program that may have to wait for a device; its exit code. The case's own limit is the only one. */
export async function runUnhurried(name: string, ...words: string[]): Promise<number | null> {
  const child = spawn(name, words, { stdio: 'ignore' });
  const [code] = (await once(child, 'exit')) as [number | null];
  return code;
}
