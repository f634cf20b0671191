import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { eventually } from './faults-process.ts';

const ROOT = '/sys/fs/cgroup';
const END_MS = 5_000;
/** Of a cpuset without these nobody can be a member. */
const CPUSET = ['cpuset.cpus', 'cpuset.mems'];

/** A control group of a node, under which its kubelet has the groups of its pods: one folder in each hierarchy of version 1. */
export class NodeCgroup {
  readonly name: string;

  constructor(name: string) {
    this.name = name;
  }

  make(): void {
    for (const folder of hierarchies()) {
      const own = join(folder, this.name);
      mkdirSync(own);
      for (const file of CPUSET.filter((each) => existsSync(join(own, each)))) {
        writeFileSync(join(own, file), readFileSync(join(folder, file)));
      }
    }
  }

  /** Starts a command line in it; what that starts is in it, too. */
  launcher(): string[] {
    return ['sh', '-c', `echo $$ > ${freezer(this.name)}/cgroup.procs && exec "$@"`, 'sh'];
  }

  /** Nothing in it runs until it is thawed: a machine that hangs. */
  freeze(): void {
    writeFileSync(join(freezer(this.name), 'freezer.state'), 'FROZEN');
  }

  thaw(): void {
    writeFileSync(join(freezer(this.name), 'freezer.state'), 'THAWED');
  }

  /** Once all of its processes have ended. */
  async remove(): Promise<void> {
    await eventually(`the control groups ${this.name} to be empty`, END_MS, () => removeCgroups(this.name));
  }
}

/** What is frozen does not end: it is thawed. @returns false while there are processes in it */
export function removeCgroups(name: string): boolean {
  try {
    if (existsSync(freezer(name))) writeFileSync(join(freezer(name), 'freezer.state'), 'THAWED');
    for (const folder of hierarchies()) removeTree(join(folder, name));
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EBUSY') return false;
    throw error;
  }
}

/** Of all groups that are in no other one. */
export function cgroupNames(): string[] {
  return [...new Set(hierarchies().flatMap(foldersIn))];
}

function freezer(name: string): string {
  return join(ROOT, 'freezer', name);
}

function hierarchies(): string[] {
  return foldersIn(ROOT).map((name) => join(ROOT, name));
}

function foldersIn(folder: string): string[] {
  const entries = existsSync(folder) ? readdirSync(folder, { withFileTypes: true }) : [];
  return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
}

/** Files in it are the kernel's and go with their folder. */
function removeTree(folder: string): void {
  if (!existsSync(folder)) return;
  for (const name of foldersIn(folder)) removeTree(join(folder, name));
  rmdirSync(folder);
}
