import { MAC_BROADCAST, writeMac } from '../../src/aoe/address.ts';
import { ATA_STATUS_DRDY, COMMAND_ATA, COMMAND_CONFIG, ETHERTYPE_AOE, VERSION_FLAGS_RESPONSE } from '../../src/aoe/constants.ts';
import { COPY_FREE } from '../../src/aoe/copies.ts';
import type { Counters } from '../../src/aoe/core.ts';
import {
  ARGUMENT,
  ATA_COMMAND,
  COMMAND,
  DST_MAC,
  ETHERTYPE,
  SHELF,
  SLOT,
  SRC_MAC,
  TAG,
  VERSION_FLAGS,
} from '../../src/aoe/layout.ts';
import { Violation } from './ledger.ts';
import { modelMac } from './model-target.ts';
import type { Frame } from './network.ts';
import type { Interface } from './simulated-initiator.ts';
import type { Simulation } from './simulation.ts';

/** Reasons for which a frame is refused, as the engine counts them. */
function refused({ malformed, unexpected, wrongSource }: Counters): number {
  return malformed + unexpected + wrongSource;
}

/** A frame that answers nothing: the engine must count it, whatever it is, and do nothing else. */
export function injectGarbage(simulation: Simulation, at: Interface): void {
  const { initiator } = simulation;
  if (at.port === undefined || !at.up) return;
  const { counters } = initiator.engine;
  const before = refused(counters);
  const frame = simulation.random.pick([noise, truncated, forged, request, strangeCommand])(simulation, at);
  initiator.inject(at, frame);
  if (refused(counters) !== before + 1) {
    throw new Violation(
      `a frame that answers nothing was counted ${refused(counters) - before} times: ${Array.from(frame).join(' ')}`,
    );
  }
}

/** Random bytes of any length, with an EtherType that may even be right but never a whole AoE header. */
function noise({ random }: Simulation): Frame {
  const frame = new Uint8Array(random.integer(0, 100));
  for (let index = 0; index < frame.length; index++) frame[index] = random.integer(0, 255);
  if (frame.length > ETHERTYPE) frame[ETHERTYPE] = 0x08;
  return frame;
}

/** An answer that ends inside its header or argument. */
function truncated(simulation: Simulation, at: Interface): Frame {
  const frame = answer(simulation, at, simulation.random.pick([COMMAND_ATA, COMMAND_CONFIG]));
  return frame.slice(0, simulation.random.integer(0, 31));
}

/** A good answer with a tag that is in use, from somebody who was not asked. */
function forged(simulation: Simulation, at: Interface): Frame {
  const frame = answer(simulation, at, COMMAND_ATA);
  const { copies } = simulation.initiator.engine;
  const live = copies.state.findIndex((state) => state !== COPY_FREE);
  if (live >= 0) new DataView(frame.buffer).setInt32(TAG, copies.tag[live]);
  return frame;
}

/** Our own frame, come back. */
function request(simulation: Simulation, at: Interface): Frame {
  const frame = answer(simulation, at, COMMAND_ATA);
  frame[VERSION_FLAGS] = 0x10;
  return frame;
}

function strangeCommand(simulation: Simulation, at: Interface): Frame {
  return answer(simulation, at, simulation.random.integer(2, 255));
}

function answer({ random, targets }: Simulation, at: Interface, command: number): Frame {
  const view = new DataView(new ArrayBuffer(random.pick([60, 36 + 512, 36 + 1024])));
  const { shelf, slot } = random.pick(targets).setup;
  writeMac(view, DST_MAC, random.chance(0.5) ? at.mac : MAC_BROADCAST);
  writeMac(view, SRC_MAC, modelMac(7, random.integer(1, 3)));
  view.setUint16(ETHERTYPE, ETHERTYPE_AOE);
  view.setUint8(VERSION_FLAGS, VERSION_FLAGS_RESPONSE);
  view.setUint16(SHELF, shelf);
  view.setUint8(SLOT, slot);
  view.setUint8(COMMAND, command);
  view.setUint32(TAG, 0x8000_0000 + random.integer(0, 0x7fff_ffff));
  view.setUint8(ATA_COMMAND, ATA_STATUS_DRDY);
  for (let offset = ARGUMENT + 12; offset < view.byteLength; offset++) view.setUint8(offset, random.integer(0, 255));
  return new Uint8Array(view.buffer);
}
