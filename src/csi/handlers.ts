import type { Logger } from '../logging/logger.ts';
import type { Init, UnaryMethod } from '../rpc/message-types.ts';
import type { CallContext } from '../rpc/server.ts';
import type { ControllerMethods, IdentityMethods, NodeMethods } from './messages.ts';

/** One call, as its handler sees it. */
export interface CsiCall extends CallContext {
  /** Names the call in the log. */
  readonly id: string;
  /** Puts the call's id, method, volume and node on each line. */
  readonly logger: Logger;
}

/**
 * The methods of a service that a plugin implements, by their names; the others are answered with UNIMPLEMENTED. A request has
 * passed the rules in proto/csi.proto when its handler gets it.
 *
 * Handlers throw VolumeError, or RpcError, for what the specification has a status code for. Anything else is a bug, and answered with
 * INTERNAL.
 */
export type CsiHandlers<Methods> = {
  readonly [Name in keyof Methods]?: Methods[Name] extends UnaryMethod<infer Request, infer Response>
    ? (request: Request, call: CsiCall) => Promise<Init<Response>>
    : never;
};

/** What a process serves on its CSI socket. */
export interface CsiServices {
  readonly identity?: CsiHandlers<IdentityMethods>;
  readonly controller?: CsiHandlers<ControllerMethods>;
  readonly node?: CsiHandlers<NodeMethods>;
}
