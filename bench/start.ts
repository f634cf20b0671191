import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import type { Row } from './row.ts';
import { pairedRatios, summarize } from './support/statistics.ts';
import { formatNumber, formatTable } from './support/table.ts';

export interface StartOptions {
  readonly rounds: number;
  readonly print: (text: string) => void;
  readonly progress: (text: string) => void;
}

interface Daemon {
  readonly name: string;
  readonly words: (place: Place) => readonly string[];
  /** The line of its log that says so, or `connection`: the first one to what stands where the API server would. */
  readonly ready: string;
}

interface Place {
  readonly folder: string;
  readonly kubeconfig: string;
  readonly server: Server;
}

interface Subject {
  readonly name: string;
  readonly program: string;
  readonly environment: (place: Place) => Readonly<Record<string, string>>;
}

const SUITE = 'start';
const LIMIT_MS = 60_000;
const CONNECTION = 'connection';
const BUNDLE = 'dist/app/main.js';
const nothing = (): Readonly<Record<string, string>> => ({});

/** The first one is what the others are compared with. */
const SUBJECTS: readonly Subject[] = [
  { name: 'as emitted', program: 'dist/src/main.js', environment: nothing },
  { name: 'bundle', program: BUNDLE, environment: nothing },
  {
    name: 'bundle, compile cache',
    program: BUNDLE,
    environment: ({ folder }) => ({ NODE_COMPILE_CACHE: join(folder, 'compile-cache') }),
  },
];

const DAEMONS: readonly Daemon[] = [
  {
    name: 'initiator runs',
    words: ({ folder }) => [
      'initiator',
      '--socket',
      join(folder, 'i/initiator.sock'),
      '--etherd-directory',
      'none',
      '--attach',
      'nbd-socket',
    ],
    ready: 'the initiator runs',
  },
  {
    name: 'node serves, store in a folder',
    words: (place) => nodeWords(place, join(place.folder, 'store')),
    ready: 'CSI for node',
  },
  { name: 'node asks the API server', words: (place) => nodeWords(place, 'kubernetes:bench'), ready: CONNECTION },
];

/** Who waits for an API server that never answers is killed, and so writes no compiled code to a cache. */
function endOf({ ready }: Daemon): NodeJS.Signals {
  return ready === CONNECTION ? 'SIGKILL' : 'SIGTERM';
}

function subjectsOf(daemon: Daemon): readonly Subject[] {
  return endOf(daemon) === 'SIGKILL' ? SUBJECTS.filter(({ environment }) => environment === nothing) : SUBJECTS;
}

function nodeWords({ folder }: Place, store: string): string[] {
  const paths = [
    '--endpoint',
    `unix://${folder}/csi.sock`,
    '--initiator',
    join(folder, 'i/initiator.sock'),
    '--state-directory',
    join(folder, 'state'),
  ];
  return ['node', ...paths, '--store', store, '--cluster-id', 'bench', '--node-id', 'bench'];
}

/** From the start of a daemon's process until it is of use, with each of the ways in which the program can be there, in turn. */
export async function measureStarts({ rounds, print, progress }: StartOptions): Promise<Row[]> {
  if (!existsSync(BUNDLE)) throw new Error(`there is no ${BUNDLE}: run npm run bundle first`);
  const place = await providePlace();
  const samples = DAEMONS.map(() => SUBJECTS.map((): number[] => []));
  try {
    // The first round fills caches, of files and of compiled code, and does not count.
    for (let round = 0; round <= rounds; round++) {
      for (const [at, daemon] of DAEMONS.entries()) {
        for (const [index, subject] of subjectsOf(daemon).entries()) {
          const ms = await startOnce(daemon, subject, place);
          if (round > 0) samples[at][index].push(ms);
        }
      }
      progress(`${SUITE}, round ${round}/${rounds}`);
    }
  } finally {
    place.server.close();
    rmSync(place.folder, { recursive: true, force: true });
  }
  const results = DAEMONS.flatMap((daemon, at) =>
    subjectsOf(daemon).map((subject, index) => ({
      daemon,
      subject,
      ms: summarize(samples[at][index]),
      ratio: summarize(pairedRatios(samples[at][index], samples[at][0])),
    })),
  );
  const lines = results.map(({ daemon, subject, ms, ratio }) => [
    daemon.name,
    subject.name,
    `${formatNumber(ms.median)} (${formatNumber(ms.low)}–${formatNumber(ms.high)})`,
    ratio.median.toFixed(2),
  ]);
  print(`\n${formatTable(['until', 'program', 'ms, median (lowest–highest)', 'ratio'], lines)}`);
  return results.map(({ daemon, subject, ms }) => ({
    suite: SUITE,
    workload: daemon.name,
    subject: subject.name,
    value: ms.median,
    unit: 'ms median',
  }));
}

/** A folder, and somebody who takes connections as an API server would, and never answers. */
async function providePlace(): Promise<Place> {
  const folder = mkdtempSync(join(tmpdir(), 'aoe-csi-start-'));
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const kubeconfig = join(folder, 'kubeconfig.json');
  const cluster = { name: 'bench', cluster: { server: `https://127.0.0.1:${(server.address() as AddressInfo).port}` } };
  const context = { name: 'bench', context: { cluster: 'bench', user: 'bench' } };
  const known = { clusters: [cluster], users: [{ name: 'bench', user: {} }], contexts: [context], 'current-context': 'bench' };
  writeFileSync(kubeconfig, JSON.stringify({ apiVersion: 'v1', kind: 'Config', ...known }));
  return { folder, kubeconfig, server };
}

async function startOnce(daemon: Daemon, subject: Subject, place: Place): Promise<number> {
  const startedMs = performance.now();
  const child = spawn(process.execPath, [subject.program, ...daemon.words(place)], {
    env: { ...process.env, KUBECONFIG: place.kubeconfig, ...subject.environment(place) },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const ended = once(child, 'exit');
  try {
    await readyOf(child, child.stderr, daemon, place);
    return performance.now() - startedMs;
  } finally {
    child.kill(endOf(daemon));
    await ended;
  }
}

async function readyOf(child: ChildProcess, log: Readable, { name, ready }: Daemon, { server }: Place): Promise<void> {
  const lines: string[] = [];
  let connected: () => void = () => undefined;
  let alarm: NodeJS.Timeout | undefined;
  try {
    await new Promise<void>((resolve, reject) => {
      const fail = (what: string): void => reject(new Error(`until ${name}: ${what}; it said: ${lines.join('\n')}`));
      connected = resolve;
      if (ready === CONNECTION) server.once('connection', connected);
      createInterface({ input: log }).on('line', (line) => {
        lines.push(line);
        if (line.includes(ready)) resolve();
      });
      child.once('exit', (code) => fail(`ended with ${code}`));
      alarm = setTimeout(() => fail(`not within ${LIMIT_MS} ms`), LIMIT_MS);
    });
  } finally {
    clearTimeout(alarm);
    server.off('connection', connected);
  }
}
