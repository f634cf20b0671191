import { createHash } from 'node:crypto';

/**
 * A claim says that a target is the place of one volume of one cluster. It stands in the target's record (the truth), in the
 * volume id, and, so that two clusters on one storage network keep apart, on the target itself as its config string:
 *
 * ```
 * aoe-csi/1;<cluster id>;<claim>        printable ASCII, at most 100 of the 1,024 bytes that AoE has for it
 * ```
 *
 * AoE sets a config string "only if it is empty or equal" (AoEr11 §3.2), so everything in it is known before it is set and never
 * changes afterwards.
 */
const PREFIX = 'aoe-csi/1;';
/** What a version of this driver that is newer than this one might write. */
const ANY_VERSION = /^aoe-csi\/[^;]*;/;

/** 130 bits: no two volumes of this world share one by chance. */
const CLAIM_LENGTH = 26;
const CLAIM = /^[a-z2-7]{26}$/;
/** RFC 4648 base32 in lower case: fits into DNS names, and nobody confuses 0 and O. */
const BASE32 = 'abcdefghijklmnopqrstuvwxyz234567';

const CLUSTER_ID = /^[A-Za-z0-9._-]{1,63}$/;

/** Characters of a stranger's config string that a message shows. */
const SHOWN_MAX = 80;

/** Who a target belongs to, by its config string. */
export type Ownership =
  /** Nobody: the config string is empty. */
  | { readonly kind: 'empty' }
  /** This cluster, for the volume with this claim. */
  | { readonly kind: 'ours'; readonly claim: string }
  /** Somebody else; `owner` names them, for people. */
  | { readonly kind: 'foreign'; readonly owner: string };

/** A cluster id names one cluster among all on a storage network: 1 to 63 letters, digits, `.`, `_`, `-`. */
export function isClusterId(text: string): boolean {
  return CLUSTER_ID.test(text);
}

export function isClaim(text: string): boolean {
  return CLAIM.test(text);
}

/** The claim of a volume: the same for the same cluster and name, and different for any other. `clusterId` fulfils isClusterId. */
export function claimOf(clusterId: string, volumeName: string): string {
  // A cluster id holds no semicolon: the two can't be divided in another way.
  const digest = createHash('sha256').update(`${PREFIX}${clusterId};${volumeName}`).digest();
  return base32(digest).slice(0, CLAIM_LENGTH);
}

/** The claim of the static volume at an address, where its PersistentVolume asks for one: no volume's name leads to it. */
export function staticClaimOf(clusterId: string, address: string): string {
  // Neither holds a semicolon, and a version has none: no text that claimOf hashes is this one.
  const digest = createHash('sha256').update(`aoe-csi/static;${clusterId};${address}`).digest();
  return base32(digest).slice(0, CLAIM_LENGTH);
}

/** The config string that marks a target as claimed. Its bytes are its characters. */
export function formatConfigString(clusterId: string, claim: string): string {
  return `${PREFIX}${clusterId};${claim}`;
}

/**
 * Whose a target is.
 * @param configString in printable form (configStringText in src/aoe/config.ts), which says the same for the same bytes only
 */
export function ownershipOf(configString: string, clusterId: string): Ownership {
  if (configString === '') return { kind: 'empty' };
  const [cluster, claim, more] = configString.startsWith(PREFIX) ? configString.slice(PREFIX.length).split(';') : [];
  if (cluster === undefined || claim === undefined || more !== undefined || !isClusterId(cluster) || !isClaim(claim)) {
    return { kind: 'foreign', owner: stranger(configString) };
  }
  return cluster === clusterId ? { kind: 'ours', claim } : { kind: 'foreign', owner: `cluster ${cluster} (claim ${claim})` };
}

function stranger(configString: string): string {
  const who = ANY_VERSION.test(configString) ? 'another version of aoe-csi' : 'somebody';
  const shown = configString.length > SHOWN_MAX ? `${configString.slice(0, SHOWN_MAX)}…` : configString;
  return `${who} who wrote '${shown}'`;
}

/** Without padding; the last bits, where they fill no character, are left out. */
function base32(bytes: Uint8Array): string {
  let text = '';
  let value = 0;
  let bits = 0;
  for (const byte of bytes) {
    value = ((value << 8) | byte) & 0xfff;
    for (bits += 8; bits >= 5; bits -= 5) text += BASE32[(value >> (bits - 5)) & 31];
  }
  return text;
}
