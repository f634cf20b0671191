import assert from 'node:assert/strict';
import { nbdDevices } from '../../src/initiator/attach/nbd-sysfs.ts';
import { NbdControl } from '../../src/system/nbd-control.ts';

/** Runs a case that must leave no device of the kernel's NBD driver. One that fails leaves none to the next case either. */
export async function leavingNoDevice(run: () => Promise<void>): Promise<void> {
  try {
    await run();
    assert.deepEqual(nbdDevices(), []);
  } finally {
    removeDevices();
  }
}

function removeDevices(): void {
  const left = nbdDevices();
  if (left.length === 0) return;
  const control = NbdControl.open();
  for (const { index } of left) control.disconnect(index);
  control.close();
}
