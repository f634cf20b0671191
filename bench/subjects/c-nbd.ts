import { join } from 'node:path';
import type { Subject } from '../subject.ts';
import { SHELF, SLOT, VOLUME_BYTES } from '../support/laboratory.ts';
import { INTERFACE } from '../support/network.ts';
import { WINDOW_FRAMES } from './c-loop.ts';
import { fioOn } from './nbd-client.ts';

const SEND_BUFFER_BYTES = 4_194_304;
const REPLIES_PER_CALL = 16;

/** The C loop behind a minimal NBD server: what an initiator could reach through fio if it cost nothing itself. */
export const cNbd: Subject = {
  name: 'c-loop+nbd',
  commands: ['gcc', 'fio'],
  async start(laboratory) {
    const program = laboratory.compile('aoe-nbd', 'aoe.c');
    const socket = join(laboratory.directory, 'c-nbd.sock');
    const address = [INTERFACE, `${SHELF}`, `${SLOT}`, `${laboratory.sectorsPerFrame}`, `${WINDOW_FRAMES}`];
    const service = [socket, `${VOLUME_BYTES}`, 'copy', `${SEND_BUFFER_BYTES}`, `${REPLIES_PER_CALL}`];
    const server = laboratory.startOnInitiator([program, ...address, ...service]);
    await server.ready(() => server.output.includes('listening'));
    return fioOn(laboratory, `nbd+unix:///e${SHELF}.${SLOT}?socket=${socket}`, server);
  },
};
