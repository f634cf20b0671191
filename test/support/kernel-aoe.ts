import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { SAN } from './faults-laboratory.ts';
import { eventually } from './faults-process.ts';

const DISCOVER = '/dev/etherd/discover';

/** The kernel's own AoE initiator, on SAN in the host's own network namespace: it knows no other. */
export class KernelAoe {
  /** Runs a case with it. Its devices are gone afterwards, so that it does not answer for targets of other cases. */
  static async use<T>(run: (peer: KernelAoe) => Promise<T>): Promise<T> {
    execFileSync('modprobe', ['aoe', `aoe_iflist=${SAN}`]);
    try {
      return await run(new KernelAoe());
    } finally {
      await eventually('aoe to be unloaded', 20_000, () => {
        try {
          execFileSync('rmmod', ['aoe'], { stdio: 'ignore' });
          return true;
        } catch {
          return false;
        }
      });
    }
  }

  /** Waits until it has found a target; returns the device, `/dev/etherd/e10.3`. */
  async attach(name: string): Promise<string> {
    const device = `/dev/etherd/${name}`;
    await eventually(`aoe to find ${name}`, 20_000, () => {
      writeFileSync(DISCOVER, 'x');
      return existsSync(device) && this.state(name) === 'up';
    });
    return device;
  }

  /** What it says of a device: `up`, `down`, `down,closewait` … */
  state(name: string): string {
    const path = join('/sys/block', `etherd!${name}`, 'state');
    return existsSync(path) ? readFileSync(path, 'utf8').trim() : 'gone';
  }
}
