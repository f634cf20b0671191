import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

let made = 0;

/** A network namespace of a test's own, empty but for its loopback interface. Needs root and iproute2. */
export class NetworkNamespace {
  readonly name: string;
  /** It is the machine's own: what is made in it stays when it is removed. */
  readonly isMachine: boolean;

  /** @param isMachine gives the machine's own network a name like any other; for machines that are the test's */
  constructor(purpose: string, isMachine = false) {
    this.name = `aoe-csi-${purpose}-${process.pid}-${++made}`;
    this.isMachine = isMachine;
    // Of a killed run whose process had the number that this one has now: what has ended before a run is removed by it, this is not.
    if (existsSync(`/run/netns/${this.name}`)) this.remove();
    execFileSync('ip', isMachine ? ['netns', 'attach', this.name, '1'] : ['netns', 'add', this.name]);
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
