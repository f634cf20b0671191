import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { FakeTargetClient, type FakeTargetOptions } from './faults-fake-target-client.ts';
import { InitiatorClient } from './faults-initiator-client.ts';
import { eventually, TestProcess } from './faults-process.ts';
import { RelayClient, type RelayFaults } from './faults-relay-client.ts';
import { MAIN } from './program.ts';
import { NetworkNamespace } from './system-namespace.ts';

const START_MS = 5_000;

/** The initiator's interface, and the target's. Names can be fixed because every laboratory has namespaces of its own. */
export const SAN = 'san0';
export const TARGET = 'tgt0';
export const SAN_MAC = '02:00:00:00:0a:01';
export const TARGET_MAC = '02:00:00:00:0b:01';

export const MIB = 1024 * 1024;
/** Size of a disk unless a test wants another one. */
export const DISK_BYTES = 64 * MIB;

export interface VbladeOptions {
  readonly host?: NetworkNamespace;
  readonly interface?: string;
  /** As vblade's command line has them, e.g. `-r`. */
  readonly words?: readonly string[];
}

/** One end of a wire. */
export interface WireEnd {
  readonly host: NetworkNamespace;
  readonly name: string;
  readonly mac?: string;
}

/** What a wire is plugged into: while it does not forward, nothing passes, and nobody at the wire's end is told. */
export interface SwitchPort {
  readonly forward: (isForwarding: boolean) => void;
}

/**
 * Network namespaces, wires, files and processes of one test, all removed by `close`. `initiator` and `target` are two hosts;
 * tests that want a switch or a bad network between them make further ones.
 */
export class Laboratory {
  /** Its name says whose it is: leftovers.ts. */
  readonly folder = mkdtempSync(join(tmpdir(), `aoe-csi-faults-${process.pid}-`));
  readonly initiator: NetworkNamespace;
  readonly target: NetworkNamespace;
  readonly #hosts: NetworkNamespace[] = [];
  readonly #processes: TestProcess[] = [];
  readonly #mounts: string[] = [];
  /** Ends of wires in the machine's own network. */
  readonly #links: string[] = [];

  /** @param inMachine the initiator's host is the machine itself, whose NBD driver is reached from there only before Linux 6.4 */
  constructor(inMachine = false) {
    this.initiator = this.host('initiator', inMachine);
    this.target = this.host('target');
  }

  /** One more host. */
  host(purpose: string, isMachine = false): NetworkNamespace {
    const host = new NetworkNamespace(`faults-${purpose}`, isMachine);
    this.#hosts.push(host);
    return host;
  }

  /** A wire between two hosts, by default from SAN to TARGET; both ends are up. */
  wire(
    mtu = 1500,
    left: WireEnd = { host: this.initiator, name: SAN, mac: SAN_MAC },
    right: WireEnd = { host: this.target, name: TARGET, mac: TARGET_MAC },
  ): void {
    const peer = ['peer', 'name', right.name, 'netns', right.host.name];
    execFileSync('ip', ['link', 'add', left.name, 'netns', left.host.name, 'type', 'veth', ...peer]);
    for (const { host, name, mac } of [left, right]) {
      if (host.isMachine) this.#links.push(name);
      // Without IPv6 nothing but AoE is on the wire.
      host.ip(`link set ${name} addrgenmode none`);
      if (mac !== undefined) host.ip(`link set ${name} address ${mac}`);
      host.ip(`link set ${name} mtu ${String(mtu)} up`);
    }
  }

  /** One switch with a wire to each of these interfaces; returns its host, where the switch's ports are `port1`, `port2` and so on. */
  switch(mtu: number, ...ends: WireEnd[]): NetworkNamespace {
    const host = this.host('switch');
    host.ip('link add switch type bridge');
    host.ip('link set switch addrgenmode none');
    ends.forEach((end, index) => this.plug(host, index + 1, mtu, end));
    host.ip(`link set switch up`);
    return host;
  }

  /** One wire more to a switch. @returns the switch's port */
  plug(host: NetworkNamespace, port: number, mtu: number, end: WireEnd): SwitchPort {
    const name = `port${String(port)}`;
    this.wire(mtu, end, { host, name });
    const forward = (isForwarding: boolean): void => host.ip(`link set ${name} ${isForwarding ? 'master switch' : 'nomaster'}`);
    forward(true);
    return { forward };
  }

