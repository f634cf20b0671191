import { execFileSync } from 'node:child_process';
import { mapArena } from '../../src/system/memory.ts';
import { errnoName, type SystemError } from '../../src/system/errno.ts';
import { InterfaceMonitor, listInterfaces, type InterfaceChange, type InterfaceInfo } from '../../src/system/interfaces.ts';
import { MessageBatch } from '../../src/system/message-batch.ts';
import { initiatorFilter, targetFilter, type FilterProgram } from '../../src/system/packet-filter.ts';
import { PacketSocket } from '../../src/system/packet-socket.ts';
import { setReceiveBuffer, setSendBuffer } from '../../src/system/socket-options.ts';
import { socketPair } from '../../src/system/unix-socket.ts';
import { allocationsPerCall } from './system-allocations.ts';
import { BROADCAST, buildFrame, STRANGER, type FrameFields } from './system-frames.ts';

/**
 * What the tests of src/system do inside a network namespace of their own: a Node process can't change its namespace, so each
 * scenario is a process, started there, that prints what it saw as JSON.
 */
const SCENARIOS: Readonly<Record<string, () => unknown>> = {
  'initiator filter': () => acceptedFrames('right', initiatorFilterOf(interfaceNamed('right'))),
  'target filter': () => acceptedFrames('right', targetFilter(filterInterface(interfaceNamed('right')))),
  'loopback filter': () => {
    ip('link set lo up');
    return acceptedFrames('lo', initiatorFilterOf(interfaceNamed('lo')));
  },
  'filter without prefix': () => {
    const right = interfaceNamed('right');
    return acceptedFrames('right', initiatorFilter({ ...filterInterface(right), tagPrefix: 0, tagPrefixBits: 0 }));
  },
  'tags without a device': tagsWithoutDevice,
  'VLAN device': vlanDevice,
  'macvlan device': macvlanDevice,
  batches,
  'link trouble': linkTrouble,
  'open while down': openWhileDown,
  drops,
  'open without rights': () => failureOf(() => openSocket(1)),
  'buffers without rights': () => {
    const [fd] = socketPair();
    const wanted = 2 ** 29;
    return [setSendBuffer(fd, wanted), setReceiveBuffer(fd, wanted)].map((granted) => granted > 0 && granted < wanted);
  },
  'open on no interface': () => failureOf(() => openSocket(4711)),
  'allocations per call': allocationsPerCall,
  interfaces,
  monitor,
  'monitor overrun': monitorOverrun,
};

const TAG_PREFIX = 0x2a5;
const TAG_PREFIX_BITS = 10;
const OUR_TAG = 0xa95f_0001;
const OTHER_TAG = 0xa99f_0001;

const SLOTS = 64;
const SLOT_BYTES = 10_240;
const HEADER_BYTES = 36;
const FRAMES = 4096 * SLOTS;
const arena = mapArena(FRAMES + 2 * SLOTS * SLOT_BYTES);
const received = new MessageBatch(arena, 0, SLOTS, 2);
const sent = new MessageBatch(arena, 65_536, SLOTS, 1);
const receivedOffset = (slot: number) => FRAMES + slot * SLOT_BYTES;
const sentOffset = (slot: number) => FRAMES + (SLOTS + slot) * SLOT_BYTES;

function framesTo(mac: readonly number[]): Readonly<Record<string, FrameFields>> {
  return {
    'response to us': { to: mac, tag: OUR_TAG },
    'response to all': { to: BROADCAST, tag: OUR_TAG },
    'response to another host': { to: STRANGER, tag: OUR_TAG },
    'response of 24 bytes': { to: mac, tag: OUR_TAG, sizeBytes: 24 },
    'response of 23 bytes': { to: mac, tag: OUR_TAG, sizeBytes: 23 },
    'error response': { to: mac, tag: OUR_TAG, versionFlags: 0x1c },
    'response with another prefix': { to: mac, tag: OTHER_TAG },
    'config response with another prefix': { to: mac, tag: OTHER_TAG, command: 1 },
    'reserve response with another prefix': { to: mac, tag: OTHER_TAG, command: 3 },
    announcement: { to: BROADCAST, tag: 0, command: 1, versionFlags: 0x08 },
    request: { to: mac, tag: OUR_TAG, versionFlags: 0x10 },
    'config request to all': { to: BROADCAST, tag: OTHER_TAG, command: 1, versionFlags: 0x10 },
    'IP packet': { to: mac, etherType: 0x0800, tag: OUR_TAG },
  };
}

