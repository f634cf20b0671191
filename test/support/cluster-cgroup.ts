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

  /** Once all of its processes have ended. */
  async remove(): Promise<void> {
    await eventually(`the control groups ${this.name} to be empty`, END_MS, () => removeCgroups(this.name));
  }
}

/** @returns false while there are processes in it */
export function removeCgroups(name: string): boolean {
  try {
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
