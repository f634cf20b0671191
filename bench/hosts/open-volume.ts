import type { EngineEvents } from '../../src/aoe/events.ts';
import { VOLUME_OPTIONS_DEFAULT, type Volume } from '../../src/aoe/volume.ts';
import { AllowList } from '../../src/initiator/allow-list.ts';
import { Loop } from '../../src/initiator/loop.ts';
import { EventFd } from '../../src/system/eventfd.ts';
import { nowUs } from '../../src/time/clock.ts';

const CHUNKS = 1_024;
const ATTACH_TIMEOUT_US = 10_000_000;

export interface OpenVolume {
  readonly loop: Loop;
  readonly volume: Volume;
  /** A turn of the loop begins with waiting; after work was given to it between turns, it must not. */
  readonly wake: () => void;
}

/** Our data path in this thread, with one attached target. Throws when it can't be attached. */
export function openVolume(networkInterface: string, shelf: number, slot: number): OpenVolume {
  let refusal = '';
  const events: EngineEvents = {
    notice: (kind, target, text) => console.error(kind, target, text),
    attached: () => undefined,
    attachRefused: (_, reason) => {
      refusal = reason;
    },
    detached: () => undefined,
  };
  const options = { eventFd: -1, interfaces: [], chunks: CHUNKS, lockMemory: false, listening: true };
  const silent = {
    ...{ takeCommands: () => undefined, notice: () => undefined, kernelGone: () => undefined, linkDead: () => undefined },
  };
  const control = EventFd.create();
  const loop = new Loop(options, control, events, silent);
  loop.interfaces.setAllowed(new AllowList([networkInterface]), nowUs());
  const volume = loop.engine.attach(shelf, slot, VOLUME_OPTIONS_DEFAULT, nowUs());
  if (typeof volume === 'string') throw new Error(volume);
  control.signal();
  const deadlineUs = nowUs() + ATTACH_TIMEOUT_US;
  while (!volume.ready) {
    loop.turn();
    if (refusal !== '') throw new Error(`${volume.name} can't be attached: ${refusal}`);
    if (nowUs() > deadlineUs) throw new Error(`${volume.name} is not attached yet: ${volume.target.obstacle}`);
  }
  return { loop, volume, wake: () => control.signal() };
}
