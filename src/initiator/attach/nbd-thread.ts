/** Entry of the thread that calls the kernel's NBD driver: see nbd-calls.ts. */
import { parentPort } from 'node:worker_threads';
import type { SystemError } from '../../system/errno.ts';
import { hasIdentifiers, NbdControl } from '../../system/nbd-control.ts';
import type { NbdCall, NbdCallOutcome, NbdProbe, NbdThreadMessage } from './nbd-calls.ts';
import { identifierOf } from './nbd-sysfs.ts';

const port = parentPort;
if (port === null) throw new Error('this module runs as a worker thread only');

port.on('message', (call: NbdCall) => {
  tell('begun');
  tell(outcomeOf(call));
});

function tell(message: NbdThreadMessage): void {
  port?.postMessage(message);
}

function outcomeOf(call: NbdCall): NbdCallOutcome {
  try {
    const control = NbdControl.open();
    try {
      return { done: true, value: carryOut(control, call) };
    } finally {
      control.close();
    }
  } catch (error) {
    const { code, message } = error as Partial<SystemError> & Error;
    return { done: false, errno: code ?? '', message };
  }
}

function carryOut(control: NbdControl, call: NbdCall): NbdProbe | number | undefined {
  switch (call.op) {
    case 'probe': {
      const family = control.family();
      if (family === undefined) return 'missing';
      return hasIdentifiers(family) ? 'usable' : 'too-old';
    }
    case 'monitor':
      return control.openMonitor();
    case 'connect':
      return control.connect(call.device);
    case 'reconfigure':
      control.reconfigure(call.change);
      return undefined;
    case 'grow':
      try {
        for (const change of call.changes) control.reconfigure(change);
      } finally {
        control.reconfigure(call.last);
      }
      return undefined;
    case 'disconnect':
      // Only the index can be given to the driver, and whoever asks may have waited for long since he has looked.
      if (identifierOf(call.index) === call.identifier) control.disconnect(call.index);
      return undefined;
  }
}
