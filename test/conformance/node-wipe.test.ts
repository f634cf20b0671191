import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import { expect } from '@jest/globals';
import { NODE_REQUIREMENTS, withNode, type NodeLaboratory } from '../support/node-laboratory.ts';
import { describeIf, testIf } from '../support/requires.ts';

/** A volume that no node ever used is given back: its disk holds what it held before anybody claimed it. */

const SIZE_BYTES = 64 * 2 ** 20;
const LVM_LABEL = Buffer.from('LABELONE\x01\0\0\0\0\0\0\0\0\0\0\0\x20\0\0\0LVM2 001', 'latin1');
const LVM_AT = 512;

/** Writes to the disk behind a target, as somebody who has it from elsewhere. */
function put(lab: NodeLaboratory, bytes: Buffer): void {
  const file = openSync(lab.diskFile('e10.1'), 'r+');
  writeSync(file, bytes, 0, bytes.length, LVM_AT);
  closeSync(file);
}

function found(lab: NodeLaboratory): Buffer {
  const bytes = Buffer.alloc(LVM_LABEL.length);
  const file = openSync(lab.diskFile('e10.1'), 'r');
  readSync(file, bytes, 0, bytes.length, LVM_AT);
  closeSync(file);
  return bytes;
}

describeIf(NODE_REQUIREMENTS, 'the wipe of a volume that was never used', () => {
  testIf([], 'leaves what is there alone, says whose it is not, and frees the target when a person has cleared it', async () => {
    await withNode({ disks: { 'e10.1': SIZE_BYTES } }, async (lab) => {
      await lab.startNode();
      await lab.volume('e10.1');
      put(lab, LVM_LABEL);
      const { state, task } = await lab.release('e10.1');
      expect(state).toBe('Released');
      expect(task?.state).toBe('failed');
      expect(task?.message).toMatch(
        /^cannot free e10\.1: found .*, which no volume of this cluster has written; nothing is done/,
      );
      expect(found(lab).equals(LVM_LABEL)).toBe(true);
      expect((await lab.initiator.stat()).attachments).toEqual([]);
      put(lab, Buffer.alloc(LVM_LABEL.length));
      expect(await lab.release('e10.1')).toMatchObject({ state: 'Available', reason: '' });
      expect((await lab.record('e10.1')).claim).toBeUndefined();
    });
  });
});
