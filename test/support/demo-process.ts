import { execFileSync, spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { listMounts } from '../../src/system/mounts.ts';
import { identifyProcess } from '../../src/system/process-identity.ts';
import { eventually } from './faults-process.ts';
import { MAIN } from './program.ts';

/** How long a demo takes, with some margin. */
export const DEMO_MS = 60_000;
const END_MS = 5_000;

const FROM_POD = ['NodeUnpublishVolume', 'NodeUnstageVolume', 'ControllerUnpublishVolume'];
const TO_POD = ['ControllerPublishVolume', 'NodeStageVolume', 'NodePublishVolume', 'NodeGetVolumeStats'];
const GROWTH = ['ControllerExpandVolume', 'NodeExpandVolume'];
const END = ['DeleteVolume', 'e10.3: Released', 'e10.3: Wiping', 'e10.3: Available'];

/** What the demo has to tell of. A device that grows in use is looked at once more. */
export function lifeOf(growsInUse: boolean): string[] {
  const seen = growsInUse ? ['NodeGetVolumeStats'] : [];
  return ['CreateVolume', ...TO_POD, ...GROWTH, ...seen, ...FROM_POD, ...TO_POD, ...FROM_POD, ...END];
}

/** The calls of CSI in what a demo has said, and what became of the target; what is told twice in a row once. */
export function stepsIn(out: string): string[] {
  const steps = [...out.matchAll(/\] ([A-Z]\w+Volume\w*|e10\.3: [A-Z]\w+)\b/g)].map(([, step]) => step);
  return steps.filter((step, index) => step !== steps[index - 1]);
}

/** Everything on this machine that belongs to the demo of this process. */
export function tracesOf(pid: number): string[] {
  const namespaces = execFileSync('ip', ['netns', 'list'], { encoding: 'utf8' }).split('\n');
  const loops = readdirSync('/sys/block').map((name) => `/sys/block/${name}/loop/backing_file`);
  const paths = [`/run/aoe-csi-demo/${pid}`, `/run/aoe-csi-demo/${pid}.json`, `/dev/shm/aoe-demo-${pid}`];
  return [
    ...namespaces.filter((name) => name.includes(`aoe-demo-${pid}-`)),
    ...listMounts().flatMap(({ mountPoint }) => (mountPoint.includes(`/aoe-csi-demo/${pid}`) ? [mountPoint] : [])),
    ...loops.filter((path) => existsSync(path) && readFileSync(path, 'utf8').includes(`/aoe-csi-demo/${pid}/`)),
    ...[...paths, `/sys/class/net/aoedemo${pid}`].filter(existsSync),
  ];
}

/** Starts a demo, and ends it with `signal` when it has said `text`. */
export async function endedDemo(
  text: string,
  signal: 'SIGINT' | 'SIGTERM' | 'SIGKILL',
): Promise<{ pid: number; code: number | null; out: string }> {
  const child = spawn(process.execPath, [MAIN, 'demo', '--size', '32'], { stdio: ['ignore', 'pipe', 'pipe'] });
  const { pid } = child;
  if (pid === undefined) throw new Error('the demo was not started');
  let out = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (out += chunk.toString()));
  const ended = new Promise<number | null>((done) => child.once('close', done));
  await eventually(`the demo to say ${text}`, DEMO_MS, () => out.includes(text) || child.exitCode !== null);
  child.kill(signal);
  // The daemons of a killed demo keep its pipes open.
  // Its writes may still wait for the target that it had killed, and with them its exit status.
  if (signal === 'SIGKILL') await eventually('its end', END_MS, () => identifyProcess(pid) === undefined);
  return { pid, code: signal === 'SIGKILL' ? null : await ended, out };
}
