import { RpcError } from '../../rpc/status.ts';
import type { AttachmentMessage, AttachResponse } from '../control-messages.ts';
import type { AttachmentReport, AttachRequest } from '../messages.ts';
import type { AttachBackend, BackendChoice, ServedVolume } from './backend.ts';
import { differences } from './parameters.ts';

/** A volume and the device made of it. */
export interface Attached {
  readonly backend: AttachBackend;
  readonly volume: ServedVolume;
  /** NO_DEVICE once that has been taken away: what is left to do is to end the volume. */
  readonly device: string;
}

/** Of a volume whose device has been taken away. */
export const NO_DEVICE = '';

/** The volume is attached already: well, if this is what was asked for. */
export function again(
  before: Attached,
  attachment: AttachmentMessage,
  request: AttachRequest,
  choice: BackendChoice,
): AttachResponse {
  const { name, state } = attachment;
  if (before.backend.lasting?.isLost(name) === true) {
    throw new RpcError('ABORTED', `${before.device} of ${name} is lost: ${attachment.link}`);
  }
  const different = differences(before.volume.request, request);
  if (choice !== 'auto' && choice !== before.backend.name)
    different.push(`through backend ${before.backend.name}, not ${choice}`);
  if (different.length > 0) {
    throw new RpcError('ALREADY_EXISTS', `${name} is attached ${different.join('; ')}; detach it first`);
  }
  if (state === 'detaching') throw isBeingDetached(name);
  return { attachment, note: `${name} was attached already` };
}

export function isBeingDetached(name: string): RpcError {
  return new RpcError('ABORTED', `${name} is being detached and waits for I/O to end; wait, or detach it with force`);
}

/** The report of a volume that the data path does not have: its target has not been found again. */
export function absent({ name, request, sectors, serial, model }: ServedVolume): AttachmentReport {
  return {
    ...{ name, sectors, serial, model, readOnly: request.readOnly, socketPath: request.socketPath },
    ...{ canTrim: false, state: 'attaching', reason: '', durability: '', connections: 0, requestsInFlight: 0 },
    ...{ requestsDone: 0, readBytes: 0, writtenBytes: 0, unflushedRestarts: 0, unflushedWrites: 0 },
  };
}