/** Sends every frame from the other end of the wire, one at a time, and names those that come through. */
function acceptedFrames(name: string, filter: FilterProgram): string[] {
  const receiver = interfaceNamed(name);
  const sender = name === 'lo' ? receiver : interfaceNamed('left');
  const [from, to] = [openSocket(sender.index), openSocket(receiver.index, filter)];
  return Object.entries(framesTo([...receiver.mac]))
    .filter(([, fields]) => {
      sendFrame(from, buildFrame(fields));
      return receiveAll(to) > 0;
    })
    .map(([description]) => description);
}

/** Sends frames that are meant for, or look as if meant for, devices on top of `right`, and names the sockets that get each. */
function framesToDevices(devices: readonly string[], frames: Readonly<Record<string, FrameFields>>): unknown {
  const from = openSocket(interfaceNamed('left').index);
  const sockets = ['right', ...devices].map((name) => {
    const link = interfaceNamed(name);
    return { name, socket: openSocket(link.index, initiatorFilterOf(link)) };
  });
  return Object.fromEntries(
    Object.entries(frames).map(([description, fields]) => {
      sendFrame(from, buildFrame(fields));
      return [description, sockets.filter(({ socket }) => receiveAll(socket) > 0).map(({ name }) => name)];
    }),
  );
}

function tagsWithoutDevice(): unknown {
  const to = [...interfaceNamed('right').mac];
  return framesToDevices([], {
    'to a VLAN': { to, tag: OUR_TAG, vlan: 8 },
    'with a priority tag': { to, tag: OUR_TAG, vlan: 0x6000 },
  });
}

function vlanDevice(): unknown {
  const to = [...interfaceNamed('right').mac];
  ip('link add link right name right.7 type vlan id 7');
  ip('link set right.7 up');
  return framesToDevices(['right.7'], {
    'to the parent': { to, tag: OUR_TAG },
    'to the VLAN device': { to, tag: OUR_TAG, vlan: 7 },
    'to another VLAN': { to, tag: OUR_TAG, vlan: 8 },
  });
}

function macvlanDevice(): unknown {
  const to = [...interfaceNamed('right').mac];
  ip('link add link right name child address 02:00:00:00:00:77 type macvlan mode bridge');
  ip('link set child up');
  return framesToDevices(['child'], {
    'to the parent': { to, tag: OUR_TAG },
    'to the child': { to: [...interfaceNamed('child').mac], tag: OUR_TAG },
    'to all': { to: BROADCAST, tag: OUR_TAG },
  });
}

/** Several frames at once, scattered into header and payload; then one that is too long for its slot. */
function batches(): unknown {
  const right = interfaceNamed('right');
  const [from, to] = [openSocket(interfaceNamed('left').index), openSocket(right.index, initiatorFilterOf(right))];
  for (let slot = 0; slot < 5; slot++)
    putFrame(slot, buildFrame({ to: [...right.mac], tag: OUR_TAG + slot, sizeBytes: 100 + slot }));
  const sentCount = from.send(sent, 0, 5);
  prepareReceive(1464);
  const first = to.receive(received, 0, 3);
  const second = to.receive(received, 3, SLOTS - 3);
  const frames = [0, 1, 2, 3, 4].map((slot) => ({
    length: received.length(slot),
    flags: received.flags(slot),
    tag: arena.view.getUint32(receivedOffset(slot) + 20),
  }));
  const empty = errnoName(to.receive(received, 0, SLOTS));
  sendFrame(from, buildFrame({ to: [...right.mac], tag: OUR_TAG, sizeBytes: 1000 }));
  prepareReceive(100);
  const truncated = [to.receive(received, 0, 1), received.length(0), received.flags(0)];
  return { sentCount, first, second, frames: frames.map((frame) => ({ ...frame, tag: frame.tag - OUR_TAG })), empty, truncated };
}

