import { describe, expect, test } from '@jest/globals';
import type { Volume } from '../../src/aoe/volume.ts';
import { Commands } from '../../src/initiator/commands.ts';
import type { Loop } from '../../src/initiator/loop.ts';
import type { AttachRequest, WorkerMessage } from '../../src/initiator/messages.ts';

const NOW_US = 5_000_000;

describe('Commands', () => {
  test('attached() gives a volume that can’t be served back, at the time that it is', () => {
    const told: unknown[] = [];
    const messages: WorkerMessage[] = [];
    const volume = { name: 'e10.3' } as Volume;
    const refuse = (): never => {
      throw new Error('no place for its socket');
    };
    const detach = (...words: unknown[]): unknown => told.push(words);
    const engine = { find: () => undefined, attach: () => volume, detach };
    const commands = new Commands((message) => messages.push(message), true);
    commands.connect({ engine, front: { add: refuse }, nowUs: NOW_US } as unknown as Loop);
    const attach = { shelf: 10, slot: 3, maxOutstanding: 128, deadSeconds: 0 } as AttachRequest;
    commands.execute(7, { op: 'attach', attach }, NOW_US);
    commands.attached(volume);
    expect(told).toEqual([[volume, true, NOW_US]]);
    expect(messages).toMatchObject([{ type: 'failure', id: 7, failure: { message: 'no place for its socket' } }]);
  });
});
