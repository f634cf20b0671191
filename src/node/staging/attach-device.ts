import { VolumeError } from '../../volumes/errors.ts';
import type { AttachSettings, InitiatorClient } from '../initiator-client.ts';
import { blockDevice, type BlockDevice } from '../kernel/block-device.ts';

/**
 * Makes a target a block device of this machine.
 * @throws VolumeError `unavailable` when the target has not answered after `timeoutMs`; `failed-precondition` when this machine's
 * initiator makes no block devices
 */
export async function attachDevice(
  initiator: InitiatorClient,
  address: string,
  settings: AttachSettings,
  timeoutMs: number,
): Promise<BlockDevice> {
  const { device, backend } = await initiator.attach(address, settings, timeoutMs);
  if (device.startsWith('/dev/')) return blockDevice(device);
  throw new VolumeError(
    'failed-precondition',
    `cannot use ${address}: the initiator's backend ${backend} makes no block devices; start it with another --attach`,
  );
}
