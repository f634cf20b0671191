import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { CreateVolumeRequest } from '../../src/csi/messages.ts';
import type { Init } from '../../src/rpc/message-types.ts';
import { loadProto } from '../../src/rpc/proto-file.ts';
import { serviceDefinition } from '../../src/rpc/service.ts';
import { checkOf } from '../../src/rpc/validation.ts';

const root = loadProto('csi.proto');
const methods = {
  ...serviceDefinition(root.lookupService('csi.v1.Controller')),
  ...serviceDefinition(root.lookupService('csi.v1.Node')),
};

/** The complaint about a request that has been on the wire. */
function complaint(method: string, request: object): string | undefined {
  const { requestSerialize, requestDeserialize } = methods[method];
  return checkOf(root.lookupType(`csi.v1.${method}Request`))(requestDeserialize(requestSerialize(request)));
}

const CAPABILITY = { mount: {}, accessMode: { mode: 'SINGLE_NODE_WRITER' } } as const;

/** A CreateVolumeRequest that is right but for `change`. */
function create(change: Init<CreateVolumeRequest>): string | undefined {
  return complaint('CreateVolume', { name: 'pvc-1', volumeCapabilities: [CAPABILITY], ...change });
}

function stage(change: object): string | undefined {
  return complaint('NodeStageVolume', {
    volumeId: 'e1.1@0',
    stagingTargetPath: '/stage',
    volumeCapability: CAPABILITY,
    ...change,
  });
}

