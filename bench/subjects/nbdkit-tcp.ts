import type { Subject } from '../subject.ts';
import { TARGET_ADDRESS } from '../support/network.ts';
import { NBD_PORT } from '../targets.ts';
import { fioOn } from './nbd-client.ts';

/** The network's own limit for NBD: fio talks to nbdkit over TCP, with no initiator between them. */
export const nbdkitTcp: Subject = {
  name: 'nbdkit-tcp',
  commands: ['nbdkit', 'fio'],
  start: (laboratory) => Promise.resolve(fioOn(laboratory, `nbd://${TARGET_ADDRESS}:${NBD_PORT}`, undefined)),
};
