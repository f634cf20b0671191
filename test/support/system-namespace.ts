import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { command, root, type Requirement } from './requires.ts';

let made = 0;

/** A network namespace of a test's own, empty but for its loopback interface. Needs root and iproute2. */
export class NetworkNamespace {
  readonly name: string;

  constructor(purpose: string) {
    this.name = `aoe-csi-${purpose}-${process.pid}-${++made}`;
    execFileSync('ip', ['netns', 'add', this.name]);
  }

  /** Runs `ip` with the words of `commandLine` in it. */
  ip(commandLine: string): void {
    execFileSync('ip', ['-n', this.name, ...commandLine.split(' ')], { stdio: ['ignore', 'ignore', 'pipe'] });
  }

  /** A command line that runs one of the scenarios in system-scenarios.ts in it. */
  scenario(name: string, launcher: readonly string[] = []): readonly string[] {
    const script = fileURLToPath(new URL('./system-scenarios.js', import.meta.url));
    return ['ip', 'netns', 'exec', this.name, ...launcher, process.execPath, script, name];
  }

  remove(): void {
    execFileSync('ip', ['netns', 'delete', this.name]);
  }
}

/** The kernel can make interfaces of this kind (vlan, macvlan …). Not every CI machine's can. */
export function interfaceKind(kind: string): Requirement {
  const missing = `needs network interfaces of kind ${kind}: run a kernel that has them`;
  if (root().missing !== undefined || command('ip', 'iproute2').missing !== undefined) return { missing, certainInCi: false };
  const namespace = new NetworkNamespace('kind');
  try {
    namespace.ip('link add parent type veth');
    namespace.ip(`link add link parent name child type ${kind}${kind === 'vlan' ? ' id 1' : ''}`);
    return { missing: undefined, certainInCi: false };
  } catch {
    return { missing, certainInCi: false };
  } finally {
    namespace.remove();
  }
}

/** Runs a scenario in a namespace made for it and returns what it printed. */
export function runScenario(name: string, launcher: readonly string[] = []): unknown {
  const namespace = new NetworkNamespace('system');
  try {
    const [program, ...words] = namespace.scenario(name, launcher);
    return JSON.parse(execFileSync(program, words, { encoding: 'utf8', timeout: 15_000 }));
  } finally {
    namespace.remove();
  }
}
