import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { MethodDefinition, ServiceDefinition } from '@grpc/grpc-js';
import protobuf from 'protobufjs';

/** How messages look in JavaScript: camelCase fields, all present, 64-bit integers as numbers (exact up to 2^53). */
const CONVERSION: protobuf.IConversionOptions = { longs: Number, enums: String, defaults: true, arrays: true, objects: true };

/** A message as a plain object. The service's own types say more; this folder only carries it. */
export type Message = object;

/**
 * Reads a service from `proto/<file>`, which is looked for beside the running program and upwards from there: so it is found from
 * dist/, from a bundle and from an image alike (docs/decisions/0006).
 *
 * @param service full name, e.g. `aoecsi.initiator.v1.Initiator`
 * @throws Error when there is no such file or service: the installation is incomplete
 */
export function loadService(file: string, service: string): ServiceDefinition {
  const root = new protobuf.Root();
  root.resolvePath = (origin, target) => (origin === '' ? target : protoPath(target));
  root.loadSync(protoPath(file));
  root.resolveAll();
  const definition: Record<string, MethodDefinition<Message, Message>> = {};
  for (const method of root.lookupService(service).methodsArray) {
    definition[method.name] = methodDefinition(method, service);
  }
  return definition;
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

/** Where `proto/<file>` is. Google's own files (google/protobuf/…) come with protobufjs and never get here. */
function protoPath(file: string): string {
  const start = dirname(fileURLToPath(import.meta.url));
  for (let folder = start; ; folder = dirname(folder)) {
    const path = join(folder, 'proto', file);
    if (existsSync(path)) return path;
    if (folder === dirname(folder)) {
      throw new Error(`cannot find proto/${file} in ${start} or above it; install aoe-csi together with its proto folder`);
    }
  }
}
