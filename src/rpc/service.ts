import type { MethodDefinition, ServiceDefinition } from '@grpc/grpc-js';
import type protobuf from 'protobufjs';
import { loadProto } from './proto-file.ts';

/** How messages look in JavaScript: camelCase fields, all present, 64-bit integers as numbers (exact up to 2^53). */
const CONVERSION: protobuf.IConversionOptions = { longs: Number, enums: String, defaults: true, arrays: true, objects: true };

/** A message as a plain object. The service's own types say more; this folder only carries it. */
export type Message = object;

/**
 * The methods of a service of `proto/<file>`, as gRPC wants them.
 *
 * @param service full name, e.g. `aoecsi.initiator.v1.Initiator`
 * @throws Error when there is no such file or service: the installation is incomplete
 */
export function loadService(file: string, service: string): ServiceDefinition {
  return serviceDefinition(loadProto(file).lookupService(service));
}

/** The same for a service that has been looked up already. */
export function serviceDefinition(service: protobuf.Service): ServiceDefinition {
  const name = service.fullName.slice(1);
  return Object.fromEntries(service.methodsArray.map((method) => [method.name, methodDefinition(method, name)]));
}

function methodDefinition(method: protobuf.Method, service: string): MethodDefinition<Message, Message> {
  const request = codec(method.resolvedRequestType);
  const response = codec(method.resolvedResponseType);
  return {
    path: `/${service}/${method.name}`,
    originalName: method.name,
    requestStream: method.requestStream === true,
    responseStream: method.responseStream === true,
    requestSerialize: request.encode,
    requestDeserialize: request.decode,
    responseSerialize: response.encode,
    responseDeserialize: response.decode,
  };
}

interface Codec {
  readonly encode: (message: Message) => Buffer;
  readonly decode: (bytes: Buffer) => Message;
}

function codec(type: protobuf.Type | null): Codec {
  if (type === null) throw new Error('a method of the service has no message type');
  return {
    encode: (message) => Buffer.from(type.encode(type.fromObject(message)).finish()),
    decode: (bytes) => type.toObject(type.decode(bytes), CONVERSION),
  };
}
