/** The messages of proto/initiator.proto, as src/rpc hands them over. Reports pass through as the data path makes them. */
import type { AttachmentReport, InterfaceState, Statistics, TargetReport } from './messages.ts';

/** The service's file and full name. */
export const CONTROL_PROTO = 'initiator.proto';
export const CONTROL_SERVICE = 'aoecsi.initiator.v1.Initiator';

export interface ListTargetsResponse {
  readonly targets: readonly TargetReport[];
}

export interface AttachRequestMessage {
  readonly shelf: number;
  readonly slot: number;
  /** '' = the daemon's own choice. */
  readonly backend: string;
  readonly readOnly: boolean;
  readonly deadSeconds: number;
  /** 0 = the default. */
  readonly maxOutstanding: number;
  /** Empty = all allowed ones. */
  readonly interfaces: readonly string[];
}

export interface AttachmentMessage extends AttachmentReport {
  /** Block device or socket; '' while it is being attached. */
  readonly device: string;
  readonly backend: string;
  readonly deadSeconds: number;
  readonly maxOutstanding: number;
  readonly interfaces: readonly string[];
  /** Why its device waits for this initiator; '' when it does not. */
  readonly link: string;
}

export interface GrowRequestMessage {
  readonly shelf: number;
  readonly slot: number;
}

export interface AttachResponse {
  readonly attachment: AttachmentMessage;
  readonly note: string;
}

export interface DetachRequestMessage {
  readonly shelf: number;
  readonly slot: number;
  readonly force: boolean;
}

export interface DetachResponse {
  readonly note: string;
}

export interface ListAttachmentsResponse {
  readonly attachments: readonly AttachmentMessage[];
}

export interface ModifyRequestMessage {
  readonly shelf: number;
  readonly slot: number;
  readonly deadSeconds: number;
  /** 0 = the default. */
  readonly maxOutstanding: number;
  /** Empty = all allowed ones. */
  readonly interfaces: readonly string[];
}

export type OwnershipModeMessage = 'READ' | 'SET' | 'FORCE_SET';

export interface ConfigStringRequestMessage {
  readonly shelf: number;
  readonly slot: number;
  readonly mode: OwnershipModeMessage;
  readonly string: Uint8Array;
}

export interface ConfigStringResponse {
  readonly error: number;
  readonly string: Uint8Array;
  readonly others: readonly Uint8Array[];
  readonly silent: number;
}

export interface ReserveRequestMessage {
  readonly shelf: number;
  readonly slot: number;
  readonly mode: OwnershipModeMessage;
  readonly macs: readonly string[];
  readonly own: boolean;
}

export interface ReserveResponse {
  readonly error: number;
  readonly macs: readonly string[];
  readonly others: readonly ReserveListMessage[];
  readonly silent: number;
}

export interface ReserveListMessage {
  readonly macs: readonly string[];
}

export interface SetInterfacesRequest {
  readonly patterns: readonly string[];
}

export interface InterfacesResponse {
  readonly patterns: readonly string[];
  readonly interfaces: readonly InterfaceState[];
}

export interface StatResponse {
  readonly version: string;
  readonly pid: number;
  readonly uptimeSeconds: number;
  readonly counters: Statistics;
  /** '' when there is none that can be used. */
  readonly backend: string;
  readonly backendNote: string;
}

export interface HandOverRequestMessage {
  readonly protocol: number;
  readonly protocolMin: number;
  readonly socketPath: string;
  readonly known: readonly string[];
  readonly ready: readonly string[];
}

export interface ErrorsRequest {
  readonly follow: boolean;
}

export interface EventMessage {
  /** RFC 3339, UTC. */
  readonly time: string;
  readonly kind: string;
  readonly target: string;
  readonly text: string;
}
