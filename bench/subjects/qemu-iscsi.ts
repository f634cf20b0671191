import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Subject } from '../subject.ts';
import { ISCSI_NAME, ISCSI_PORTAL } from '../targets.ts';
import { fioOn } from './nbd-client.ts';

/** What a user would pick for block storage in user space today: qemu's iSCSI initiator (libiscsi), exported by NBD. */
export const qemuIscsi: Subject = {
  name: 'qemu-nbd+libiscsi',
  commands: ['qemu-nbd', 'fio'],
  async start(laboratory) {
    const socket = join(laboratory.directory, 'qemu.sock');
    const image = `driver=iscsi,transport=tcp,portal=${ISCSI_PORTAL},target=${ISCSI_NAME},lun=1`;
    const service = ['--persistent', '--shared=8', '--cache=none', `--socket=${socket}`, '--image-opts', image];
    const server = laboratory.startOnInitiator(['qemu-nbd', ...service]);
    await server.ready(() => existsSync(socket));
    return fioOn(laboratory, `nbd+unix:///?socket=${socket}`, server);
  },
};
