import { expect, test } from '@jest/globals';
import type { ConfigAnswer, InitiatorClient } from '../../src/node/initiator-client.ts';
import { clearClaim } from '../../src/node/staging/ownership.ts';
import { formatConfigString } from '../../src/volumes/claim.ts';
import { claimRecord } from '../support/volumes-records.ts';

const { claim } = claimRecord();
const OURS = formatConfigString('c', claim);

/** What is asked of a target whose MACs have these strings, of which so many are silent at each question. */
async function clear(before: readonly string[], ...silent: readonly number[]): Promise<string[]> {
  const asked: string[] = [];
  let texts = before;
  const configString = async (_address: string, mode: string): Promise<ConfigAnswer> => {
    if (mode === 'FORCE_SET') texts = texts.map(() => '');
    return Promise.resolve({ error: 0, texts, silent: silent[asked.push(mode) - 1] ?? 0 });
  };
  const initiator: Pick<InitiatorClient, 'configString'> = { configString };
  await clearClaim(initiator as InitiatorClient, 'e1.0', 'c', claim).catch((error: unknown) => {
    asked.push((error as Error).message);
  });
  return asked;
}

test('clearClaim() takes our claim off all MACs of a target, and looks', async () => {
  expect(await clear([OURS, OURS])).toEqual(['READ', 'FORCE_SET', 'READ']);
  expect(await clear([OURS, ''])).toEqual(['READ', 'FORCE_SET', 'READ']);
  expect(await clear(['', ''])).toEqual(['READ']);
});

test('clearClaim() leaves a target alone that somebody else has claimed at one of its MACs', async () => {
  expect(await clear([OURS, 'stranger'])).toEqual(['READ', expect.stringContaining('it is claimed by')]);
});

test('clearClaim() frees no target while a MAC of it does not say what stands there', async () => {
  const cannot = expect.stringContaining('1 more MAC(s) of it do not answer');
  expect(await clear([OURS], 1)).toEqual(['READ', cannot]);
  expect(await clear([''], 1)).toEqual(['READ', cannot]);
  expect(await clear([OURS, OURS], 0, 0, 1)).toEqual(['READ', 'FORCE_SET', 'READ', cannot]);
});
