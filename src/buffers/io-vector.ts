/** A list of arena ranges to be filled or sent in one system call, in order. Reused; never allocates. */
export class IoVector {
  readonly capacity: number;
  readonly offsets: Int32Array;
  readonly lengths: Int32Array;
  count = 0;
  /** Sum of the lengths. */
  sizeBytes = 0;

  constructor(capacity: number) {
    this.capacity = capacity;
    this.offsets = new Int32Array(capacity);
    this.lengths = new Int32Array(capacity);
  }

  clear(): void {
    this.count = 0;
    this.sizeBytes = 0;
  }

  get full(): boolean {
    return this.count === this.capacity;
  }

  /** Appends a range. The caller has looked at `full`. */
  push(offset: number, lengthBytes: number): void {
    this.offsets[this.count] = offset;
    this.lengths[this.count] = lengthBytes;
    this.count++;
    this.sizeBytes += lengthBytes;
  }
}
