import { execFileSync } from 'node:child_process';
import { beforeAll, expect, test } from '@jest/globals';
import { loadProto } from '../../src/rpc/proto-file.ts';
import { linesOfDescriptor, linesOfRoot, type FileDescriptor } from '../support/csi-descriptor-lines.ts';
import { builtGoProgram, go } from '../support/csi-go.ts';
import { pathOf } from '../support/repository.ts';
import { describeIf } from '../support/requires.ts';

/** Building from nothing, with the modules to be fetched. */
const BUILD_MS = 300_000;

describeIf([go()], 'proto/', () => {
  let descriptors: Record<string, FileDescriptor>;

  beforeAll(() => {
    const program = builtGoProgram('csi-descriptor', pathOf('test/support/csi-descriptor'));
    descriptors = JSON.parse(execFileSync(program, { encoding: 'utf8' })) as typeof descriptors;
  }, BUILD_MS);

  test('csi.proto is CSI 1.13.0, name by name and number by number', () => {
    const ours = linesOfRoot(loadProto('csi.proto', { keepCase: true }), 'csi.v1');
    expect(ours).toEqual(linesOfDescriptor(descriptors['csi.proto']));
    expect(ours.length).toBeGreaterThan(400);
    expect(ours).toContain('field .csi.v1.CreateVolumeRequest.secrets = 5 map<string, string> [csi_secret]');
  });

  test("pluginregistration.proto is the kubelet's", () => {
    const ours = linesOfRoot(loadProto('pluginregistration.proto', { keepCase: true }), 'pluginregistration');
    expect(ours).toEqual(linesOfDescriptor(descriptors['pluginregistration.proto']));
  });
});
