import { describe, expect, test } from '@jest/globals';
import type protobuf from 'protobufjs';
import { loadProto } from '../../src/rpc/proto-file.ts';
import { REDACTED, redactionOf } from '../../src/rpc/redaction.ts';

const root = loadProto('csi.proto');
const SECRET = 'hunter2';

describe('redactionOf()', () => {
  test('hides every field that the specification calls a secret', () => {
    const requests = root.lookup('csi.v1') as protobuf.Namespace;
    const types = requests.nestedArray.filter(
      (type): type is protobuf.Type => 'fields' in type && 'secrets' in (type.fields as object),
    );
    expect(types.length).toBe(22);
    for (const type of types) {
      const shown = redactionOf(type)({ secrets: { password: SECRET } });
      expect([type.name, shown]).toEqual([type.name, { secrets: REDACTED }]);
    }
  });

  test('leaves the message itself and everything else as they are', () => {
    const message = {
      name: 'n',
      secrets: { a: SECRET },
      capacityRange: null,
      volumeCapabilities: [{ mount: { fsType: 'ext4' } }],
    };
    const shown = redactionOf(root.lookupType('csi.v1.CreateVolumeRequest'))(message);
    expect(shown).toEqual({ ...message, secrets: REDACTED });
    expect(message.secrets).toEqual({ a: SECRET });
  });

  test('shows that there are no secrets when there are none', () => {
    expect(redactionOf(root.lookupType('csi.v1.DeleteVolumeRequest'))({ volumeId: 'v', secrets: {} })).toEqual({
      volumeId: 'v',
      secrets: {},
    });
  });

  test('hides the tokens of a pod when the kubelet puts them into the volume context', () => {
    const volumeContext = { 'csi.storage.k8s.io/serviceAccount.tokens': SECRET, 'csi.storage.k8s.io/pod.name': 'web-0' };
    const shown = redactionOf(root.lookupType('csi.v1.NodePublishVolumeRequest'))({ volumeContext });
    expect(shown).toEqual({ volumeContext: { ...volumeContext, 'csi.storage.k8s.io/serviceAccount.tokens': REDACTED } });
  });
});
