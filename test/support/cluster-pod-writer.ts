import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from '@jest/globals';
import type { Cluster } from './cluster.ts';
import { MOUNT, type Workloads } from './cluster-workloads.ts';

const FILE = `${MOUNT}/numbers`;
/**
 * Appends numbers to a file, each durable before it is said with the second of its writing: a gap in what it says is a write that had
 * to wait, and a number that was said and is not in the file is lost. Goes on after the last one when it is started again.
 */
const SCRIPT = [
  'n=0',
  `if [ -e ${FILE} ]; then while read -r each; do n=$each; done <${FILE}; fi`,
  'while :; do n=$((n + 1))',
  `if echo $n >>${FILE} && sync ${FILE}; then echo "$n $(date +%s)"; else echo "failed $n"; fi`,
  'sleep 1; done',
].join('; ');
const WRITES = 3;
const WRITES_MS = 30_000;

/** A number that is durable, and when that was. */
export interface Written {
  readonly number: number;
  readonly second: number;
}

/** A pod that writes all the time, to a volume of its own. */
export class PodWriter {
  readonly pod = 'writer';
  readonly claim = 'data';
  /** What it appends to, where it has its volume. */
  readonly file = FILE;
  readonly #work: Workloads;
  readonly #cluster: Cluster;

  constructor(cluster: Cluster, work: Workloads) {
    this.#cluster = cluster;
    this.#work = work;
  }

  /** @param wanted node that it must run on @returns the node that it runs on */
  async start(wanted?: string): Promise<string> {
    await this.#work.claim(this.claim, { size: '100Mi' });
    await this.#work.pod(this.pod, {
      claim: this.claim,
      script: SCRIPT,
      spec: { restartPolicy: 'Always' },
      ...(wanted === undefined ? {} : { node: wanted }),
    });
    const node = await this.#work.running(this.pod);
    await this.writesOn();
    return node;
  }

  /** Waits until it has written more. */
  async writesOn(timeoutMs = WRITES_MS): Promise<void> {
    const before = this.written().length;
    await this.#cluster.until('the pod to write', timeoutMs, () => Promise.resolve(this.written().length >= before + WRITES));
  }

  /** What it has said, also in containers before and while no API server can be asked. @throws Error when a write has failed */
  written(): readonly Written[] {
    const lines = this.#cluster.nodes.flatMap(({ podLogs }) => linesOf(podLogs, `${this.#work.namespace}_${this.pod}_`));
    const failed = lines.filter((line) => !/^\d+ \d+$/.test(line));
    if (failed.length > 0) throw new Error(`the pod said: ${failed.join(', ')}`);
    const written = lines.map((line) => line.split(' ').map(Number)).map(([number, second]) => ({ number, second }));
    return written.toSorted((a, b) => a.number - b.number);
  }

  /** The last number that it has said. */
  get last(): number {
    return this.written().at(-1)?.number ?? 0;
  }

  /** The longest that a write has had to wait, in seconds. @param number of those after this one */
  longestWait(number = 0): number {
    const written = this.written();
    const waits = written.slice(1).map((each, index) => (each.number > number ? each.second - written[index].second : 0));
    return Math.max(0, ...waits);
  }

  /** That nothing is missing in the volume that was said to be durable. @param pod that has the volume */
  async requireAllIn(pod: string): Promise<void> {
    const said = this.last;
    const numbers = (await this.#work.run(pod, `cat ${FILE}`)).split('\n').map(Number);
    expect(numbers).toEqual(numbers.map((_, index) => index + 1));
    expect(numbers.length).toBeGreaterThanOrEqual(said);
  }
}

/** What containers of a pod have said, as containerd keeps it. */
function linesOf(podLogs: string, prefix: string): string[] {
  if (!existsSync(podLogs)) return [];
  const folders = readdirSync(podLogs).filter((name) => name.startsWith(prefix));
  const paths = folders.flatMap((folder) =>
    readdirSync(join(podLogs, folder, 'main')).map((name) => join(podLogs, folder, 'main', name)),
  );
  return paths.flatMap((path) => {
    const lines = readFileSync(path, 'utf8').split('\n');
    // The last one may not be whole yet.
    return lines.slice(0, -1).map((line) => line.replace(/^\S+ std(?:out|err) F /, ''));
  });
}