  /** A file for a target, sparse and zero; returns its path. */
  disk(name = 'disk', sizeBytes = DISK_BYTES): string {
    const path = join(this.folder, name);
    writeFileSync(path, '');
    truncateSync(path, sizeBytes);
    return path;
  }

  /** A small file system in memory, to be filled; returns its folder. */
  tmpfs(sizeBytes: number): string {
    const path = join(this.folder, `tmpfs-${String(this.#mounts.length)}`);
    mkdirSync(path);
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${String(sizeBytes)}`, 'aoe-csi-faults', path]);
    this.#mounts.push(path);
    return path;
  }

  /** Starts any program on a host. */
  start(name: string, host: NetworkNamespace, ...words: string[]): TestProcess {
    const process = new TestProcess(name, ['ip', 'netns', 'exec', host.name, ...words], this.folder);
    this.#processes.push(process);
    return process;
  }

  /** Starts one of the scripts in test/support, through a launcher such as setpriv if need be. */
  script(name: string, host: NetworkNamespace, words: readonly string[], launcher: readonly string[] = []): TestProcess {
    const path = fileURLToPath(new URL(`./${name}.js`, import.meta.url));
    return this.start(name, host, ...launcher, process.execPath, path, ...words);
  }

  /** The initiator under test. */
  initiate(...interfaces: string[]): InitiatorClient {
    return new InitiatorClient(this.script('faults-initiator', this.initiator, interfaces), this.folder);
  }

  /** Debian's target; returns when it serves. */
  async vblade(name: string, disk: string, options: VbladeOptions = {}): Promise<TestProcess> {
    const { host = this.target, interface: link = TARGET, words = ['-b', '128'] } = options;
    const [shelf, slot] = name.slice(1).split('.');
    const process = this.start(`vblade ${name}`, host, 'vblade', ...words, shelf, slot, link, disk);
    // Its first line comes after the interface is open.
    await eventually('vblade to start', START_MS, () => {
      if (!process.running) throw new Error(process.report);
      return process.lines.length + process.errors.length > 0;
    });
    return process;
  }

  /** Our own target; `words` as its command line has them, after the interface. Returns when it serves. */
  async aoeCsiTarget(...words: string[]): Promise<TestProcess> {
    const process = this.start(
      'aoe-csi target',
      this.target,
      globalThis.process.execPath,
      MAIN,
      'target',
      '--interfaces',
      TARGET,
      ...words,
    );
    await eventually('the target to start', START_MS, () => {
      if (!process.running) throw new Error(process.report);
      return process.lines.length > 0;
    });
    return process;
  }

  /** A target of a test's own making, which lies as it is told to; returns when it serves. */
  async fakeTarget(options: Partial<FakeTargetOptions> = {}, host = this.target, link = TARGET): Promise<FakeTargetClient> {
    const client = new FakeTargetClient(this.script('faults-fake-target', host, [link, JSON.stringify(options)]));
    await client.ready(START_MS);
    return client;
  }

  /** A host in the middle that forwards frames between two of its interfaces, and makes what goes wrong in a network go wrong. */
  async relay(host: NetworkNamespace, left: string, right: string, faults: RelayFaults = {}): Promise<RelayClient> {
    const client = new RelayClient(this.script('faults-relay', host, [left, right, JSON.stringify(faults)]));
    await client.ready(START_MS);
    return client;
  }

  async close(): Promise<void> {
    for (const process of this.#processes.toReversed()) await process.end();
    for (const path of this.#mounts) execFileSync('umount', [path]);
    for (const name of this.#links) execFileSync('ip', ['link', 'delete', name]);
    for (const host of this.#hosts) host.remove();
    rmSync(this.folder, { recursive: true });
  }
}

/** Runs a test in a laboratory of its own. */
export async function inLaboratory(run: (laboratory: Laboratory) => Promise<void>): Promise<void> {
  const laboratory = new Laboratory();
  try {
    await run(laboratory);
  } finally {
    await laboratory.close();
  }
}
