import { describe, expect, test } from '@jest/globals';
import { AllowList } from '../../src/initiator/allow-list.ts';

describe('AllowList', () => {
  test('allows() nothing when it is empty', () => {
    const list = new AllowList([]);
    expect(['eth0', 'lo', ''].map((name) => list.allows(name))).toEqual([false, false, false]);
    expect(list.names).toEqual([]);
  });

  test('allows() names that are in it and no others', () => {
    const list = new AllowList(['eth1', 'san0']);
    expect(['eth1', 'san0', 'eth0', 'eth11', 'eth', 'xeth1', 'ETH1'].map((name) => list.allows(name))).toEqual([
      ...[true, true],
      ...[false, false, false, false, false],
    ]);
  });

  test('allows() what a pattern means: * any number of characters, ? one', () => {
    const list = new AllowList(['san*', 'eth?', 'a*.?0']);
    expect(['san', 'san0', 'san-left', 'xsan'].map((name) => list.allows(name))).toEqual([true, true, true, false]);
    expect(['eth0', 'eth', 'eth10'].map((name) => list.allows(name))).toEqual([true, false, false]);
    expect(['a.10', 'abc.20', 'abcx20'].map((name) => list.allows(name))).toEqual([true, true, false]);
    expect(new AllowList(['*']).allows('anything')).toBe(true);
  });

  test('allows() takes every other character for itself when it means something in a regular expression', () => {
    for (const name of ['a.b', 'a+b', 'a(b', 'a[b]', 'a{2}', 'a|b', 'a^b$', String.raw`a\b`]) {
      expect([name, new AllowList([name]).allows(name)]).toEqual([name, true]);
    }
    expect(['axb', 'aab'].map((name) => new AllowList(['a.b', 'a+b']).allows(name))).toEqual([false, false]);
  });

  test('names are those without wildcards, each once', () => {
    const list = new AllowList(['eth1', 'san*', 'eth1', 'eth?', 'bond0.7']);
    expect(list.patterns).toEqual(['eth1', 'san*', 'eth?', 'bond0.7']);
    expect(list.names).toEqual(['eth1', 'bond0.7']);
  });

  test('new AllowList() refuses what can be no interface name', () => {
    for (const pattern of ['', 'sixteen-letters!', 'a b', 'a/b', 'eth0:1', '\n']) {
      expect(() => new AllowList(['eth0', pattern])).toThrow(
        `'${pattern}' is not an interface name or pattern: 1 to 15 characters, no spaces, slashes or colons`,
      );
    }
  });
});
