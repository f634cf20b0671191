import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { configStringText } from '../../src/aoe/config.ts';
import { CONFIG_STRING_BYTES_MAX } from '../../src/aoe/constants.ts';
import { compareAddresses, isTargetAddress } from '../../src/volumes/addresses.ts';
import { formatBytes, parseBytes } from '../../src/volumes/byte-size.ts';
import { claimOf, formatConfigString, isClaim, isClusterId, ownershipOf } from '../../src/volumes/claim.ts';
import { formatRanges, parseRanges, rangesInclude } from '../../src/volumes/number-ranges.ts';
import { formatVolumeId, parseVolumeId, VOLUME_ID_BYTES_MAX } from '../../src/volumes/volume-id.ts';

const addresses = fc
  .tuple(fc.integer({ min: 0, max: 65_534 }), fc.integer({ min: 0, max: 254 }))
  .map(([shelf, slot]) => `e${shelf}.${slot}`);
const clusterIds = fc.stringMatching(/^[A-Za-z0-9._-]{1,63}$/);
const volumeNames = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 128 });
const claims = fc.tuple(clusterIds, volumeNames).map(([clusterId, name]) => claimOf(clusterId, name));
/** Characters of which the texts here are made, so that garbage is nearly right. */
const nearlyRight = fc.string({ unit: fc.constantFrom(...'e0123456789.@;-,/%aoecsi GiMKk\0é'.split('')), maxLength: 60 });
const garbage = fc.oneof(fc.string({ unit: 'binary' }), nearlyRight);

describe('volume id', () => {
  test('parseVolumeId() gives back what formatVolumeId() wrote', () => {
    fc.assert(
      fc.property(addresses, fc.option(claims, { nil: undefined }), (address, claim) => {
        const text = formatVolumeId({ address, claim });
        expect(parseVolumeId(text)).toEqual({ address, claim });
        expect(Buffer.byteLength(text)).toBeLessThanOrEqual(VOLUME_ID_BYTES_MAX);
      }),
    );
  });

  test('parseVolumeId() accepts exactly the texts that formatVolumeId() writes when given anything', () => {
    fc.assert(
      fc.property(garbage, (text) => {
        const id = parseVolumeId(text);
        if (id !== undefined) expect(formatVolumeId(id)).toBe(text);
      }),
      { numRuns: 2_000 },
    );
  });

  test('parseVolumeId() refuses an id with one character removed, doubled or in upper case', () => {
    fc.assert(
      fc.property(addresses, claims, fc.nat(), (address, claim, seed) => {
        const text = formatVolumeId({ address, claim });
        const at = address.length + (seed % (claim.length + 1));
        const [head, character, tail] = [text.slice(0, at), text[at], text.slice(at + 1)];
        for (const broken of [head + tail, head + character + character + tail, `${text}@`, `${text} `, text.toUpperCase()]) {
          expect(parseVolumeId(broken)).toBeUndefined();
        }
      }),
    );
  });
});

describe('claim', () => {
  test('claimOf() is a claim, the same for the same volume and another for any other', () => {
    fc.assert(
      fc.property(clusterIds, volumeNames, clusterIds, volumeNames, (cluster, name, otherCluster, otherName) => {
        const claim = claimOf(cluster, name);
        expect(isClaim(claim)).toBe(true);
        expect(claimOf(otherCluster, otherName) === claim).toBe(cluster === otherCluster && name === otherName);
      }),
    );
  });

  test('claimOf() keeps apart volumes whose cluster id and name run together', () => {
    expect(claimOf('a', 'b-c')).not.toBe(claimOf('a-b', 'c'));
    expect(claimOf('a', 'b')).not.toBe(claimOf('a', 'b;'));
  });

  test('ownershipOf() knows what formatConfigString() wrote, in this cluster and in another', () => {
    fc.assert(
      fc.property(clusterIds, clusterIds, claims, (cluster, other, claim) => {
        fc.pre(cluster !== other);
        const text = formatConfigString(cluster, claim);
        expect(text.length).toBeLessThanOrEqual(CONFIG_STRING_BYTES_MAX);
        // What a node reports is the printable form, and it is the same text.
        expect(configStringText(Buffer.from(text))).toBe(text);
        expect(ownershipOf(text, cluster)).toEqual({ kind: 'ours', claim });
        expect(ownershipOf(text, other)).toEqual({ kind: 'foreign', owner: `cluster ${cluster} (claim ${claim})` });
      }),
    );
  });

  test('ownershipOf() calls nothing its own that formatConfigString() did not write', () => {
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      nearlyRight.map((text) => Buffer.from(text)),
      claims.map((c) => Buffer.from(`aoe-csi/1;c;${c}`)),
    );
    fc.assert(
      fc.property(bytes, fc.uint8Array({ maxLength: 2 }), (string, more) => {
        const text = configStringText(Buffer.concat([string, more]));
        const ownership = ownershipOf(text, 'c');
        if (ownership.kind === 'ours') expect(formatConfigString('c', ownership.claim)).toBe(text);
        expect(ownership.kind === 'empty').toBe(text === '');
      }),
      { numRuns: 2_000 },
    );
  });

  test('ownershipOf() takes no claim for its own that has something before, behind or missing', () => {
    const claim = claimOf('c', 'v');
    const right = formatConfigString('c', claim);
    for (const text of [
      `${right};`,
      `${right};x`,
      `${right} `,
      ` ${right}`,
      right.slice(0, -1),
      `aoe-csi/1;c`,
      `aoe-csi/1;;${claim}`,
    ]) {
      expect(ownershipOf(text, 'c').kind).toBe('foreign');
    }
  });

  test('ownershipOf() says who when a newer version of this driver, or somebody who talks a lot, wrote the string', () => {
    expect(ownershipOf('aoe-csi/2;x', 'c')).toEqual({
      kind: 'foreign',
      owner: `another version of aoe-csi who wrote 'aoe-csi/2;x'`,
    });
    expect(ownershipOf('x'.repeat(1024), 'c')).toEqual({ kind: 'foreign', owner: `somebody who wrote '${'x'.repeat(80)}…'` });
  });

  test('isClusterId() refuses what could be taken for another part of the config string', () => {
    for (const text of ['', 'a;b', 'a b', 'a\n', 'é', 'a'.repeat(64), String.raw`a\x00`]) expect(isClusterId(text)).toBe(false);
  });
});

