/**
 * What a target exports: a file, a block device, or memory. Operations are synchronous, take sectors of 512 bytes and
 * offsets into the arena that the backing was made for, and return 0 or a negative errno.
 */
export interface Backing {
  /** For messages: the path. */
  readonly name: string;
  /** Size in sectors; changes only in `refresh`. The device keeps every operation inside it. */
  readonly sectors: number;
  readonly readOnly: boolean;
  readonly canTrim: boolean;
  /** Trimmed sectors read as zeros, always. */
  readonly readZeroAfterTrim: boolean;
  /** Writes in units of this, aligned to it, are the cheap ones. */
  readonly physicalSectorBytes: number;

  /** Fills the arena from `offset` on. */
  read(lba: number, sectors: number, offset: number): number;
  /** Takes the data from the arena; done when this returns, durable after the next `flush`. */
  write(lba: number, sectors: number, offset: number): number;
  /** Everything written before is on stable storage when this returns 0. */
  flush(): number;
  trim(lba: number, sectors: number): number;
  /** Looks at the size again: files and logical volumes grow under a running target. Returns 0, or a negative errno and keeps the old one. */
  refresh(): number;
  close(): void;
}
