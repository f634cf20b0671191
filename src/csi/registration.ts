import type { ServiceDefinition } from '@grpc/grpc-js';
import type { Init } from '../rpc/message-types.ts';
import type { Handlers } from '../rpc/server.ts';
import { loadService } from '../rpc/service.ts';
import type { PluginInfo, RegistrationStatus } from './registration-messages.ts';

const PROTO = 'pluginregistration.proto';
const SERVICE = 'pluginregistration.Registration';

/** What the kubelet's plugin manager calls us; it has other handlers for other types. */
const PLUGIN_TYPE = 'CSIPlugin';
/** The kubelet reads this as "CSI 1.x"; it is not the version of the specification. */
const SUPPORTED_VERSIONS = ['1.0.0'];

export interface RegistrationOptions {
  readonly driverName: string;
  /** Path of the CSI socket as the kubelet sees it: on the host, not in the container. */
  readonly endpoint: string;
  /** Told what the kubelet made of us, each time it has asked: undefined when it took us, otherwise why it did not. */
  readonly decided: (refusal: string | undefined) => void;
}

/**
 * What the kubelet calls on a socket in its folder plugins_registry to get to know a plugin: two methods. It does so when the
 * socket appears and when it has been restarted itself.
 */
export function registrationService({ driverName, endpoint, decided }: RegistrationOptions): {
  readonly definition: ServiceDefinition;
  readonly handlers: Handlers;
} {
  const info: Init<PluginInfo> = { type: PLUGIN_TYPE, name: driverName, endpoint, supportedVersions: SUPPORTED_VERSIONS };
  const handlers: Handlers = {
    GetInfo: () => Promise.resolve(info),
    NotifyRegistrationStatus: (request) => {
      const { pluginRegistered, error } = request as RegistrationStatus;
      decided(pluginRegistered ? undefined : error);
      return Promise.resolve({});
    },
  };
  return { definition: loadService(PROTO, SERVICE), handlers };
}

/** Name of the socket in plugins_registry; the one that kubernetes-csi's registrar uses, so that nobody finds the driver twice. */
export function registrationSocketName(driverName: string): string {
  return `${driverName}-reg.sock`;
}