describe('addresses', () => {
  test('compareAddresses() orders by shelf and slot as numbers, and other texts last', () => {
    const texts = ['e10.1', 'x', 'e2.10', 'e2.9', 'e1.254', ''];
    expect(texts.toSorted(compareAddresses)).toEqual(['e1.254', 'e2.9', 'e2.10', 'e10.1', '', 'x']);
  });

  test('isTargetAddress() never throws and knows wildcards for none', () => {
    fc.assert(fc.property(garbage, (text) => expect(typeof isTargetAddress(text)).toBe('boolean')));
    expect(['e65535.1', 'e1.255', 'e01.1', 'e1.1 '].map(isTargetAddress)).toEqual([false, false, false, false]);
  });
});

describe('byte sizes', () => {
  test('parseBytes() gives back what formatBytes() wrote', () => {
    const bytes = fc.oneof(
      fc.maxSafeNat(),
      fc.tuple(fc.integer({ min: 1, max: 1023 }), fc.integer({ min: 0, max: 4 })).map(([n, power]) => n * 1024 ** power),
    );
    fc.assert(fc.property(bytes, (value) => expect(parseBytes(formatBytes(value))).toBe(value)));
  });

  test('parseBytes() reads the suffixes of Kubernetes', () => {
    expect(['1k', '1Ki', '5M', '5Mi', '2G', '100Gi', '3T', '1Ti', '1P', '1Pi', '0', '007'].map(parseBytes)).toEqual([
      1e3,
      1024,
      5e6,
      5 * 2 ** 20,
      2e9,
      100 * 2 ** 30,
      3e12,
      2 ** 40,
      1e15,
      2 ** 50,
      0,
      7,
    ]);
  });

  test('parseBytes() refuses anything else without throwing', () => {
    for (const text of ['', '-1', '1.5Gi', '1 Gi', '1gi', '1e3', 'Gi', '9007199254740993', '8192Pi', '1K'])
      expect(parseBytes(text)).toBeUndefined();
    fc.assert(
      fc.property(garbage, (text) => {
        const bytes = parseBytes(text);
        if (bytes !== undefined) expect(Number.isSafeInteger(bytes) && bytes >= 0).toBe(true);
      }),
    );
  });
});

describe('number ranges', () => {
  const lists = fc.array(fc.tuple(fc.nat(300), fc.nat(50)), { minLength: 1, maxLength: 8 });

  test('parseRanges() means the same numbers as the text, in one form', () => {
    fc.assert(
      fc.property(lists, (parts) => {
        const text = parts.map(([first, more]) => (more === 0 ? `${first}` : `${first}-${first + more}`)).join(',');
        const ranges = parseRanges(text, 350)!;
        for (let value = 0; value <= 350; value++) {
          const isMeant = parts.some(([first, more]) => value >= first && value <= first + more);
          expect(rangesInclude(ranges, value)).toBe(isMeant);
        }
        expect(parseRanges(formatRanges(ranges), 350)).toEqual(ranges);
      }),
      { numRuns: 50 },
    );
  });

  test('parseRanges() refuses what is backwards, too large or no range, and never throws', () => {
    for (const text of ['', ',', '1,', '4-1', '255', '1-255', '-3', '1--2', 'a', '0x1', '1.5'])
      expect(parseRanges(text, 254)).toBeUndefined();
    fc.assert(
      fc.property(garbage, (text) => {
        const ranges = parseRanges(text, 254);
        if (ranges !== undefined) expect(parseRanges(formatRanges(ranges), 254)).toEqual(ranges);
      }),
    );
    expect(parseRanges('1,'.repeat(10_000), 254)).toBeUndefined();
  });
});
