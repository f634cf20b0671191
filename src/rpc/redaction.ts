import type protobuf from 'protobufjs';
import type { Message } from './service.ts';

/** Makes a copy of a message that may be shown to anybody who reads logs. */
export type Redact = (message: Message) => Message;

/** Stands where something was that nobody may read. */
export const REDACTED = '(redacted)';

/**
 * Keys of maps whose values are secret wherever they occur: the kubelet puts a pod's tokens into the volume context of a driver
 * that asked for them, and drivers have logged them from there (CVE-2023-2878).
 */
const SECRET_KEYS = new Set(['csi.storage.k8s.io/serviceAccount.tokens']);

/** Redacts what the .proto file marks as (csi_secret), in a message of this type and in the messages in it. */
export function redactionOf(type: protobuf.Type): Redact {
  const fields = new Map(type.fieldsArray.map((field) => [field.name, redactionOfField(field)]));
  return (message) =>
    Object.fromEntries(Object.entries(message).map(([name, value]) => [name, fields.get(name)?.(value) ?? value]));
}

/** What is to be shown instead of a field's value; undefined when the value itself may be. */
function redactionOfField(field: protobuf.Field): (value: unknown) => unknown {
  if (field.options?.['(csi_secret)'] === true) return (value) => (isEmpty(value) ? undefined : REDACTED);
  if (field.map) return (value) => withoutSecretKeys(value as Record<string, unknown>);
  if (field.resolvedType === null || !('fields' in field.resolvedType)) return () => undefined;
  const redact = redactionOf(field.resolvedType);
  if (field.repeated) return (list) => (list as readonly Message[]).map(redact);
  return (value) => (value === null ? undefined : redact(value as Message));
}

function isEmpty(value: unknown): boolean {
  return value === null || value === '' || Object.keys(value as object).length === 0;
}

function withoutSecretKeys(map: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(map).map(([key, value]) => [key, SECRET_KEYS.has(key) ? REDACTED : value]));
}
