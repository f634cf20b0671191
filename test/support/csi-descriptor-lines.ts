/**
 * A .proto file as a sorted list of lines, one for each name in it with all that matters on the wire: made from protobufjs'
 * reflection on one side and from a FileDescriptorProto on the other, so that a difference shows as a line.
 */
import protobuf from 'protobufjs';

/** Our own rules are no part of what is compared. */
const OWN_OPTIONS = '(rules.';

/** @param root parsed with keepCase, resolved */
export function linesOfRoot(root: protobuf.Root, packageName: string): string[] {
  const lines: string[] = [];
  const visit = (object: protobuf.ReflectionObject): void => {
    if (object instanceof protobuf.Service) lines.push(...serviceLines(object));
    else if (object instanceof protobuf.Type) lines.push(...typeLines(object));
    else if (object instanceof protobuf.Enum) lines.push(...enumLines(object));
    else if (object instanceof protobuf.Field) lines.push(extensionLine(object));
    if (object instanceof protobuf.Namespace) object.nestedArray.forEach(visit);
  };
  const namespace = root.lookup(packageName);
  if (namespace instanceof protobuf.Namespace) namespace.nestedArray.forEach(visit);
  return lines.sort();
}

function serviceLines(service: protobuf.Service): string[] {
  const rpcs = service.methodsArray.map((method) => {
    const request = `${method.requestStream ? 'stream ' : ''}${method.resolvedRequestType?.fullName ?? '?'}`;
    const response = `${method.responseStream ? 'stream ' : ''}${method.resolvedResponseType?.fullName ?? '?'}`;
    return `rpc ${service.fullName}/${method.name} (${request}) returns (${response})${ownOptions(method.options)}`;
  });
  return [`service ${service.fullName}${ownOptions(service.options)}`, ...rpcs];
}

function typeLines(type: protobuf.Type): string[] {
  const fields = type.fieldsArray.map((field) => {
    const oneof = field.partOf === null ? '' : ` oneof ${field.partOf.name}`;
    const line = `field ${type.fullName}.${field.name} = ${field.id} ${typeOfField(field)}${oneof}`;
    return `${line}${ownOptions(field.options)}`;
  });
  const reserved = (type.reserved ?? []).map((range) => `reserved ${type.fullName} ${rangeText(range)}`);
  return [`message ${type.fullName}${ownOptions(type.options)}`, ...fields, ...reserved];
}

function typeOfField(field: protobuf.Field): string {
  const type = field.resolvedType?.fullName ?? field.type;
  if (field instanceof protobuf.MapField) return `map<${field.keyType}, ${type}>`;
  return field.repeated ? `repeated ${type}` : type;
}

function enumLines(type: protobuf.Enum): string[] {
  const values = Object.entries(type.values).map(
    ([name, value]) => `value ${type.fullName}.${name} = ${value}${ownOptions(type.valuesOptions?.[name])}`,
  );
  const reserved = (type.reserved ?? []).map((range) => `reserved ${type.fullName} ${rangeText(range)}`);
  return [`enum ${type.fullName}${ownOptions(type.options)}`, ...values, ...reserved];
}

function extensionLine(field: protobuf.Field): string {
  return `extend ${String(field.extend).replace(/^\.?/, '.')} ${field.name} = ${field.id} ${field.type}`;
}

function rangeText(range: number[] | string): string {
  return typeof range === 'string' ? range : `${range[0]} to ${range[1]}`;
}

function ownOptions(options: Record<string, unknown> | undefined): string {
  const names = Object.keys(options ?? {}).filter((name) => name.startsWith('(') && !name.startsWith(OWN_OPTIONS));
  return optionsText(names.map((name) => name.slice(1, -1)));
}

function optionsText(names: readonly string[]): string {
  return names.length === 0 ? '' : ` [${[...names].sort().join(', ')}]`;
}

/** google.protobuf.FileDescriptorProto and what is in it, as protojson writes them; of the fields, those that are compared. */
export interface FileDescriptor {
  readonly package: string;
  readonly messageType?: readonly MessageDescriptor[];
  readonly enumType?: readonly EnumDescriptor[];
  readonly service?: readonly ServiceDescriptor[];
  readonly extension?: readonly FieldDescriptor[];
}

type Options = Readonly<Record<string, unknown>>;

