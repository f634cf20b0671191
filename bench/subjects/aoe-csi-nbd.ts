import { join } from 'node:path';
import type { Subject } from '../subject.ts';
import { hostProgram, SHELF, SLOT } from '../support/laboratory.ts';
import { INTERFACE } from '../support/network.ts';
import { fioOn } from './nbd-client.ts';

/** Ours, as a client of its unix socket meets it. */
export const aoeCsiNbd: Subject = {
  name: 'aoe-csi+nbd',
  commands: ['fio'],
  async start(laboratory) {
    const socket = join(laboratory.directory, 'aoe-csi.sock');
    const host = laboratory.startOnInitiator([...hostProgram('nbd-host'), INTERFACE, `${SHELF}`, `${SLOT}`, socket]);
    await host.ready(() => host.output.includes('serving'));
    return fioOn(laboratory, `nbd+unix:///e${SHELF}.${SLOT}?socket=${socket}`, host);
  },
};
