import { parseTargetAddress } from '../../src/aoe/address.ts';
import { CONFIG_FORCE_SET, CONFIG_READ, CONFIG_SET, RESERVE_READ } from '../../src/aoe/constants.ts';
import type { Cluster } from './cluster.ts';
import { inNetwork, SAN_INTERFACE } from './cluster-network.ts';
import { TestProcess } from './faults-process.ts';
import { pathOf } from './repository.ts';
import { TargetProber } from './target-prober-client.ts';

/** Whose a target is, by what stands on it. */
export interface Ownership {
  readonly configString: string;
  /** That it is reserved for. */
  readonly macs: readonly number[];
}

/** Somebody on a cluster's storage network who is no part of the cluster: asks targets, and may take them. */
export class Stranger {
  readonly #prober: TargetProber;

  private constructor(prober: TargetProber) {
    this.#prober = prober;
  }

  static async come(cluster: Cluster): Promise<Stranger> {
    const words = [
      ...inNetwork(cluster.network.stranger()),
      process.execPath,
      pathOf('dist/test/support/target-prober.js'),
      SAN_INTERFACE,
    ];
    return new Stranger(await new TargetProber(new TestProcess('stranger', words, cluster.folder)).ready());
  }

  async ownership(target: string): Promise<Ownership> {
    const place = parseTargetAddress(target);
    const { config } = await this.#prober.config(CONFIG_READ, '', place);
    const { reserve } = await this.#prober.reserve(RESERVE_READ, [], place);
    return { configString: Buffer.from(config?.string ?? []).toString('latin1'), macs: reserve?.macs ?? [] };
  }

  /** Claims a target that nobody has claimed. */
  async claim(target: string, text: string): Promise<void> {
    await this.#prober.config(CONFIG_SET, text, parseTargetAddress(target));
  }

  /** Gives it back. */
  async release(target: string): Promise<void> {
    await this.#prober.config(CONFIG_FORCE_SET, '', parseTargetAddress(target));
  }

  async go(): Promise<void> {
    await this.#prober.process.end();
  }
}
