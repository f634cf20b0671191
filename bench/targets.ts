import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { SHELF, SLOT, type Laboratory } from './support/laboratory.ts';
import { INTERFACE, TARGET_ADDRESS } from './support/network.ts';

export const ISCSI_NAME = 'iqn.2004-10.bench:volume';
export const ISCSI_PORTAL = `${TARGET_ADDRESS}:3260`;
export const NBD_PORT = 10_809;

/** A server on the target's side of the laboratory's veth pair, and the commands it is made of. */
export interface Target {
  readonly commands: readonly string[];
  start(laboratory: Laboratory): Promise<void>;
}

/** Debian's AoE target with room for 256 frames. */
export const vblade: Target = {
  commands: ['vblade'],
  async start(laboratory) {
    const server = laboratory.startOnTarget(['vblade', '-b', '256', `${SHELF}`, `${SLOT}`, INTERFACE, laboratory.volumePath]);
    await server.ready(() => server.output.includes('sectors'));
  },
};

/** The iSCSI target in user space that Debian ships. */
export const tgt: Target = {
  commands: ['tgtd', 'tgtadm'],
  async start(laboratory) {
    // Its control socket, which tgtd would leave behind in /run. tgtd adds the control port's number.
    const socket = join(laboratory.directory, 'tgtd');
    const environment = ['env', `TGT_IPC_SOCKET=${socket}`];
    const server = laboratory.startOnTarget([...environment, 'tgtd', '--foreground', '--iscsi', `portal=${ISCSI_PORTAL}`]);
    await server.ready(() => existsSync(`${socket}.0`));
    const manage = async (...words: string[]): Promise<void> => {
      await laboratory.startOnTarget([...environment, 'tgtadm', '--lld', 'iscsi', ...words]).finish();
    };
    await manage('--op', 'new', '--mode', 'target', '--tid', '1', '--targetname', ISCSI_NAME);
    await manage('--op', 'new', '--mode', 'logicalunit', '--tid', '1', '--lun', '1', '--backing-store', laboratory.volumePath);
    await manage('--op', 'bind', '--mode', 'target', '--tid', '1', '--initiator-address', 'ALL');
  },
};

/** An NBD server over TCP. */
export const nbdkit: Target = {
  commands: ['nbdkit'],
  async start(laboratory) {
    const pidFile = join(laboratory.directory, 'nbdkit.pid');
    const server = laboratory.startOnTarget([
      'nbdkit',
      '--foreground',
      '--pidfile',
      pidFile,
      '--ipaddr',
      TARGET_ADDRESS,
      '--port',
      `${NBD_PORT}`,
      'file',
      laboratory.volumePath,
    ]);
    await server.ready(() => existsSync(pidFile));
  },
};
