import type { AttachSettings } from '../initiator-client.ts';

/** How a volume is used: as a file system, or as the device itself. */
export type Access =
  | {
      readonly kind: 'mount';
      /** What was asked for; empty = whatever is there. */
      readonly fsType: string;
      readonly mountFlags: readonly string[];
    }
  | { readonly kind: 'block' };

/** A place where a staged volume is shown to a pod. */
export interface Publication {
  /** Canonical. */
  readonly targetPath: string;
  readonly readOnly: boolean;
}

export const STAGING_PHASES = ['staging', 'staged', 'unstaging'] as const;

/**
 * What this node remembers of a volume it has staged, or has begun to: enough to go on after a kill -9, together with what the kernel
 * says. One file for each target, in the state directory.
 */
export interface StagedVolume {
  readonly volumeId: string;
  /** `e10.3` */
  readonly address: string;
  /** Of the boot it was staged in: after another one nothing of it is left. */
  readonly bootId: string;
  readonly phase: (typeof STAGING_PHASES)[number];
  /** Canonical. */
  readonly stagingPath: string;
  readonly access: Access;
  /** CSI's name, e.g. `SINGLE_NODE_WRITER`. */
  readonly accessMode: string;
  readonly epoch: number;
  readonly attach: AttachSettings;
  /** The target's reserve list was set to this node's MACs. */
  readonly isReserved: boolean;
  /** Device path and number; empty until it is attached. */
  readonly device: string;
  readonly deviceNumber: string;
  /** File system found or made; empty for block. */
  readonly fsType: string;
  /** It got all the way to being staged for writing: what its disk holds when it is taken down is the volume. Missing means false. */
  readonly isWritten?: boolean;
  readonly publications: readonly Publication[];
}

/** Whether a text from the state directory is such a record: it was written whole, but by whom? Never throws. */
export function parseStagedVolume(text: string): StagedVolume | undefined {
  try {
    const value = JSON.parse(text) as StagedVolume;
    const texts = [value.volumeId, value.address, value.bootId, value.stagingPath, value.accessMode, value.device];
    const isWhole =
      texts.every((member) => typeof member === 'string') &&
      STAGING_PHASES.includes(value.phase) &&
      (value.access.kind === 'block' || Array.isArray(value.access.mountFlags)) &&
      Array.isArray(value.publications) &&
      Number.isSafeInteger(value.epoch) &&
      typeof value.attach.readOnly === 'boolean';
    return isWhole ? value : undefined;
  } catch {
    return undefined;
  }
}
