import { describe, expect, test } from '@jest/globals';
import { requestOf } from '../../src/cli/csi-request.ts';
import { loadProto } from '../../src/rpc/proto-file.ts';

/** What a person's words become, before it goes over the wire. */

const root = loadProto('csi.proto');
const words = { mode: 'SINGLE_NODE_WRITER', block: false, fsType: '' };
const capability = { accessMode: { mode: 'SINGLE_NODE_WRITER' }, mount: { fsType: '' } };

function request(type: string, ...fields: readonly string[]): object {
  return requestOf(root.lookupType(`csi.v1.${type}`), fields, words);
}

describe('requestOf()', () => {
  test('reads sizes, maps whose keys have dots, and names in snake_case', () => {
    expect(
      request(
        'CreateVolumeRequest',
        ...['name=first', 'capacity_range.required_bytes=10Gi', 'capacityRange.limitBytes=20000000000'],
        ...['parameters.csi.storage.k8s.io/fstype=xfs', 'parameters.maxWaste=50%'],
      ),
    ).toEqual({
      name: 'first',
      capacityRange: { requiredBytes: 10 * 2 ** 30, limitBytes: 2e10 },
      parameters: { 'csi.storage.k8s.io/fstype': 'xfs', maxWaste: '50%' },
      volumeCapabilities: [capability],
    });
  });

  test('takes JSON for a part or for all, and what it says before the options', () => {
    const block = { accessMode: { mode: 'multi_node_reader_only' }, block: {} };
    expect(
      request(
        'NodeStageVolumeRequest',
        `{"volumeId": "e1.1", "volumeCapability": ${JSON.stringify(block)}}`,
        'publishContext={"epoch": "1"}',
      ),
    ).toEqual({
      volumeId: 'e1.1',
      volumeCapability: { accessMode: { mode: 'MULTI_NODE_READER_ONLY' }, block: {} },
      publishContext: { epoch: '1' },
    });
  });

  test('reads numbers and truth values, also negative ones for those who try them', () => {
    expect(request('ListVolumesRequest', 'maxEntries=-2')).toEqual({ maxEntries: -2 });
    expect(request('ControllerPublishVolumeRequest', 'readonly=true')).toMatchObject({ readonly: true });
  });

  test.each([
    ['CreateVolumeRequest', 'capacityRange.requiredBytes=abc', "cannot use 'abc' for requiredBytes: give a whole number"],
    ['CreateVolumeRequest', '{"volumeCapabilities": {}}', 'for volumeCapabilities: give a JSON array'],
    ['CreateVolumeRequest', '{"capacityRange": 5}', "cannot use '5' for capacityRange: give a JSON object"],
    ['CreateVolumeRequest', 'name', "cannot read 'name': give field=value"],
    ['NodeGetInfoRequest', 'x=1', 'has no field x; it has none at all'],
  ])('refuses what protobuf would take for something else: %s %s', (type, word, message) => {
    expect(() => request(type, word)).toThrow(message);
  });
});
