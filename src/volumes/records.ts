/**
 * What the store holds: one record per target and one per node, and nothing else. All that happens to a volume happens in its
 * target's record, by compare-and-set, so that no two records ever have to change together.
 */

/** What IDENTIFY said; a disk is the same one when serial and model are equal and it has not shrunk. */
export interface DiskIdentity {
  readonly serial: string;
  readonly model: string;
  readonly sizeBytes: number;
}

export const TARGET_STATES = [
  /** Free: CreateVolume may take it. */
  'Available',
  /** Taken by a claim of ours; see `claim`, and `task` while the copy on the target is being written. */
  'Claimed',
  /** Given back; waits for its wipe. */
  'Released',
  /** Being wiped by `task.nodeId`. */
  'Wiping',
  /** A person's static volume that is to carry a claim of this cluster: CreateVolume leaves it alone, until a person releases it. */
  'Static',
  /** Carries a claim, data or a reservation that is not ours. Never touched without a person's word. */
  'Foreign',
  /** Nobody sees it any more. Only what was Available or Foreign becomes Missing: a volume stays a volume (see inventory.ts). */
  'Missing',
] as const;
export type TargetState = (typeof TARGET_STATES)[number];

/** What fencing a target can do, best first. */
export const FENCING_LEVELS = ['reserve', 'claim', 'none'] as const;
export type FencingLevel = (typeof FENCING_LEVELS)[number];

export const FORMAT_STATES = ['never', 'formatting', 'formatted', 'growing'] as const;

/**
 * How far a format has come. `formatting` is written before mkfs and `formatted` after it; mkfs runs only from `never`. `growing` is
 * written before a file system that is not mounted is made larger, and `formatted` after it (node/format/growing.ts).
 */
export interface FormatRecord {
  readonly state: (typeof FORMAT_STATES)[number];
  readonly fsType: string;
  /** UUID of the file system, given to mkfs: known before it runs. Empty for `never`. */
  readonly uuid: string;
}

/** What a disk held when it was last given back (node/format/fingerprint.ts), and who saw that. */
export interface FingerprintRecord {
  /** How it was taken. One that was taken in another way says nothing. */
  readonly scheme: number;
  /** In hexadecimal. */
  readonly sha256: string;
  /** Of the whole disk then: where on it was looked follows from that. */
  readonly sizeBytes: number;
  readonly nodeId: string;
  /** Milliseconds since 1970, by the node's clock; for people. */
  readonly takenAtMs: number;
}

/** Parameters as validated (parameters.ts), as strings: what a class said, with defaults filled in. */
export type VolumeParameters = Readonly<Record<string, string>>;

/** A volume: the claim on a target. */
export interface ClaimRecord {
  /** The name CreateVolume was called with. */
  readonly volumeName: string;
  /** Hash of cluster id and name: what the volume id and the target's config string hold. */
  readonly claim: string;
  /** Size granted; the target may have more. */
  readonly capacityBytes: number;
  /** What the StorageClass said: never changes, so that CreateVolume called again can be compared with it. */
  readonly parameters: VolumeParameters;
  /** What a VolumeAttributesClass said since: stands above `parameters` (see settingsOfVolume in parameters.ts). */
  readonly mutableParameters: VolumeParameters;
  /** The config string is on the target. */
  readonly confirmed: boolean;
  readonly format: FormatRecord;
  /** Missing: unknown, because the volume is new or may be written to, or a node died with it, or a person accepted the disk as it is. */
  readonly fingerprint?: FingerprintRecord | undefined;
  /** Grows with every publish to a node: who holds the highest owns the volume. */
  readonly epoch: number;
  /** Extra metadata of the provisioner (PVC and PV names), for people. */
  readonly labels: Readonly<Record<string, string>>;
}

/** A volume published to a node. */
export interface PublicationRecord {
  readonly nodeId: string;
  readonly readOnly: boolean;
  /** CSI access mode name, e.g. `SINGLE_NODE_WRITER`. */
  readonly accessMode: string;
  readonly epoch: number;
  /** It is being taken away: the node stages the volume no more, and nobody else gets it yet. Missing means false. */
  readonly isLeaving?: boolean;
}

export const TASK_KINDS = ['claim', 'wipe', 'fence'] as const;
export const TASK_STATES = ['waiting', 'running', 'done', 'failed'] as const;

/** Work that only a node can do, because only nodes see the storage network. Idempotent; survives the node's death. */
export interface TaskRecord {
  readonly kind: (typeof TASK_KINDS)[number];
  readonly id: string;
  /** The node that shall do it. */
  readonly nodeId: string;
  readonly state: (typeof TASK_STATES)[number];
  /** For people: what failed, and what to do. */
  readonly message: string;
  /** Bytes done, and of how many (wipe). */
  readonly doneBytes: number;
  readonly totalBytes: number;
}

export interface TargetRecord {
  /** `e10.3`, also the record's name. */
  readonly address: string;
  readonly state: TargetState;
  /** Why it is in that state, where that is not obvious. */
  readonly reason: string;
  readonly identity: DiskIdentity;
  readonly fencing: FencingLevel;
  readonly claim: ClaimRecord | undefined;
  readonly publications: readonly PublicationRecord[];
  readonly task: TaskRecord | undefined;
}

/** How a node sees a target now. */
export interface SightRecord {
  readonly identity: DiskIdentity;
  /** Printable form of the config string on the target. */
  readonly configString: string;
  readonly interfaces: readonly string[];
  readonly fencing: FencingLevel;
  /**
   * This node has not found out yet what the target can do: `fencing` is what every target can, and says nothing. Missing means false.
   * Older controllers don't look at it; without `fencing` they would take the record for damaged, and its node for dead.
   */
  readonly isFencingUnknown?: boolean | undefined;
}

/** A volume as it stands on a node: staged there, so it may be written from there. */
export interface StagedRecord {
  readonly epoch: number;
  /** The initiator reports error 6: reserved by somebody else, for good. */
  readonly fenced: boolean;
}

export interface NodeRecord {
  readonly nodeId: string;
  /** MACs of its storage interfaces, `02:00:00:00:00:01`. */
  readonly macs: readonly string[];
  readonly interfaces: readonly string[];
  /** Topology segments, key → value. */
  readonly segments: Readonly<Record<string, string>>;
  readonly volumesMax: number;
  readonly bootId: string;
  readonly targets: Readonly<Record<string, SightRecord>>;
  /** By volume id. */
  readonly staged: Readonly<Record<string, StagedRecord>>;
  /** Not written any more: older node plugins do, and could write nothing where the definitions did not know it. */
  readonly problems?: Readonly<Record<string, string>> | undefined;
  /** Milliseconds since 1970, by the node's clock, when it last said that it lives; written rarely (see liveness.ts). */
  readonly aliveAtMs: number;
}
