import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { identifyProcess, isRunning, type ProcessIdentity } from '../system/process-identity.ts';

/** Where runs of the demo keep what they must remember; gone after a reboot, as all that they make is. */
const RUNS = '/run/aoe-csi-demo';
/** Everything of a demo is named with this and the number of its run. */
const PREFIX = 'aoe-demo';
const OWNER = 'owner.json';
/** Short: paths of unix sockets are. */
const INITIATOR = 'i';

/** One run of the demo: how the things are called that it makes, so that they can be found again after it was killed. */
export class DemoRun {
  readonly id: string;
  /** Network namespaces of the two machines that the demo plays. */
  readonly initiatorNamespace: string;
  readonly targetNamespace: string;
  /** For sockets, logs and the mount point. */
  readonly folder: string;

  /** A run of this process. Remembers on disk who it belongs to, before anything else is made. */
  static begin(): DemoRun {
    const run = new DemoRun(String(process.pid));
    mkdirSync(run.mountPoint, { recursive: true, mode: 0o700 });
    writeFileSync(join(run.folder, OWNER), JSON.stringify(identifyProcess(process.pid)));
    return run;
  }

  /** Runs whose process has ended without removing what it had made. */
  static leftovers(): DemoRun[] {
    return foldersIn(RUNS)
      .map((id) => new DemoRun(id))
      .filter((run) => !run.#isOwned());
  }

  private constructor(id: string) {
    this.id = id;
    this.initiatorNamespace = `${PREFIX}-${id}-initiator`;
    this.targetNamespace = `${PREFIX}-${id}-target`;
    this.folder = join(RUNS, id);
  }

  get socketPath(): string {
    return join(this.runDirectory, 'initiator.sock');
  }

  /** The initiator's own. */
  get runDirectory(): string {
    return join(this.folder, INITIATOR);
  }

  get mountPoint(): string {
    return join(this.folder, 'mnt');
  }

  log(process: string): string {
    return join(this.folder, `${process}.log`);
  }

  /** Name of the folder for the disk of the target, wherever there is room for it. */
  get diskFolderName(): string {
    return `${PREFIX}-${this.id}`;
  }

  #isOwned(): boolean {
    try {
      return isRunning(JSON.parse(readFileSync(join(this.folder, OWNER), 'utf8')) as ProcessIdentity);
    } catch {
      // Killed before it was written: then nothing else was made either.
      return false;
    }
  }
}

function foldersIn(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}
