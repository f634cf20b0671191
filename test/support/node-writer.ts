import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DurableWriter, type WriterReport } from './durable-writer.ts';
import { eventually } from './faults-process.ts';
import type { NodeLaboratory } from './node-laboratory.ts';
import type { NodeProcess } from './node-process.ts';
import { NodeVolume } from './node-volume.ts';

const PROGRESS_MS = 30_000;
const SALT = 7;

/** A pod that writes to a volume of its own, ext4, and is promised that each write is durable, whatever happens around it. */
export class NodeWriter {
  readonly #lab: NodeLaboratory;
  readonly #node: NodeProcess;
  readonly #volume: NodeVolume;
  readonly #writer: DurableWriter;
  readonly #address: string;

  static async start(lab: NodeLaboratory, node: NodeProcess, address: string): Promise<NodeWriter> {
    const volume = new NodeVolume(lab, node, await lab.volume(address), 'ext4');
    await volume.stage();
    await volume.publish();
    const writer = await DurableWriter.open(join(volume.targetPath, 'durable'), SALT);
    writer.start();
    return new NodeWriter(lab, node, volume, writer, address);
  }

  private constructor(lab: NodeLaboratory, node: NodeProcess, volume: NodeVolume, writer: DurableWriter, address: string) {
    this.#lab = lab;
    this.#node = node;
    this.#volume = volume;
    this.#writer = writer;
    this.#address = address;
  }

  /** Ends it. Nothing must have been lost, no error seen, and its volume comes away. */
  async end(): Promise<WriterReport> {
    const before = this.#writer.report.acknowledged;
    await eventually('the writer to go on', PROGRESS_MS, () => {
      const { acknowledged, error } = this.#writer.report;
      return error !== '' || acknowledged > before + 1;
    });
    await this.#writer.stop();
    const { report } = this.#writer;
    // What is read then comes from the target: all of it was made durable.
    writeFileSync('/proc/sys/vm/drop_caches', '1');
    assert.deepEqual({ error: report.error, damage: await this.#writer.damage() }, { error: '', damage: [] });
    await this.#writer.close();
    await this.#node.insist('NodeUnpublishVolume', this.#volume.unpublishRequest);
    await this.#node.insist('NodeUnstageVolume', this.#volume.unstageRequest);
    assert.ok(this.#volume.isGone, "something of the writer's volume is left");
    execFileSync('e2fsck', ['-fn', this.#lab.diskFile(this.#address)], { stdio: 'ignore' });
    return report;
  }
}
