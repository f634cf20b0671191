/** Stands in for the thread that calls the kernel's NBD driver. DISCONNECT of device N blocks it for N ms, as a driver that is stuck would. */
import { parentPort } from 'node:worker_threads';
import type { NbdCall, NbdThreadMessage } from '../../src/initiator/attach/nbd-calls.ts';

parentPort?.on('message', (call: NbdCall) => {
  parentPort?.postMessage('begun' satisfies NbdThreadMessage);
  if (call.op === 'monitor') throw new Error('broken on purpose');
  if (call.op === 'disconnect') Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, call.index);
  const outcome: NbdThreadMessage =
    call.op === 'reconfigure' ? { done: false, errno: 'EINVAL', message: 'refused' } : { done: true, value: 7 };
  parentPort?.postMessage(outcome);
});
