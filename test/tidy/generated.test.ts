import { expect, test } from '@jest/globals';
import type protobuf from 'protobufjs';
import { CUSTOM_RESOURCES } from '../../src/kubernetes/custom-resources.ts';
import { loadProto } from '../../src/rpc/proto-file.ts';
import { pathOf, repositoryFiles, textOf } from '../support/repository.ts';

interface Generated {
  readonly proto: string;
  readonly output: string;
}

interface Generator {
  readonly GENERATED: readonly Generated[];
  readonly PARSING: protobuf.IParseOptions;
  readonly generateMessages: (root: protobuf.Root, entry: Generated) => string;
}

test('generated types are what the .proto files say (`node tools/generate-messages.js` repairs)', async () => {
  const { GENERATED, PARSING, generateMessages } = (await import(pathOf('tools/generate-messages.js'))) as Generator;
  const outdated = GENERATED.filter((entry) => generateMessages(loadProto(entry.proto, PARSING), entry) !== textOf(entry.output));
  expect(outdated).toEqual([]);
});

test('definitions of kinds are what the records say (`node tools/generate-crds.js` repairs)', async () => {
  const { crdFiles } = (await import(pathOf('tools/generate-crds.js'))) as {
    crdFiles: (definitions: unknown) => Promise<Readonly<Record<string, string>>>;
  };
  const wanted = await crdFiles(CUSTOM_RESOURCES);
  const there = repositoryFiles().filter((name) => name.startsWith('deploy/helm/definitions/'));
  expect(Object.fromEntries(there.map((name) => [name, textOf(name)]))).toEqual(wanted);
});
