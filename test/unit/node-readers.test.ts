import { expect, test } from '@jest/globals';
import type { InitiatorClient, ReserveAnswer } from '../../src/node/initiator-client.ts';
import { letReadersIn } from '../../src/node/staging/ownership.ts';

const OWN = '02:00:00:00:ff:ff';
const OTHER = '02:00:00:00:ee:ee';

/** So many readers' MACs; this node's is not among them. */
function readers(count: number): string[] {
  const hexadecimal = (value: number): string => value.toString(16).padStart(2, '0');
  return Array.from({ length: count }, (_, at) => `02:00:00:00:${hexadecimal(at >> 8)}:${hexadecimal(at & 0xff)}`);
}

/** Lets readers in where a target is reserved for these. @returns how many there are in its list after that, or why not */
async function listAfter(count: number, reserved: readonly string[]): Promise<number | string> {
  let list = reserved;
  const initiator: Pick<InitiatorClient, 'interfaces' | 'reserved' | 'reserve'> = {
    interfaces: async () => Promise.resolve([{ name: 'eth1', state: 'up', mac: OWN }] as never),
    reserved: async () => Promise.resolve({ error: 0, lists: [list], silent: 0 }),
    reserve: async (_address, _mode, macs): Promise<ReserveAnswer> => {
      list = macs as readonly string[];
      return Promise.resolve({ error: 0, lists: [list], silent: 0 });
    },
  };
  try {
    await letReadersIn(initiator as InitiatorClient, 'e1.0', readers(count));
    return list.length;
  } catch (error) {
    const { code, message } = error as { readonly code?: string; readonly message: string };
    return `${code}: ${message}`;
  }
}

test('letReadersIn() lets in as many as a target has room for, and says what to do about more', async () => {
  expect(await listAfter(254, [OTHER])).toBe(255);
  expect(await listAfter(255, [OTHER])).toBe(
    'failed-precondition: cannot read e1.0: it is reserved, and to let all readers in, 256 MACs would have to be in its reserve list, which ' +
      'holds 255 at most; let fewer nodes read it at a time, or give the nodes fewer storage interfaces',
  );
});

test('letReadersIn() leaves a target alone that lets everybody in, however many there are', async () => {
  expect(await listAfter(1_000, [])).toBe(0);
});