describe('checkOf()', () => {
  test('finds nothing wrong when all required fields are there', () => {
    expect(create({})).toBeUndefined();
    expect(
      create({ capacityRange: { requiredBytes: 1 }, parameters: { waste: '1' }, accessibilityRequirements: {} }),
    ).toBeUndefined();
    expect(stage({})).toBeUndefined();
  });

  test.each([
    [{ name: '' }, 'name is required'],
    [{ volumeCapabilities: [] }, 'volume_capabilities is required'],
    [{ volumeCapabilities: [CAPABILITY, { mount: {} }] }, 'volume_capabilities[1].access_mode is required'],
    [{ volumeCapabilities: [{ accessMode: CAPABILITY.accessMode }] }, 'volume_capabilities[0].block or mount is required'],
    [{ volumeCapabilities: [{ block: {}, accessMode: {} }] }, 'volume_capabilities[0].access_mode.mode is required'],
    [{ capacityRange: {} }, 'capacity_range.required_bytes or limit_bytes is required'],
    [{ volumeContentSource: {} }, 'volume_content_source.snapshot or volume is required'],
    [{ volumeContentSource: { volume: {} } }, 'volume_content_source.volume.volume_id is required'],
  ] as const)('names what is missing when CreateVolume gets %j', (change, expected) => {
    expect(create(change)).toBe(expected);
  });

  test('names what is missing when it is missing in other requests', () => {
    expect(complaint('ControllerModifyVolume', { volumeId: 'v' })).toBe('mutable_parameters is required');
    expect(complaint('ControllerExpandVolume', { volumeId: 'v' })).toBe('capacity_range is required');
    expect(complaint('ControllerPublishVolume', { volumeId: 'v', volumeCapability: CAPABILITY })).toBe('node_id is required');
    expect(complaint('ControllerUnpublishVolume', { volumeId: 'v' })).toBeUndefined();
    expect(complaint('NodeExpandVolume', { volumeId: 'v' })).toBe('volume_path is required');
  });

  test('counts bytes, not characters, when it compares a string with its limit', () => {
    expect(create({ name: 'ü'.repeat(64) })).toBeUndefined();
    expect(create({ name: 'ü'.repeat(64) + 'x' })).toBe('name has 129 bytes; at most 128 are allowed');
    expect(complaint('ControllerUnpublishVolume', { volumeId: 'v', nodeId: 'n'.repeat(256) })).toBeUndefined();
    expect(complaint('ControllerUnpublishVolume', { volumeId: 'v', nodeId: 'n'.repeat(257) })).toContain('node_id has 257 bytes');
  });

  test('counts keys and values together when it compares a map with its limit', () => {
    expect(create({ secrets: { k: 'v'.repeat(4095) } })).toBeUndefined();
    expect(create({ secrets: { k: 'v'.repeat(4000), l: 'v'.repeat(95) } })).toBe(
      'secrets has 4097 bytes; at most 4096 are allowed',
    );
  });

  test('counts all flags together when it compares mount_flags with their limit', () => {
    const flags = (lengths: number[]): object => ({ mount: { mountFlags: lengths.map((length) => 'f'.repeat(length)) } });
    expect(stage({ volumeCapability: { ...CAPABILITY, ...flags([4000, 96]) } })).toBeUndefined();
    expect(stage({ volumeCapability: { ...CAPABILITY, ...flags([4000, 97]) } })).toBe(
      'volume_capability.mount.mount_flags has 4097 bytes; at most 4096 are allowed',
    );
  });

  test('takes a path as long as Linux does when the field is a path', () => {
    expect(stage({ stagingTargetPath: `/${'p'.repeat(4094)}` })).toBeUndefined();
    expect(stage({ stagingTargetPath: `/${'p'.repeat(4095)}` })).toContain('has 4096 bytes');
    expect(stage({ stagingTargetPath: 'stage' })).toBe('staging_target_path is not an absolute path');
    expect(stage({ stagingTargetPath: '/st\0age' })).toBe('staging_target_path holds a NUL character');
    expect(complaint('NodeGetVolumeStats', { volumeId: 'v', volumePath: 'some/path' })).toBeUndefined();
    expect(complaint('NodeGetVolumeStats', { volumeId: 'v', volumePath: 'a\0b' })).toBe('volume_path holds a NUL character');
  });

  test('refuses control characters, and only those, when the field is a name', () => {
    for (let code = 0; code < 0x100; code++) {
      const isBanned =
        code <= 8 || code === 0xb || code === 0xc || (code >= 0xe && code <= 0x1f) || (code >= 0x7f && code <= 0x9f);
      const expected = isBanned ? 'name holds a control character' : undefined;
      expect([code, create({ name: `a${String.fromCharCode(code)}` })]).toEqual([code, expected]);
    }
  });

  test('refuses a negative number when the field can have none', () => {
    expect(create({ capacityRange: { requiredBytes: -1 } })).toBe('capacity_range.required_bytes is negative');
    expect(complaint('ListVolumes', { maxEntries: -1 })).toBe('max_entries is negative');
    expect(create({ capacityRange: { limitBytes: 2 ** 63 - 1024 } })).toBeUndefined();
  });

  test('refuses an access mode when it is newer than this version', () => {
    const mode = { accessMode: { mode: 99 } };
    expect(stage({ volumeCapability: { mount: {}, ...mode } })).toBe(
      'volume_capability.access_mode.mode has the value 99, which this version does not know',
    );
  });

  test('answers without throwing when a request consists of any bytes that decode', () => {
    const { requestDeserialize } = methods['CreateVolume'];
    const check = checkOf(root.lookupType('csi.v1.CreateVolumeRequest'));
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        let request: object;
        try {
          request = requestDeserialize(Buffer.from(bytes));
        } catch {
          return;
        }
        expect(['string', 'undefined']).toContain(typeof check(request));
      }),
      { numRuns: 2000 },
    );
  });
});

test('requestDeserialize() leaves the prototype alone when a map has the key __proto__', () => {
  const { requestSerialize, requestDeserialize } = methods['CreateVolume'];
  const parameters = JSON.parse('{"__proto__": "x", "constructor": "y"}') as Record<string, string>;
  const request = requestDeserialize(requestSerialize({ name: 'n', parameters })) as CreateVolumeRequest;
  expect(Object.entries(request.parameters)).toEqual([
    ['__proto__', 'x'],
    ['constructor', 'y'],
  ]);
  expect(({} as Record<string, unknown>)['x']).toBeUndefined();
});
