import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { identifyProcess, isRunning, type ProcessIdentity } from '../system/process-identity.ts';

/** Where runs of the demo keep what they must remember; gone after a reboot, as all that they make is. */
const RUNS = '/run/aoe-csi-demo';
/** Everything of a demo is named with this and the number of its run. */
const PREFIX = 'aoe-demo';
const OWNER_SUFFIX = '.json';
const PRIVATE = 0o700;
/** Short: paths of unix sockets are. */
const INITIATOR = 'i';

/** One run of the demo: how the things are called that it makes, so that they can be found again after it was killed. */
export class DemoRun {
  readonly id: string;
  /** Network namespaces of the two machines that the demo plays. The first one's may be this machine's own instead. */
  readonly initiatorNamespace: string;
  readonly targetNamespace: string;
  /** The end of the cable where the initiator is in this machine's own network. */
  readonly machineInterface: string;
  /** For controller and node plugin: without any network, which they don't need. */
  readonly pluginNamespace: string;
  /** For sockets, logs, store, state and mounts. */
  readonly folder: string;

  /** A run of this process. Remembers on disk who it belongs to, before anything else is made. */
  static begin(): DemoRun {
    const run = new DemoRun(String(process.pid));
    mkdirSync(RUNS, { recursive: true, mode: PRIVATE });
    writeFileSync(`${run.#ownerPath}.new`, JSON.stringify(identifyProcess(process.pid)));
    renameSync(`${run.#ownerPath}.new`, run.#ownerPath);
    mkdirSync(run.folder, { mode: PRIVATE });
    return run;
  }

  /** Runs whose process has ended without removing what it had made. */
  static leftovers(): DemoRun[] {
    if (!existsSync(RUNS)) return [];
    return readdirSync(RUNS)
      .filter((name) => name.endsWith(OWNER_SUFFIX))
      .map((name) => new DemoRun(name.slice(0, -OWNER_SUFFIX.length)))
      .filter((run) => !run.#isOwned());
  }

  private constructor(id: string) {
    this.id = id;
    this.initiatorNamespace = `${PREFIX}-${id}-initiator`;
    this.targetNamespace = `${PREFIX}-${id}-target`;
    this.pluginNamespace = `${PREFIX}-${id}-plugins`;
    this.machineInterface = `aoedemo${id}`;
    this.folder = join(RUNS, id);
  }

  /** Forgets the run: everything that it had made is gone. */
  end(): void {
    rmSync(this.folder, { recursive: true, force: true });
    rmSync(this.#ownerPath, { force: true });
  }

  get socketPath(): string {
    return join(this.runDirectory, 'initiator.sock');
  }

  /** The initiator's own. */
  get runDirectory(): string {
    return join(this.folder, INITIATOR);
  }

  csiSocket(plugin: 'controller' | 'node'): string {
    return join(this.folder, `${plugin}.sock`);
  }

  /** What controller and node plugin share: targets, claims, nodes. */
  get storeFolder(): string {
    return join(this.folder, 'store');
  }

  /** What the node plugin remembers of what it has staged. */
  get stateDirectory(): string {
    return join(this.folder, 'state');
  }

  /** Of the orchestrator on the node; it chooses where a volume is staged and published. */
  get kubeletFolder(): string {
    return join(this.folder, 'kubelet');
  }

  /** Where the volume is mounted once for the node. */
  get stagingPath(): string {
    return join(this.kubeletFolder, 'staging');
  }

  /** Where a pod sees the volume. */
  get targetPath(): string {
    return join(this.kubeletFolder, 'pod', 'volume');
  }

  log(process: string): string {
    return join(this.folder, `${process}.log`);
  }

  /** Name of the folder for the disk of the target, wherever there is room for it. */
  get diskFolderName(): string {
    return `${PREFIX}-${this.id}`;
  }

  get #ownerPath(): string {
    return `${this.folder}${OWNER_SUFFIX}`;
  }

  #isOwned(): boolean {
    return isRunning(JSON.parse(readFileSync(this.#ownerPath, 'utf8')) as ProcessIdentity);
  }
}
