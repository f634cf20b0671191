import type { VolumeHealth, VolumeHealthErrorType } from '../csi/messages.ts';
import type { Init } from '../rpc/message-types.ts';
import { ownershipOf } from '../volumes/claim.ts';
import { sightingsByAddress, type Sighting } from '../volumes/inventory.ts';
import { whyUnreadable } from '../volumes/parameters.ts';
import type { ClaimRecord, DiskIdentity, NodeRecord, TargetRecord } from '../volumes/records.ts';
import { volumeIdOf } from '../volumes/volume-on-target.ts';
import { liveNodes, type ControllerParts } from './parts.ts';

/** One thing that is wrong with a volume. */
export interface Ailment {
  readonly status: VolumeHealthErrorType;
  /** For machines: documented in docs/csi.md, and never renamed. */
  readonly reason: string;
  readonly message: string;
}

/** What is known of the health of volumes without asking anybody: what live nodes last said. */
export class Health {
  readonly #clusterId: string;
  readonly #nodes: readonly NodeRecord[];
  readonly #sightings: ReadonlyMap<string, readonly Sighting[]>;

  /** As of now. */
  static async take(parts: ControllerParts): Promise<Health> {
    return new Health(parts.clusterId, await liveNodes(parts));
  }

  /** @param nodes those that are alive */
  constructor(clusterId: string, nodes: readonly NodeRecord[]) {
    this.#clusterId = clusterId;
    this.#nodes = nodes;
    this.#sightings = sightingsByAddress(nodes);
  }

  /** As CSI has it: without entries when nothing is wrong. */
  of(target: TargetRecord): Init<VolumeHealth> {
    return { volumeId: volumeIdOf(target), healthStatuses: this.ailmentsOf(target) };
  }

  ailmentsOf(target: TargetRecord): readonly Ailment[] {
    if (this.#nodes.length === 0) {
      return [ailment('UNKNOWN_VOLUME_HEALTH_TYPE', 'NoNodeAlive', 'no node plugin is alive to say anything of the volume')];
    }
    const sightings = this.#sightings.get(target.address) ?? [];
    if (sightings.length === 0)
      return [ailment('INACCESSIBLE', 'TargetNotSeen', `no live node sees its target ${target.address}`)];
    const objections = sightings.flatMap((sighting) => this.#objections(target, sighting));
    const all = [...unreadable(target), ...objections, ...this.#fencedOn(target)];
    // Several nodes say the same; one of them is enough.
    return [...new Map(all.map((each) => [`${each.status} ${each.reason}`, each])).values()];
  }

  #objections({ identity, claim }: TargetRecord, { nodeId, sight }: Sighting): readonly Ailment[] {
    const disk = diskAilment(identity, sight.identity, nodeId);
    if (disk !== undefined) return [disk];
    const owner = claim === undefined ? undefined : this.#ownerAilment(claim, sight.configString, nodeId);
    return owner === undefined ? [] : [owner];
  }

  #ownerAilment({ claim }: ClaimRecord, configString: string, nodeId: string): Ailment | undefined {
    const owner = ownershipOf(configString, this.#clusterId);
    if (owner.kind === 'empty') {
      return ailment(
        'DEGRADED',
        'ClaimMissing',
        `node ${nodeId} sees no claim on the target: it has forgotten it, and gets it again from the node that stages it`,
      );
    }
    if (owner.kind === 'ours' && owner.claim === claim) return undefined;
    const who = owner.kind === 'ours' ? `another volume of this cluster (claim ${owner.claim})` : owner.owner;
    return ailment('INACCESSIBLE', 'ForeignClaim', `node ${nodeId} sees the target claimed by ${who}`);
  }

  #fencedOn(target: TargetRecord): readonly Ailment[] {
    const volumeId = volumeIdOf(target);
    return this.#nodes
      .filter(({ nodeId, staged }) => staged[volumeId]?.fenced && target.publications.some((each) => each.nodeId === nodeId))
      .map(({ nodeId }) =>
        ailment('INACCESSIBLE', 'Fenced', `the target refuses node ${nodeId}: another node has taken the volume over`),
      );
  }
}

function unreadable({ claim }: TargetRecord): readonly Ailment[] {
  const why = whyUnreadable(claim);
  return why === undefined ? [] : [ailment('INACCESSIBLE', 'RecordEdited', why)];
}

function diskAilment(known: DiskIdentity, seen: DiskIdentity, nodeId: string): Ailment | undefined {
  if (seen.serial !== known.serial || seen.model !== known.model) {
    return ailment(
      'INACCESSIBLE',
      'AnotherDisk',
      `node ${nodeId} sees another disk at the address: serial '${seen.serial}' instead of '${known.serial}'`,
    );
  }
  if (seen.sizeBytes >= known.sizeBytes) return undefined;
  return ailment(
    'DATA_LOSS',
    'DiskShrunk',
    `node ${nodeId} sees ${seen.sizeBytes} bytes; the volume's disk had ${known.sizeBytes}`,
  );
}

/** CSI's limit for strings without one of their own. */
const MESSAGE_BYTES_MAX = 128;

function ailment(status: VolumeHealthErrorType, reason: string, message: string): Ailment {
  return { status, reason, message: clipped(message) };
}

/** As many of the text's characters as have room. */
function clipped(text: string): string {
  if (Buffer.byteLength(text) <= MESSAGE_BYTES_MAX) return text;
  const bytes = new TextEncoder().encodeInto(text, new Uint8Array(MESSAGE_BYTES_MAX - 3)).read;
  return `${text.slice(0, bytes)}…`;
}
