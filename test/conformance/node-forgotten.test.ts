import { expect } from '@jest/globals';
import { InitiatorClient } from '../../src/node/initiator-client.ts';
import { withNode } from '../support/node-laboratory.ts';
import { NODE_REQUIREMENTS } from '../support/node-requirements.ts';
import { describeIf, testIf } from '../support/requires.ts';

const ADDRESS = 'e10.1';
const SIZE_BYTES = 64 * 2 ** 20;

describeIf(NODE_REQUIREMENTS, 'Debian’s target, restarted while nobody uses its volume', () => {
  testIf([], 'is claimed again when a controller asks for it, and left alone when somebody else was faster', async () => {
    await withNode({ disks: { [ADDRESS]: SIZE_BYTES }, vblade: true }, async (lab) => {
      await lab.startNode();
      await lab.volume(ADDRESS);
      const { claim } = await lab.record(ADDRESS);
      const again = async () => lab.task(ADDRESS, 'claim', `claim:${claim?.claim ?? ''}`);
      const client = new InitiatorClient(lab.initiator.socketPath);
      try {
        const { texts: ours } = await client.configString(ADDRESS, 'READ');
        await lab.stopTarget();
        await lab.startTarget();
        expect((await client.configString(ADDRESS, 'READ')).texts).toEqual(['']);
        expect(await again()).toMatchObject({ state: 'Claimed', reason: '', claim });
        expect((await client.configString(ADDRESS, 'READ')).texts).toEqual(ours);
        await lab.stopTarget();
        await lab.startTarget();
        await client.configString(ADDRESS, 'SET', 'stranger');
        // Its data may be there still: who has it now is for a person to find out.
        const record = await again();
        expect(record).toMatchObject({ state: 'Claimed', claim });
        expect(record.reason).toMatch(/^the target is claimed by .*stranger/);
        expect(record.task).toBeUndefined();
        expect((await client.configString(ADDRESS, 'READ')).texts).toEqual(['stranger']);
      } finally {
        client.close();
      }
    });
  });
});
