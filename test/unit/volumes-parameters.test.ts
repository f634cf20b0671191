import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { PARAMETERS, type Parameter } from '../../src/volumes/parameter-table.ts';
import { wasteBytesMax, wasteLimit } from '../../src/volumes/parameter-values.ts';
import {
  parametersOf,
  readMutableParameters,
  readParameters,
  settingsOf,
  settingsOfVolume,
} from '../../src/volumes/parameters.ts';
import { GI } from '../support/volumes-records.ts';

const all = Object.values(PARAMETERS) as readonly Parameter<unknown>[];

/** Texts for each parameter: good ones, each with what stands for it, and bad ones. */
const TEXTS: Readonly<Record<string, { good: Readonly<Record<string, string>>; bad: readonly string[] }>> = {
  interfaces: {
    good: { '': '', eth1: 'eth1', ' eth1 , san*,eth?': 'eth1,san*,eth?', 'a,a': 'a' },
    bad: [',', 'eth1,', 'a b', 'a/b', 'eth1:0', 'sixteencharacter', Array.from({ length: 65 }, (_, n) => `i${n}`).join(',')],
  },
  shelves: {
    good: { '1-4,7': '1-4,7', '7,4-5,1-3': '1-5,7', '65534': '65534', '0': '0' },
    bad: ['', '65535', '4-1', 'e1', '-1', '1;2'],
  },
  slots: { good: { '0-254': '0-254', '3,1,2': '1-3' }, bad: ['', '255', 'all'] },
  maxWaste: {
    good: { '0%': '0%', '100%': '100%', '050%': '50%', '0': '0', '1024Mi': '1Gi', '500000000000': '500G' },
    bad: ['', '101%', '-1%', '5 %', '1.5Gi', '%'],
  },
  fencing: { good: { reserve: 'reserve', claim: 'claim', none: 'none' }, bad: ['', 'Reserve', 'mask', 'all'] },
  wipe: { good: { headers: 'headers', discard: 'discard', zero: 'zero', none: 'none' }, bad: ['', 'yes', 'zeroes'] },
  deadSeconds: {
    good: { '0': '0', '007': '7', '31536000': '31536000' },
    bad: ['', '-1', '1.5', '1e3', '31536001', 'forever', '99999999999'],
  },
  maxOutstanding: { good: { '1': '1', '1024': '1024' }, bad: ['0', '1025', ''] },
  'csi.storage.k8s.io/fstype': { good: { ext4: 'ext4', xfs: 'xfs', btrfs: 'btrfs' }, bad: ['', 'ext3', 'EXT4'] },
  format: { good: { never: 'never', blank: 'blank' }, bad: ['', 'always', 'true'] },
  claim: { good: { no: 'no', yes: 'yes' }, bad: ['', 'true', 'Yes'] },
};

/** Whether a text is what the schema of a parameter lets through. */
function fits({ schema }: Parameter<unknown>, text: string): boolean {
  return 'enum' in schema ? schema.enum.includes(text) : new RegExp(schema.pattern, 'u').test(text);
}

