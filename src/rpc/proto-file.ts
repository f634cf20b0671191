import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import protobuf from 'protobufjs';

/** protobufjs knows most of Google's own files by heart, but not the messages that options extend. Their names are all it takes. */
const OPTIONS = [
  'FileOptions',
  'MessageOptions',
  'FieldOptions',
  'OneofOptions',
  'EnumOptions',
  'EnumValueOptions',
  'ServiceOptions',
  'MethodOptions',
];
const FOR_EXTENSIONS = { fields: {}, extensions: [[1000, 2 ** 29 - 1]] };

protobuf.common('google/protobuf/descriptor.proto', {
  nested: {
    google: { nested: { protobuf: { nested: Object.fromEntries(OPTIONS.map((name) => [name, FOR_EXTENSIONS])) } } },
  },
});

/**
 * Reads `proto/<file>` and what it imports. The folder is looked for beside the running program and upwards from there: so it is
 * found from dist/, from a bundle and from an image alike.
 *
 * Options stand in `options` of each field, type and method, under their name in the file, e.g. `(csi_secret)`.
 *
 * @param parsing for those who need more than messages and services, e.g. the comments
 * @throws Error when there is no such file: the installation is incomplete
 */
export function loadProto(file: string, parsing: protobuf.IParseOptions = {}): protobuf.Root {
  const root = new protobuf.Root();
  root.resolvePath = (origin, target) => (origin === '' ? target : protoPath(target));
  root.loadSync(protoPath(file), parsing);
  root.resolveAll();
  return root;
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
