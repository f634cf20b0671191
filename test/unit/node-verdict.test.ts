import { describe, expect, test } from '@jest/globals';
import type { Probe } from '../../src/node/format/probe.ts';
import { formatVerdict, RAW, type FormatFacts } from '../../src/node/format/verdict.ts';
import type { FormatRecord } from '../../src/volumes/records.ts';

const OURS = '11111111-2222-3333-4444-555555555555';
const THEIRS = '99999999-2222-3333-4444-555555555555';

const NEVER: FormatRecord = { state: 'never', fsType: '', uuid: '' };
const BEGUN: FormatRecord = { state: 'formatting', fsType: 'ext4', uuid: OURS };
const DONE: FormatRecord = { state: 'formatted', fsType: 'ext4', uuid: OURS };
const GROWING: FormatRecord = { state: 'growing', fsType: 'ext4', uuid: OURS };
const GIVEN_RAW: FormatRecord = { state: 'formatted', fsType: RAW, uuid: '' };

const BLANK: Probe = { kind: 'blank' };
const DATA: Probe = { kind: 'data', atBytes: 4096 };
const AMBIGUOUS: Probe = { kind: 'ambiguous', what: 'two of them' };
const found = (type: string, uuid = THEIRS): Probe => ({ kind: 'signature', signature: { type, usage: '', uuid, label: '' } });
/** What else lies about on disks; none of it is ever written over. */
const STRANGERS = [
  'LVM2_member',
  'linux_raid_member',
  'crypto_LUKS',
  'swap',
  'zfs_member',
  'gpt',
  'dos',
  'ntfs',
  'drbd',
  'bcache',
];
const EVERYTHING: readonly Probe[] = [
  BLANK,
  DATA,
  AMBIGUOUS,
  ...[...STRANGERS, 'ext4', 'xfs', 'btrfs'].flatMap((type) => [found(type), found(type, OURS)]),
];

const FACTS: FormatFacts = {
  record: NEVER,
  isStatic: false,
  mayFormatStatic: false,
  readOnly: false,
  fsType: '',
  fsTypeDefault: 'ext4',
  probe: BLANK,
  isOurBeginning: false,
};

function verdict(facts: Partial<FormatFacts>): string {
  const answer = formatVerdict({ ...FACTS, ...facts });
  if (answer.action === 'refuse') return `refuse: ${answer.why}`;
  if (answer.action === 'format') return `format ${answer.fsType} ${answer.uuid ?? 'new'}${answer.again ? ' again' : ''}`;
  return `${answer.action} ${answer.fsType} ${answer.uuid}`;
}

describe('formatVerdict()', () => {
  test('formats a disk that was never formatted and is blank', () => {
    expect(verdict({})).toBe('format ext4 new');
    expect(verdict({ fsType: 'xfs' })).toBe('format xfs new');
  });

  test('refuses whatever is found on a disk that was never formatted', () => {
    for (const probe of EVERYTHING.slice(1)) expect(verdict({ probe })).toMatch(/^refuse: found .* belongs to somebody else/);
  });

  test('mounts the file system that was made, and refuses anything else in its place', () => {
    expect(verdict({ record: DONE, probe: found('ext4', OURS) })).toBe(`mount ext4 ${OURS}`);
    for (const probe of EVERYTHING) {
      const isOurs = probe.kind === 'signature' && probe.signature.uuid === OURS;
      if (!isOurs)
        expect(verdict({ record: DONE, probe })).toMatch(/^refuse: found .*UUID 11111111.* It is never formatted again$/);
    }
  });

  test('never formats what was formatted or given out as a raw device, whatever is found', () => {
    for (const record of [DONE, GROWING, GIVEN_RAW]) {
      for (const probe of EVERYTHING) {
        for (const isOurBeginning of [false, true]) expect(verdict({ record, probe, isOurBeginning })).not.toMatch(/^format/);
      }
    }
  });

  test('mounts what the user of a raw device has made on it, and refuses it when it is blank', () => {
    expect(verdict({ record: GIVEN_RAW, probe: found('xfs') })).toBe(`mount xfs ${THEIRS}`);
    expect(verdict({ record: GIVEN_RAW })).toMatch(/^refuse: .* raw device before/);
  });

  test('mounts what was growing, once it may be mended, and no other disk in its place', () => {
    expect(verdict({ record: GROWING, probe: found('ext4', OURS) })).toBe(`mount ext4 ${OURS}`);
    expect(verdict({ record: GROWING, probe: found('ext4', OURS), readOnly: true })).toMatch(
      /^refuse: .* use it for writing first/,
    );
    for (const probe of [BLANK, DATA, AMBIGUOUS, found('ext4')]) expect(verdict({ record: GROWING, probe })).toMatch(/^refuse/);
  });

  test('goes on with a format that a crash has interrupted', () => {
    expect(verdict({ record: BEGUN })).toBe(`format ext4 ${OURS}`);
    expect(verdict({ record: BEGUN, probe: DATA, isOurBeginning: true })).toBe(`format ext4 ${OURS} again`);
    expect(verdict({ record: BEGUN, probe: found('ext4', OURS) })).toBe(`confirm ext4 ${OURS}`);
  });

  test('refuses a strange disk where a format was interrupted', () => {
    for (const probe of EVERYTHING.slice(1)) {
      const isOurs = probe.kind === 'signature' && probe.signature.uuid === OURS;
      if (!isOurs) expect(verdict({ record: BEGUN, probe })).toMatch(/^refuse: .* was begun and not ended/);
    }
  });

  test('refuses what others have put over the beginning of a format', () => {
    for (const probe of EVERYTHING.filter(({ kind }) => kind === 'signature' || kind === 'ambiguous')) {
      const isOurs = probe.kind === 'signature' && probe.signature.uuid === OURS;
      if (!isOurs) expect(verdict({ record: BEGUN, probe, isOurBeginning: true })).toMatch(/^refuse/);
    }
    // The mark of a mkfs is taken away when it has ended: what looks whole may not be.
    expect(verdict({ record: BEGUN, probe: found('ext4', OURS), isOurBeginning: true })).toBe(`format ext4 ${OURS} again`);
  });

  test('refuses to change the file system of an interrupted format', () => {
    expect(verdict({ record: BEGUN, fsType: 'xfs' })).toMatch(/^refuse: .*xfs is wanted, but a format with ext4 was begun/);
  });

  test('formats a static volume only if its class says so and it is blank', () => {
    expect(verdict({ isStatic: true })).toMatch(/^refuse: .* format: blank/);
    expect(verdict({ isStatic: true, mayFormatStatic: true })).toBe('format ext4 new');
    for (const probe of EVERYTHING.slice(1)) {
      expect(verdict({ isStatic: true, mayFormatStatic: true, probe })).not.toMatch(/^format/);
    }
    expect(verdict({ isStatic: true, probe: found('btrfs') })).toBe(`mount btrfs ${THEIRS}`);
  });

  test('refuses another file system than the one that is wanted, and those that it does not know', () => {
    expect(verdict({ isStatic: true, fsType: 'xfs', probe: found('ext4') })).toMatch(/xfs is wanted; ask for ext4/);
    for (const type of STRANGERS)
      expect(verdict({ isStatic: true, probe: found(type) })).toMatch(/^refuse: found .* can be mounted/);
  });

  test('never writes to what can only be read', () => {
    for (const record of [NEVER, BEGUN]) expect(verdict({ record, readOnly: true })).toMatch(/^refuse: .* can only be read/);
    expect(verdict({ record: DONE, readOnly: true, probe: found('ext4', OURS) })).toBe(`mount ext4 ${OURS}`);
  });
});