function linkTrouble(): unknown {
  const right = interfaceNamed('right');
  const [from, to] = [openSocket(interfaceNamed('left').index), openSocket(right.index, initiatorFilterOf(right))];
  const frame = buildFrame({ to: [...right.mac], tag: OUR_TAG });
  const tooLong = named(sendFrame(from, buildFrame({ to: [...right.mac], tag: OUR_TAG, sizeBytes: 1515 })));
  ip('link set left down');
  ip('link set right down');
  const down = [named(to.receive(received, 0, 1)), named(to.receive(received, 0, 1)), named(sendFrame(from, frame))];
  ip('link set left up');
  ip('link set right up');
  waitForCarrier('left');
  from.receive(received, 0, 1);
  const upAgain = [named(sendFrame(from, frame)), receiveAll(to)];
  ip('link delete left');
  const deleted = [named(to.receive(received, 0, 1)), named(to.receive(received, 0, 1)), named(sendFrame(from, frame))];
  from.close();
  return { tooLong, down, upAgain, deleted, closed: named(from.receive(received, 0, 1)) };
}

function openWhileDown(): unknown {
  const right = interfaceNamed('right');
  ip('link set right down');
  const [from, to] = [openSocket(interfaceNamed('left').index), openSocket(right.index, initiatorFilterOf(right))];
  const down = [named(to.receive(received, 0, 1)), named(to.receive(received, 0, 1))];
  ip('link set right up');
  waitForCarrier('left');
  sendFrame(from, buildFrame({ to: [...right.mac], tag: OUR_TAG }));
  return { down, up: receiveAll(to) };
}

function drops(): unknown {
  const right = interfaceNamed('right');
  const from = openSocket(interfaceNamed('left').index);
  const to = openSocket(right.index, initiatorFilterOf(right), 20_000);
  const frame = buildFrame({ to: [...right.mac], tag: OUR_TAG, sizeBytes: 1514 });
  for (let slot = 0; slot < SLOTS; slot++) putFrame(slot, frame);
  const sentCount = from.send(sent, 0, SLOTS);
  const kept = receiveAll(to);
  const { received: seen, dropped } = to.statistics();
  return { sentCount, seen, lost: dropped === SLOTS - kept && kept > 0 && kept < SLOTS, again: to.statistics() };
}

function interfaces(): unknown {
  makeWire();
  ip('link add bridge0 type bridge');
  ip('link set left master bridge0');
  ip('link set right mtu 9000');
  const wanted = ['lo', 'left', 'right', 'bridge0'];
  const links = listInterfaces();
  const bridge = links.find((link) => link.name === 'bridge0');
  return wanted.map((name) => {
    const link = links.find((one) => one.name === name);
    if (link === undefined) return name;
    const { index, mac, masterIndex, ...rest } = link;
    return { ...rest, macText: mac.length, indexed: index > 0, masterIsBridge: masterIndex === bridge?.index };
  });
}

function monitor(): unknown {
  const watch = InterfaceMonitor.open();
  const quiet = watch.read();
  makeWire();
  const made = watch.read().some((change) => change.type === 'changed' && change.link.name === 'right' && change.link.running);
  ip('link set right mtu 9000');
  const mtu = lastState(watch.read(), 'right')?.mtu;
  ip('link set left down');
  const running = lastState(watch.read(), 'right')?.running;
  ip('link add bridge0 type bridge');
  ip('link set right master bridge0');
  const master = lastState(watch.read(), 'right')?.masterKind;
  ip('link set right nomaster');
  const leaving = watch.read();
  const left = { deletions: deletions(leaving), masterKind: lastState(leaving, 'right')?.masterKind };
  ip('link delete left');
  return { quiet, made, mtu, running, master, left, deletions: deletions(watch.read()) };
}

