import { open, type FileHandle } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';

const BLOCK_BYTES = 4_096;
/** Blocks that are written in turn, over and over. */
const BLOCKS = 1_024;
const PAUSE_MS = 20;

/** What a writer has seen. */
export interface WriterReport {
  readonly acknowledged: number;
  /** What write or fsync failed with; '' when neither did. A writer gives up then, as a database does. */
  readonly error: string;
  /** The longest that one write took to be durable. */
  readonly longestMs: number;
}

/**
 * Writes numbered blocks to a file or a device, one at a time, each made durable before the next; and finds those again that were
 * acknowledged. A disk that acknowledges what it then loses or mixes up is found out, whatever happened in between.
 */
export class DurableWriter {
  readonly #path: string;
  readonly #file: FileHandle;
  readonly #salt: number;
  #error = '';
  #acknowledged = 0;
  #longestMs = 0;
  #startedMs = 0;
  #isStopping = false;
  #running: Promise<void> | undefined;

  /** @param salt tells blocks of this writer from those of others */
  static async open(path: string, salt: number): Promise<DurableWriter> {
    return new DurableWriter(path, await open(path, path.startsWith('/dev/') ? 'r+' : 'w+'), salt);
  }

  private constructor(path: string, file: FileHandle, salt: number) {
    this.#path = path;
    this.#file = file;
    this.#salt = salt;
  }

  get report(): WriterReport {
    return { acknowledged: this.#acknowledged, error: this.#error, longestMs: Math.max(this.#longestMs, this.waitedMs) };
  }

  /** How long the write that is under way has taken so far; 0 when none is. */
  get waitedMs(): number {
    return this.#startedMs === 0 ? 0 : performance.now() - this.#startedMs;
  }

  /** The longest is measured anew. */
  forgetLongest(): void {
    this.#longestMs = 0;
  }

  start(): void {
    this.#isStopping = this.#error !== '';
    this.#running ??= this.#run().finally(() => (this.#running = undefined));
  }

  /** Resolves when the write that is under way has ended. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    await this.#running;
  }

  /**
   * What is wrong with the blocks that were acknowledged, in words; nothing when all are there. Only while it is stopped.
   * @param path where to look, when not through the device: the target's own file
   */
  async damage(path = this.#path): Promise<string[]> {
    const found: string[] = [];
    const file = await open(path, 'r');
    try {
      const bytes = Buffer.alloc(BLOCK_BYTES);
      // A write that failed may have overwritten the oldest.
      const first = Math.max(1, this.#acknowledged - BLOCKS + (this.#error === '' ? 1 : 2));
      for (let sequence = first; sequence <= this.#acknowledged; sequence++) {
        const { bytesRead } = await file.read(bytes, 0, BLOCK_BYTES, offsetOf(sequence));
        if (bytesRead === BLOCK_BYTES && bytes.equals(this.#block(sequence))) continue;
        found.push(`write ${String(sequence)} of ${String(this.#acknowledged)}: ${this.#describe(bytes, bytesRead)}`);
      }
    } finally {
      await file.close();
    }
    return found;
  }

  async close(): Promise<void> {
    await this.stop();
    await this.#file.close();
  }

  async #run(): Promise<void> {
    while (!this.#isStopping) {
      this.#startedMs = performance.now();
      const sequence = this.#acknowledged + 1;
      try {
        await this.#file.write(this.#block(sequence), 0, BLOCK_BYTES, offsetOf(sequence));
        await this.#file.datasync();
        this.#acknowledged = sequence;
      } catch (error) {
        this.#error = `write ${String(sequence)}: ${(error as Error).message}`;
        return;
      } finally {
        this.#longestMs = Math.max(this.#longestMs, performance.now() - this.#startedMs);
        this.#startedMs = 0;
      }
      await sleep(PAUSE_MS);
    }
  }

  #block(sequence: number): Buffer {
    const bytes = Buffer.alloc(BLOCK_BYTES);
    const words = new Uint32Array(bytes.buffer, bytes.byteOffset, BLOCK_BYTES / 4);
    let state = (Math.imul(this.#salt, 0x9e3779b1) ^ sequence) >>> 0;
    for (let index = 2; index < words.length; index++) {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      words[index] = state;
    }
    words[0] = this.#salt;
    words[1] = sequence;
    return bytes;
  }

  #describe(bytes: Buffer, bytesRead: number): string {
    if (bytesRead < BLOCK_BYTES) return `only ${String(bytesRead)} bytes are there`;
    const [salt, sequence] = [bytes.readUInt32LE(0), bytes.readUInt32LE(4)];
    if (salt !== this.#salt) return bytes.every((byte) => byte === 0) ? 'zeros are there' : "what is there is not this writer's";
    return `write ${String(sequence)} is there, or part of it`;
  }
}

function offsetOf(sequence: number): number {
  return (sequence % BLOCKS) * BLOCK_BYTES;
}
