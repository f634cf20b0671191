/** csi-sanity, unmodified: the suite that Kubernetes' storage group tests CSI drivers with. */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { installedGoProgram } from './csi-go.ts';
import { parseJunit, type JunitCase } from './csi-junit.ts';

const PACKAGE = 'github.com/kubernetes-csi/csi-test/v5/cmd/csi-sanity@v5.6.0';

/** Building it from nothing, with its modules to be fetched, takes a minute on two cores. */
export const SANITY_BUILD_MS = 300_000;

/** Names the program for those who can't build it: cases in kernel guests (test/kernel/host/programs.ts). */
export const SANITY_PROGRAM = 'AOE_CSI_KERNEL_CSI_SANITY';

/** The program; built when there is none in the cache. */
export function csiSanity(): string {
  return process.env[SANITY_PROGRAM] ?? installedGoProgram(PACKAGE);
}

/** A status is printed with all its fields; what it says comes first. */
const MESSAGE_MAX = 400;

export interface SanityOptions {
  /** Unix sockets of the two plugins; the same path for a plugin that is both. */
  readonly nodeSocket: string;
  readonly controllerSocket: string;
  readonly accessType: 'mount' | 'block';
  /** Where volumes are staged and published, and where the reports stay. */
  readonly folder: string;
  /** Where volumes are staged and published, when that is elsewhere. */
  readonly mountFolder?: string;
  /** Runs a command line where the sockets are, when that is elsewhere; `folder` must be there, too. */
  readonly run?: (words: readonly string[]) => Promise<string>;
  readonly volumeSizeBytes: number;
  readonly expandedSizeBytes: number;
  /** Of the StorageClass and of the VolumeAttributesClass. */
  readonly parameters: Readonly<Record<string, string>>;
  readonly mutableParameters: Readonly<Record<string, string>>;
  readonly secrets?: Readonly<Record<string, Readonly<Record<string, string>>>>;
  readonly timeoutMs: number;
  /** Only specs whose names match; for tests of a part. */
  readonly focus?: string;
}

export interface SanityResult {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  readonly cases: readonly JunitCase[];
  /** The suite's own words, for a person who wants to know why. */
  readonly output: string;
  readonly junitPath: string;
}

/**
 * Runs the suite against two sockets.
 *
 * @param options.focus specs that it leaves out are no part of the result
 * @throws Error when the suite did not come to its end
 */
export async function runCsiSanity(options: SanityOptions): Promise<SanityResult> {
  // A path of its own for each run: the suite refuses to start where something is left of another one.
  const folder = mkdtempSync(join(options.folder, `sanity-${options.accessType}-`));
  const junitPath = join(folder, 'junit.xml');
  const words = [csiSanity(), ...argumentsOf(options, folder, junitPath)];
  const { output, ended } = await (options.run === undefined ? run(words, options.timeoutMs) : runElsewhere(words, options.run));
  writeFileSync(join(folder, 'output.txt'), output);
  const cases = parseJunit(reportAt(junitPath, `csi-sanity ${ended} without a report:\n${output}`));
  if (cases.length === 0) throw new Error(`csi-sanity ${ended} and ran no spec:\n${output}`);
  const relevant = options.focus === undefined ? cases : cases.filter(({ status }) => status !== 'skipped');
  const count = (status: JunitCase['status']): number => relevant.filter((each) => each.status === status).length;
  const counts = { passed: count('passed'), failed: count('failed'), skipped: count('skipped') };
  if (ended !== 'ended with 0' && counts.failed === 0) {
    throw new Error(`csi-sanity ${ended}, but says of no spec that it failed:\n${output}`);
  }
  return { ...counts, cases: relevant, output, junitPath };
}

interface Ended {
  readonly output: string;
  readonly ended: string;
}

/** The line that the issue and the README promise. */
export function sanitySummary(accessType: string, { passed, failed, skipped }: SanityResult): string {
  return `csi-sanity ${accessType}: ${passed} passed, ${failed} failed, ${skipped} skipped`;
}

/** `name: message` of each spec that failed, the message as far as it helps; what a test expects to be empty. */
export function sanityFailures({ cases }: SanityResult): string[] {
  return cases
    .filter(({ status }) => status === 'failed')
    .map(({ name, message }) => `${name}: ${message.replace(/\s+/g, ' ').slice(0, MESSAGE_MAX)}`);
}

/** Names of the specs that skipped themselves, sorted: what is compared with the committed list. */
export function sanitySkips({ cases }: SanityResult): string[] {
  return cases
    .filter(({ status }) => status === 'skipped')
    .map(({ name }) => name)
    .sort();
}

function argumentsOf(options: SanityOptions, folder: string, junitPath: string): string[] {
  const mounts = options.mountFolder === undefined ? folder : join(options.mountFolder, basename(folder));
  // JSON is YAML.
  const written = (name: string, value: object): string => {
    const path = join(folder, name);
    writeFileSync(path, JSON.stringify(value));
    return path;
  };
  return [
    `-csi.endpoint=unix://${options.nodeSocket}`,
    `-csi.controllerendpoint=unix://${options.controllerSocket}`,
    `-csi.mountdir=${mounts}-mount`,
    `-csi.stagingdir=${mounts}-staging`,
    `-csi.testvolumesize=${options.volumeSizeBytes}`,
    `-csi.testvolumeexpandsize=${options.expandedSizeBytes}`,
    `-csi.testvolumeaccesstype=${options.accessType}`,
    `-csi.testvolumeparameters=${written('parameters.yaml', options.parameters)}`,
    `-csi.testvolumemutableparameters=${written('mutable-parameters.yaml', options.mutableParameters)}`,
    '-csi.testnodevolumeattachlimit',
    '-csi.testinvalidlistvolumesstartingtoken=invalid-token',
    ...(options.secrets === undefined ? [] : [`-csi.secrets=${written('secrets.yaml', options.secrets)}`]),
    ...(options.focus === undefined ? [] : [`-ginkgo.focus=${options.focus}`]),
    `-ginkgo.timeout=${Math.ceil(options.timeoutMs / 1000)}s`,
    `-ginkgo.junit-report=${junitPath}`,
    '-ginkgo.no-color',
  ];
}

/** The program's own time limit has to do. */
async function runElsewhere(words: readonly string[], launch: (words: readonly string[]) => Promise<string>): Promise<Ended> {
  const script = '"$@" 2>&1; code=$?; echo; echo "ended with $code"';
  const lines = (await launch(['sh', '-c', script, 'sh', ...words])).trimEnd().split('\n');
  return { output: lines.slice(0, -1).join('\n'), ended: lines.at(-1) ?? '' };
}

/** How the program ended, and what it said. Past its own time limit it gets a moment to write its report, then is killed. */
async function run([program, ...args]: readonly string[], timeoutMs: number): Promise<Ended> {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], timeout: timeoutMs + 10_000, killSignal: 'SIGKILL' });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  }
  const ended = await new Promise<string>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => resolve(`ended with ${code ?? signal}`));
  });
  return { output, ended };
}

function reportAt(path: string, complaint: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new Error(complaint, { cause: error });
  }
}