function monitorOverrun(): unknown {
  const watch = InterfaceMonitor.open();
  makeWire();
  const toggles = Array.from({ length: 400 }, (_, index) => `link set left mtu ${1400 + (index % 2)}`).join('\n');
  execFileSync('ip', ['-batch', '-'], { input: toggles });
  const types = new Set<string>();
  for (let changes = watch.read(); changes.length > 0; changes = watch.read()) {
    for (const change of changes) types.add(change.type);
  }
  ip('link set left mtu 1300');
  return { types: [...types].toSorted(), after: lastState(watch.read(), 'left')?.mtu };
}

function deletions(changes: readonly InterfaceChange[]): string[] {
  return changes.flatMap((change) => (change.type === 'deleted' ? [change.name] : [])).toSorted();
}

function lastState(changes: readonly InterfaceChange[], name: string): InterfaceInfo | undefined {
  return changes.flatMap((change) => (change.type === 'changed' && change.link.name === name ? [change.link] : [])).at(-1);
}

function named(result: number): number | string {
  return result < 0 ? errnoName(result) : result;
}

function failureOf(action: () => unknown): unknown {
  try {
    action();
    return 'no failure';
  } catch (error) {
    const { code, message } = error as SystemError;
    return { code, message };
  }
}

function ip(commandLine: string): void {
  execFileSync('ip', commandLine.split(' '));
}

/** Two Ethernet interfaces, `left` and `right`, joined by a wire, without IPv6's own traffic on it. */
function makeWire(): void {
  ip('link add left type veth peer name right');
  for (const side of ['left', 'right']) {
    ip(`link set ${side} addrgenmode none`);
    ip(`link set ${side} up`);
  }
  waitForCarrier('left');
}

function waitForCarrier(name: string): void {
  for (let tries = 0; tries < 1000; tries++) {
    if (listInterfaces().some((link) => link.name === name && link.running)) return;
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
  }
  throw new Error(`interface ${name} gets no carrier`);
}

function interfaceNamed(name: string): InterfaceInfo {
  if (!listInterfaces().some((link) => link.name === name)) makeWire();
  const found = listInterfaces().find((link) => link.name === name);
  if (found === undefined) throw new Error(`no interface ${name}`);
  return found;
}

function filterInterface(link: InterfaceInfo): { interfaceIndex: number; loopback: boolean } {
  return { interfaceIndex: link.index, loopback: link.loopback };
}

function initiatorFilterOf(link: InterfaceInfo): FilterProgram {
  return initiatorFilter({ ...filterInterface(link), tagPrefix: TAG_PREFIX, tagPrefixBits: TAG_PREFIX_BITS });
}

function openSocket(interfaceIndex: number, filter?: FilterProgram, receiveBufferBytes = 1 << 20): PacketSocket {
  return PacketSocket.open({
    interfaceIndex,
    receiveBufferBytes,
    sendBufferBytes: 1 << 20,
    filter: filter ?? targetFilter({ interfaceIndex, loopback: false }),
  });
}

function putFrame(slot: number, frame: Buffer): void {
  arena.bytes.set(frame, sentOffset(slot));
  sent.setVector(slot, 0, sentOffset(slot), frame.length);
}

function sendFrame(socket: PacketSocket, frame: Buffer): number {
  putFrame(0, frame);
  return socket.send(sent, 0, 1);
}

function prepareReceive(payloadBytes: number): void {
  for (let slot = 0; slot < SLOTS; slot++) {
    received.setVector(slot, 0, receivedOffset(slot), HEADER_BYTES);
    received.setVector(slot, 1, receivedOffset(slot) + HEADER_BYTES, payloadBytes);
  }
}

/** Takes what has come, and counts it. veth delivers before `send` returns, or within the next softirq at the latest. */
function receiveAll(socket: PacketSocket): number {
  prepareReceive(SLOT_BYTES - HEADER_BYTES);
  let count = 0;
  for (let tries = 0; tries < 3; tries++) {
    for (let got = socket.receive(received, 0, SLOTS); got > 0; got = socket.receive(received, 0, SLOTS)) count += got;
    if (count > 0) break;
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2);
  }
  return count;
}

process.stdout.write(JSON.stringify(SCENARIOS[process.argv[2]]()));
