import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { decodeRecord, encodeRecord, fileNameOf, recordNameOf, versionAfter } from '../../src/embedded/record-file.ts';

const names = fc.oneof(
  fc.string({ unit: 'grapheme', minLength: 1 }),
  fc.string({ unit: 'binary', minLength: 1 }),
  fc.constantFrom('.', '..', '...', '/', 'a/b', '%2F', '\0', 'ä', 'A', 'a'),
);

test('fileNameOf() gives each name a plain file name of its own, and recordNameOf() gives it back', () => {
  fc.assert(
    fc.property(names, names, (name, other) => {
      const fileName = fileNameOf(name);
      if (fileName === undefined) {
        expect(!name.isWellFormed() || Buffer.byteLength(name) * 3 > 246).toBe(true);
        return;
      }
      expect(fileName).toMatch(/^[A-Za-z0-9_%-][A-Za-z0-9._%-]*\.json$/);
      expect(fileName.length).toBeLessThan(250);
      expect(recordNameOf(fileName)).toBe(name);
      expect(fileNameOf(other) === fileName).toBe(other === name);
    }),
    { numRuns: 1_000 },
  );
  expect(['e10.3', 'node-1.example.org', '..', 'a/b', 'é'].map(fileNameOf)).toEqual([
    'e10.3.json',
    'node-1.example.org.json',
    '%2E..json',
    'a%2Fb.json',
    '%C3%A9.json',
  ]);
  expect([fileNameOf(''), fileNameOf('n'.repeat(247)), fileNameOf('\ud800')]).toEqual([undefined, undefined, undefined]);
});

test('recordNameOf() knows no file that fileNameOf() would not have made, and never throws', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: fc.constantFrom('e', '1', '.', '%', '2', 'F', 'f', '/', 'json', '.json', '\0') }),
      (fileName) => {
        const name = recordNameOf(fileName);
        if (name !== undefined) expect(fileNameOf(name)).toBe(fileName);
      },
    ),
    { numRuns: 2_000 },
  );
});

test('decodeRecord() gives back what encodeRecord() wrote', () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.nat(), (value, writes) => {
      let version = versionAfter(`${writes}-ab`);
      version = versionAfter(version);
      expect(decodeRecord(Buffer.from(encodeRecord({ version, value })))).toEqual(JSON.parse(JSON.stringify({ version, value })));
    }),
  );
});

test('decodeRecord() answers any bytes with a record or a text, and never throws', () => {
  const whole = Buffer.from(encodeRecord({ version: '1-ab', value: { address: 'e1.1' } }));
  const flipped = fc.tuple(fc.nat(whole.length - 1), fc.nat(255)).map(([at, byte]) => {
    const bytes = Buffer.from(whole);
    bytes[at] = byte;
    return bytes;
  });
  fc.assert(
    fc.property(
      fc.oneof(
        fc.uint8Array(),
        fc.json().map((text) => Buffer.from(text)),
        flipped,
      ),
      (bytes) => {
        const record = decodeRecord(bytes);
        if (typeof record !== 'string') expect(record.version).toMatch(/^\d+-[0-9a-f]+$/);
      },
    ),
    { numRuns: 2_000 },
  );
});

test('versionAfter() counts, and never gives the same twice', () => {
  expect(versionAfter(undefined)).toMatch(/^1-[0-9a-f]{12}$/);
  expect(versionAfter('41-ab')).toMatch(/^42-[0-9a-f]{12}$/);
  expect(new Set(Array.from({ length: 1_000 }, () => versionAfter('1-ab'))).size).toBe(1_000);
});
