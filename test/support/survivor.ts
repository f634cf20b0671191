import type { Survivor } from '../../src/initiator/attach/backend.ts';

/** A volume whose device has outlived its initiator. */
export const SURVIVOR: Survivor = {
  volume: {
    ...{ name: 'e10.3', sectors: 2_048, serial: 's', model: 'm' },
    request: {
      ...{ shelf: 10, slot: 3, socketPath: '/run/x/e10.3.sock', readOnly: false, deadSeconds: 0, maxOutstanding: 128 },
      interfaces: undefined,
    },
  },
  device: '/dev/nbd0',
};
