import type { ServiceDefinition } from '@grpc/grpc-js';
import type protobuf from 'protobufjs';
import { loadProto } from '../rpc/proto-file.ts';
import type { Handlers, UnaryHandler } from '../rpc/server.ts';
import { serviceDefinition, type Message } from '../rpc/service.ts';
import type { CsiCall, CsiServices } from './handlers.ts';
import { observed, type Surroundings } from './observed.ts';

/** proto/csi.proto, whose services are called as the keys of CsiServices are. */
const PROTO = 'csi.proto';
const SERVICE_NAMES: Readonly<Record<keyof CsiServices, string>> = {
  identity: 'csi.v1.Identity',
  controller: 'csi.v1.Controller',
  node: 'csi.v1.Node',
};

/** What an RpcServer serves: the services of one socket taken together, whose methods all have different names. */
export interface CsiDefinition {
  readonly definition: ServiceDefinition;
  readonly handlers: Handlers;
}

type AnyHandler = (request: Message, call: CsiCall) => Promise<Message>;

/**
 * Puts around each handler what every call needs: the check of its request, an id and a logger, a line in the log when it ends, and
 * a measurement. Methods without a handler are left out, so that gRPC answers them with UNIMPLEMENTED.
 */
export function csiDefinition(services: CsiServices, surroundings: Surroundings): CsiDefinition {
  const root = loadProto(PROTO);
  const definition: Record<string, ServiceDefinition[string]> = {};
  const handlers: Record<string, UnaryHandler> = {};
  for (const [key, implemented] of Object.entries(services)) {
    const service = root.lookupService(SERVICE_NAMES[key as keyof CsiServices]);
    const methods = serviceDefinition(service);
    for (const [name, handler] of Object.entries(implemented as Record<string, AnyHandler>)) {
      definition[name] = methods[name];
      handlers[name] = observed(methods[name].path, requestType(service, name), handler, surroundings);
    }
  }
  return { definition, handlers };
}

function requestType(service: protobuf.Service, method: string): protobuf.Type {
  const type = service.methods[method]?.resolvedRequestType ?? null;
  if (type === null) throw new Error(`${service.fullName} has no method ${method}`);
  return type;
}