interface MessageDescriptor {
  readonly name: string;
  readonly field?: readonly FieldDescriptor[];
  readonly nestedType?: readonly MessageDescriptor[];
  readonly enumType?: readonly EnumDescriptor[];
  readonly oneofDecl?: readonly { readonly name: string }[];
  /** The end is not in the range. */
  readonly reservedRange?: readonly { readonly start: number; readonly end: number }[];
  readonly options?: Options;
}

interface FieldDescriptor {
  readonly name: string;
  readonly number: number;
  readonly label: string;
  readonly type: string;
  readonly typeName?: string;
  readonly extendee?: string;
  readonly oneofIndex?: number;
  readonly options?: Options;
}

interface EnumDescriptor {
  readonly name: string;
  readonly value: readonly { readonly name: string; readonly number: number; readonly options?: Options }[];
  /** The end is in the range. */
  readonly reservedRange?: readonly { readonly start: number; readonly end: number }[];
  readonly options?: Options;
}

interface ServiceDescriptor {
  readonly name: string;
  readonly method: readonly MethodDescriptor[];
  readonly options?: Options;
}

interface MethodDescriptor {
  readonly name: string;
  readonly inputType: string;
  readonly outputType: string;
  readonly clientStreaming?: boolean;
  readonly serverStreaming?: boolean;
  readonly options?: Options;
}

export function linesOfDescriptor(file: FileDescriptor): string[] {
  const scope = `.${file.package}`;
  return [
    ...(file.service ?? []).flatMap((service) => describedService(scope, service)),
    ...(file.messageType ?? []).flatMap((type) => describedMessage(scope, type)),
    ...(file.enumType ?? []).flatMap((type) => describedEnum(scope, type)),
    ...(file.extension ?? []).map((field) => `extend ${field.extendee} ${field.name} = ${field.number} ${scalar(field)}`),
  ].sort();
}

function describedService(scope: string, { name, method, options }: ServiceDescriptor): string[] {
  const rpcs = method.map((each) => {
    const request = `${each.clientStreaming ? 'stream ' : ''}${each.inputType}`;
    const response = `${each.serverStreaming ? 'stream ' : ''}${each.outputType}`;
    return `rpc ${scope}.${name}/${each.name} (${request}) returns (${response})${theirOptions(each.options)}`;
  });
  return [`service ${scope}.${name}${theirOptions(options)}`, ...rpcs];
}

function describedMessage(scope: string, message: MessageDescriptor): string[] {
  const name = `${scope}.${message.name}`;
  const entries = (message.nestedType ?? []).filter((type) => type.options?.['mapEntry'] === true);
  const maps = new Map(entries.map((entry) => [`${name}.${entry.name}`, entry]));
  const fields = (message.field ?? []).map((field) => {
    const map = maps.get(field.typeName ?? '');
    const oneof = field.oneofIndex === undefined ? '' : ` oneof ${message.oneofDecl?.[field.oneofIndex].name}`;
    const type = map === undefined ? repeatable(field) : `map<${(map.field ?? []).map(scalar).join(', ')}>`;
    return `field ${name}.${field.name} = ${field.number} ${type}${oneof}${theirOptions(field.options)}`;
  });
  return [
    `message ${name}${theirOptions(message.options)}`,
    ...fields,
    ...(message.reservedRange ?? []).map(({ start, end }) => `reserved ${name} ${start} to ${end - 1}`),
    ...(message.nestedType ?? []).filter((type) => !entries.includes(type)).flatMap((type) => describedMessage(name, type)),
    ...(message.enumType ?? []).flatMap((type) => describedEnum(name, type)),
  ];
}

function describedEnum(scope: string, { name, value, reservedRange, options }: EnumDescriptor): string[] {
  return [
    `enum ${scope}.${name}${theirOptions(options)}`,
    ...value.map((each) => `value ${scope}.${name}.${each.name} = ${each.number}${theirOptions(each.options)}`),
    ...(reservedRange ?? []).map(({ start, end }) => `reserved ${scope}.${name} ${start} to ${end}`),
  ];
}

function repeatable(field: FieldDescriptor): string {
  return field.label === 'LABEL_REPEATED' ? `repeated ${scalar(field)}` : scalar(field);
}

function scalar(field: FieldDescriptor): string {
  return field.typeName ?? field.type.replace('TYPE_', '').toLowerCase();
}

/** `"[csi.v1.csi_secret]": true` is an option of the file's own. */
function theirOptions(options: Options | undefined): string {
  const names = Object.keys(options ?? {}).filter((name) => name.startsWith('['));
  return optionsText(names.map((name) => name.slice(name.lastIndexOf('.') + 1, -1)));
}
