import type { CsiHandlers } from '../csi/handlers.ts';
import type { IdentityMethods, PluginCapability } from '../csi/messages.ts';
import type { Init } from '../rpc/message-types.ts';

export interface IdentityOptions {
  /** src/csi/driver-name.ts says what it may look like. */
  readonly driverName: string;
  readonly version: string;
  /**
   * Whether this process has started. It must not depend on targets: a probe that fails is answered with a restart, and a restart
   * brings no target back.
   */
  readonly isReady: () => boolean;
}

/** What the driver as a whole can do; the node plugin says the same as the controller. */
const CAPABILITIES: readonly Init<PluginCapability>[] = [
  { service: { type: 'CONTROLLER_SERVICE' } },
  { service: { type: 'VOLUME_ACCESSIBILITY_CONSTRAINTS' } },
  { volumeExpansion: { type: 'ONLINE' } },
];

/** CSI Identity. */
export function identityHandlers({ driverName, version, isReady }: IdentityOptions): CsiHandlers<IdentityMethods> {
  return {
    GetPluginInfo: () => Promise.resolve({ name: driverName, vendorVersion: version }),
    GetPluginCapabilities: () => Promise.resolve({ capabilities: CAPABILITIES }),
    Probe: () => Promise.resolve({ ready: { value: isReady() } }),
  };
}
