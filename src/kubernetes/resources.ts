/** What the driver's objects are called in the API server. */
export const GROUP = 'aoe.csi.dev';
export const VERSION = 'v1alpha1';
export const API_VERSION = `${GROUP}/${VERSION}`;

/** A kind of object: each holds one record of the store in its `spec`. */
export interface Resource {
  readonly kind: string;
  readonly plural: string;
  readonly singular: string;
  readonly shortName: string;
}

export const TARGETS: Resource = { kind: 'AoeTarget', plural: 'aoetargets', singular: 'aoetarget', shortName: 'aoet' };
export const NODES: Resource = { kind: 'AoeNode', plural: 'aoenodes', singular: 'aoenode', shortName: 'aoen' };

/** Kubernetes' own. */
export const LEASE_API_VERSION = 'coordination.k8s.io/v1';
export const LEASES: Resource = { kind: 'Lease', plural: 'leases', singular: 'lease', shortName: 'lease' };
export const EVENTS: Resource = { kind: 'Event', plural: 'events', singular: 'event', shortName: 'ev' };

/** Of a text in a condition; as Kubernetes' own kinds have it. */
export const CONDITION_CHARACTERS_MAX = 32_768;