describe('parameters', () => {
  test.each(all.map((parameter) => [parameter.name, parameter] as const))(
    '%s reads good values and says what it expects of bad ones',
    (name, parameter) => {
      const place = parameter.places[0];
      for (const [text, stands] of Object.entries(TEXTS[name].good)) {
        expect(readParameters(place, { [name]: text }).parameters[name]).toBe(stands);
        // The form that is kept means the same, and is kept as it is.
        expect(readParameters(place, { [name]: stands }).parameters[name]).toBe(stands);
      }
      for (const text of [...Object.keys(TEXTS[name].good), parameter.byDefault])
        expect([text, fits(parameter, text)]).toEqual([text, true]);
      // A schema does not count, but what is no such thing at all it does not let through.
      expect(TEXTS[name].bad.some((text) => !fits(parameter, text))).toBe(true);
      for (const text of TEXTS[name].bad) {
        expect(() => readParameters(place, { [name]: text })).toThrow(
          expect.objectContaining({
            code: 'invalid-argument',
            message: `cannot use '${text}' for ${name} of the ${place}: expected ${parameter.expected}`,
          }),
        );
      }
    },
  );

  test('every default is a value of its parameter, in the form that is kept', () => {
    for (const { name, byDefault, places } of all) {
      expect(readParameters(places[0], { [name]: byDefault }).parameters[name]).toBe(byDefault);
    }
  });

  test('no parameter throws whatever it is given, and what it accepts keeps its meaning', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...all),
        fc.string({ unit: fc.constantFrom(...'0123456789-,%.GiKePe thn*?é\0'.split('')), maxLength: 12 }),
        (parameter, text) => {
          const value = parameter.read(text);
          if (value === undefined) return;
          expect(parameter.read(parameter.write(value))).toEqual(value);
          expect([text, fits(parameter, text)]).toEqual([text, true]);
        },
      ),
      { numRuns: 3_000 },
    );
  });

  test('readParameters() fills in defaults and sets the metadata of the sidecars apart', () => {
    const given = {
      shelves: '1',
      'csi.storage.k8s.io/pvc/name': 'data',
      'csi.storage.k8s.io/pvc/namespace': 'n',
      'csi.storage.k8s.io/pv/name': 'pvc-1',
    };
    const { parameters, labels } = readParameters('StorageClass', given);
    expect(Object.keys(parameters).toSorted()).toEqual(
      parametersOf('StorageClass')
        .map(({ name }) => name)
        .toSorted(),
    );
    expect(parameters).toMatchObject({
      shelves: '1',
      slots: '0-254',
      deadSeconds: '0',
      fencing: 'claim',
      'csi.storage.k8s.io/fstype': 'ext4',
    });
    expect(labels).toEqual({
      'csi.storage.k8s.io/pvc/name': 'data',
      'csi.storage.k8s.io/pvc/namespace': 'n',
      'csi.storage.k8s.io/pv/name': 'pvc-1',
    });
  });

  test('readParameters() refuses an unknown parameter and names those there are', () => {
    expect(() => readParameters('StorageClass', { slot: '1' })).toThrow(
      expect.objectContaining({
        code: 'invalid-argument',
        message:
          "cannot use parameter 'slot' in the StorageClass: it is unknown; those there are interfaces, shelves, slots, maxWaste, fencing, wipe, " +
          'deadSeconds, maxOutstanding, csi.storage.k8s.io/fstype',
      }),
    );
    for (const name of ['__proto__', 'constructor', 'toString', '']) {
      expect(() => readParameters('StorageClass', Object.fromEntries([[name, 'x']]))).toThrow(/unknown/);
    }
  });

  test('readMutableParameters() takes only what may change, and fills in nothing', () => {
    expect(readMutableParameters({ deadSeconds: '5', 'csi.storage.k8s.io/pv/name': 'pv' })).toEqual({
      parameters: { deadSeconds: '5' },
      labels: { 'csi.storage.k8s.io/pv/name': 'pv' },
    });
    expect(() => readMutableParameters({ slots: '1' })).toThrow(
      expect.objectContaining({
        code: 'invalid-argument',
        message:
          "cannot use parameter 'slots' in the VolumeAttributesClass: it belongs into the StorageClass; those there are interfaces, deadSeconds, maxOutstanding",
      }),
    );
  });

  test('readParameters() of a static volume knows nothing of placement, and format', () => {
    expect(readParameters('PersistentVolume', {}).parameters['format']).toBe('never');
    expect(() => readParameters('PersistentVolume', { shelves: '1' })).toThrow(/belongs into the StorageClass/);
    expect(() => readParameters('StorageClass', { format: 'blank' })).toThrow(/belongs into the PersistentVolume/);
  });

  test('settingsOf() lets the later layer win and gives defaults for what an older record lacks', () => {
    const { parameters } = readParameters('StorageClass', { deadSeconds: '5', interfaces: 'eth*', maxWaste: '50%' });
    expect(settingsOf(parameters)).toMatchObject({
      deadSeconds: 5,
      interfaces: ['eth*'],
      maxWaste: { unit: 'percent', value: 50 },
      fsType: 'ext4',
    });
    expect(settingsOfVolume({ parameters, mutableParameters: { deadSeconds: '9' } })).toMatchObject({
      deadSeconds: 9,
      interfaces: ['eth*'],
    });
    expect(settingsOf()).toMatchObject({ maxOutstanding: 128, shelves: [{ first: 0, last: 65_534 }], wipe: 'headers' });
    expect(() => settingsOf({ deadSeconds: 'x' })).toThrow(expect.objectContaining({ code: 'internal' }));
  });

  test('wasteBytesMax() takes a share of the target, or bytes', () => {
    expect(wasteBytesMax(wasteLimit.read('50%')!, 4 * GI)).toBe(2 * GI);
    expect(wasteBytesMax(wasteLimit.read('33%')!, 100)).toBe(33);
    expect(wasteBytesMax(wasteLimit.read('1Gi')!, 4 * GI)).toBe(GI);
  });
});
