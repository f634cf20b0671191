import { execFileSync } from 'node:child_process';
import { Random } from '../simulation/random.ts';
import { COPY_IN_FLIGHT, COPY_LOST } from '../../src/aoe/copies.ts';
import { Engine, reserveEngineMemory } from '../../src/aoe/engine.ts';
import { ATA_DATA, TAG } from '../../src/aoe/layout.ts';
import { ArenaPlan } from '../../src/buffers/arena.ts';
import { ChunkPool } from '../../src/buffers/chunk-pool.ts';
import { PORT_OK, PortDriver } from '../../src/initiator/port-driver.ts';
import { listInterfaces, type InterfaceInfo } from '../../src/system/interfaces.ts';
import { mapArena } from '../../src/system/memory.ts';
import { FramePort } from './faults-frame-port.ts';
import { buildFrame } from './system-frames.ts';
import { answerData, DATA_BYTES_MAX, RingWire, type Arrived, type Question } from './receive-ring-wire.ts';

/** What the tests of the receive ring do, each in a process and a network namespace of its own; what they saw is printed as JSON. */
const SCENARIOS: Readonly<Record<string, () => unknown>> = {
  'in order': inOrder,
  'out of order': outOfOrder,
  lost,
  unexpected,
  withdrawn,
  short,
  'given up unsent': givenUpUnsent,
  'full ring': fullRing,
  random: () => randomRuns(Number(process.argv[3])),
};

function wire(): RingWire {
  if (!listInterfaces().some(({ name }) => name === 'right')) {
    ip('link add left type veth peer name right');
    for (const side of ['left', 'right']) {
      ip(`link set ${side} addrgenmode none`);
      ip(`link set ${side} mtu 9000 up`);
    }
    while (!listInterfaces().some(({ name, running }) => name === 'right' && running)) pause();
  }
  return new RingWire('left', 'right');
}

function ip(commandLine: string): void {
  execFileSync('ip', commandLine.split(' '));
}

function pause(): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
}

/** Everything that is on the wire. veth delivers before `send` returns, or within the next softirq at the latest. */
function takeAll(ring: RingWire, count: number, take: (arrived: Arrived) => void): void {
  let taken = 0;
  for (let tries = 0; taken < count && tries < 1000; tries++) {
    taken += ring.receive(take);
    if (taken < count) pause();
  }
  if (taken !== count) throw new Error(`${String(taken)} of ${String(count)} frames came`);
}

/** Sends, receives, and says of each frame whether its data lay in its place at once and is right there in the end. */
function exchange(ring: RingWire, asked: readonly Question[], frames: readonly { tag: number; sizeBytes: number }[]): unknown[] {
  const open = new Map(asked.map((question) => [question.tag, question]));
  const seen: unknown[] = [];
  ring.send(frames);
  takeAll(ring, frames.length, (arrived) => {
    const question = open.get(arrived.tag);
    const whole = arrived.data.equals(answerData(arrived.tag, arrived.data.length));
    if (question === undefined) {
      seen.push({ unknown: true, whole });
      return;
    }
    open.delete(arrived.tag);
    const placed = question.sizeBytes > 0 && arrived.at === ring.offset(question);
    seen.push({ placed, right: whole && ring.accept(question, arrived) });
  });
  return [...seen, { untouched: ring.isUntouched(open.values()) }];
}

const SIZES = [1024, 0, 512, 8192, 1024];

function inOrder(): unknown {
  const ring = wire();
  const asked = SIZES.map((sizeBytes) => ring.ask(sizeBytes));
  return exchange(ring, asked, asked);
}

function outOfOrder(): unknown {
  const ring = wire();
  const asked = SIZES.map((sizeBytes) => ring.ask(sizeBytes));
  const [a, b, c, d, e] = asked;
  const first = exchange(ring, asked, [d, a, e, c, b]);
  const again = SIZES.map((sizeBytes) => ring.ask(sizeBytes));
  return { first, again: exchange(ring, again, again) };
}

/** The first answer never comes: all others come one place too early, until it is given up. */
function lost(): unknown {
  const ring = wire();
  const [gone, ...rest] = Array.from({ length: 6 }, () => ring.ask(1024));
  const first = exchange(ring, [gone, ...rest], rest.slice(0, 3));
  ring.lose(gone);
  const second = exchange(ring, rest.slice(3), rest.slice(3));
  const later = Array.from({ length: 3 }, () => ring.ask(1024));
  return { first, second, later: exchange(ring, later, later) };
}

/** Frames that nobody asked for take others' places. */
function unexpected(): unknown {
  const ring = wire();
  const asked = Array.from({ length: 3 }, () => ring.ask(2048));
  const stranger = { tag: asked[0].tag ^ 0x2000, sizeBytes: 4096 };
  const first = exchange(ring, asked, [stranger, asked[0], stranger, stranger, asked[1], asked[2]]);
  const again = Array.from({ length: 3 }, () => ring.ask(2048));
  return { first, again: exchange(ring, again, again) };
}

/** Answers to questions that were given up: their tag is known, their memory is not theirs any more. */
function withdrawn(): unknown {
  const ring = wire();
  const asked = Array.from({ length: 4 }, () => ring.ask(1024));
  for (const question of asked.slice(0, 3)) ring.lose(question);
  ring.forget(asked[1]);
  ring.send(asked);
  const seen: unknown[] = [];
  takeAll(ring, 4, (arrived) => {
    const whole = arrived.data.equals(answerData(arrived.tag, 1024));
    const isLast = arrived.tag === asked[3].tag;
    seen.push({ whole, right: isLast && ring.accept(asked[3], arrived) });
  });
  return [...seen, { untouched: ring.isUntouched([]) }];
}

/** Too little data, none, and more than was asked for. */
function short(): unknown {
  const ring = wire();
  const asked = Array.from({ length: 4 }, () => ring.ask(1024));
  const sizes = [512, 0, 1536, 1024];
  ring.send(asked.map(({ tag }, index) => ({ tag, sizeBytes: sizes[index] })));
  const lengths: number[] = [];
  takeAll(ring, 4, ({ length }) => lengths.push(length));
  return { lengths, untouched: ring.isUntouched(asked) };
}

/** Questions in a port's batch, of which the first is given up before the batch goes out: where the data of their answers lies. */
function givenUpUnsent(): unknown {
  wire();
  const { arena, driver, engine, places } = openPort('right');
  const copies = [engine.copies.take(), engine.copies.take()];
  const { batch } = driver.port;
  copies.forEach((copy, place) => {
    engine.copies.state[copy] = place === 0 ? COPY_LOST : COPY_IN_FLIGHT;
    const index = batch.append(copy);
    arena.view.setInt32(batch.header(index) + TAG, engine.copies.tag[copy]);
    batch.replyOffset[index] = places + place * DATA_BYTES_MAX;
    batch.replyLength[index] = 1024;
  });
  if (driver.flush() !== PORT_OK) throw new Error('the batch was not sent');
  const sender = new FramePort('left');
  for (const copy of copies) {
    const tag = engine.copies.tag[copy];
    const frame = buildFrame({ to: [...interfaceOf('right').mac], tag: tag >>> 0, sizeBytes: ATA_DATA + 1024 });
    answerData(tag, 1024).copy(frame, ATA_DATA);
    sender.send(frame);
  }
  sender.flush();
  while (driver.port.framesReceived < copies.length) {
    pause();
    driver.receive(0);
  }
  return copies.map((copy, place) => {
    const at = places + place * DATA_BYTES_MAX;
    return Buffer.from(arena.bytes.subarray(at, at + 1024)).equals(answerData(engine.copies.tag[copy], 1024));
  });
}

/** A port of an engine that has nothing to do, and memory for answers. */
function openPort(name: string) {
  const plan = new ArenaPlan();
  const memory = reserveEngineMemory(plan, 1);
  const offset = plan.reserve(PortDriver.sizeBytes(), 4096);
  const places = plan.reserve(2 * DATA_BYTES_MAX, 4096);
  const arena = mapArena(plan.sizeBytes);
  const ignore = (): void => undefined;
  const events = { attached: ignore, attachRefused: ignore, detached: ignore, notice: ignore };
  const engine = new Engine({ arena, memory, chunks: new ChunkPool(0, 0), events, random: () => 0, tagPrefix: 0 });
  const driver = PortDriver.open(arena, offset, engine, interfaceOf(name), 0, 0);
  if (driver === undefined) throw new Error('the engine has no port left');
  return { arena, driver, engine, places };
}

function interfaceOf(name: string): InterfaceInfo {
  const found = listInterfaces().find((each) => each.name === name);
  if (found === undefined) throw new Error(`there is no interface ${name} here`);
  return found;
}

/** More questions than the ring has places: those beyond have their answers carried over. */
function fullRing(): unknown {
  const ring = wire();
  let right = 0;
  for (let round = 0; round < 8; round++) {
    const asked = Array.from({ length: 500 }, () => ring.ask(512));
    const seen = exchange(ring, asked, asked) as { right?: boolean }[];
    right += seen.filter((frame) => frame.right === true).length;
  }
  return { right };
}

/** Random conversations; the first seed whose memory goes wrong, and how much has been tried. */
function randomRuns(seeds: number): unknown {
  let frames = 0;
  let placed = 0;
  const ring = wire();
  for (let seed = 1; seed <= seeds; seed++) {
    const result = randomRun(ring, new Random(seed));
    if (result.problem !== undefined) return { seed, problem: result.problem };
    frames += result.frames;
    placed += result.placed;
  }
  return { frames, placed, problem: 'none' };
}

interface RunResult {
  readonly frames: number;
  readonly placed: number;
  readonly problem?: string;
}

function randomRun(ring: RingWire, random: Random): RunResult {
  const open = new Map<number, Question>();
  const lostOnes = new Map<number, Question>();
  const asked = new Set<number>();
  const [lossy, shuffled, strange] = [random.next() / 4, random.next(), random.next() / 4];
  let frames = 0;
  let placed = 0;
  let problem: string | undefined;
  for (let step = 0; step < 12; step++) {
    for (let asks = random.integer(0, 90); asks > 0 && ring.canAsk; asks--) {
      const question = ring.ask(random.pick([0, 512, 1024, DATA_BYTES_MAX]));
      open.set(question.tag, question);
      asked.add(question.tag);
    }
    for (const question of [...open.values()].filter(() => random.chance(lossy / 4))) {
      open.delete(question.tag);
      lostOnes.set(question.tag, question);
      ring.lose(question);
    }
    const answers = answersTo([...open.values(), ...[...lostOnes.values()].filter(() => random.chance(0.3))], random, {
      lossy,
      shuffled,
      strange,
    });
    ring.send(answers);
    takeAll(ring, answers.length, (arrived) => {
      frames++;
      const question = open.get(arrived.tag);
      const inPlace = question !== undefined && arrived.at === ring.offset(question);
      // Of an answer that is longer than asked for, only what was asked for is in its place.
      const whole = inPlace ? arrived.data.subarray(0, question.sizeBytes) : arrived.data;
      // A second answer may stand where the first one, in the same batch, was expected: nobody looks at its data.
      const isSecond = question === undefined && asked.has(arrived.tag);
      if (!isSecond && !whole.equals(answerData(arrived.tag, whole.length))) problem = 'a frame has other data than was sent';
      if (question === undefined || arrived.data.length < question.sizeBytes) return;
      open.delete(arrived.tag);
      if (inPlace && question.sizeBytes > 0) placed++;
      if (!ring.accept(question, arrived)) problem = 'an answer has other data than was sent';
    });
    if (!ring.isUntouched(open.values())) problem = 'memory was written to in which nobody expected an answer';
    if (problem !== undefined) return { frames, placed, problem: `step ${String(step)}: ${problem}` };
  }
  for (const question of open.values()) ring.lose(question);
  for (const question of [...open.values(), ...lostOnes.values()]) ring.forget(question);
  return { frames, placed };
}

/** Answers as a bad network brings them: some missing, some twice, some short, some of strangers, some out of order. */
function answersTo(
  questions: readonly Question[],
  random: Random,
  { lossy, shuffled, strange }: { lossy: number; shuffled: number; strange: number },
): { tag: number; sizeBytes: number }[] {
  const answers: { tag: number; sizeBytes: number; order: number }[] = [];
  questions.forEach(({ tag, sizeBytes }, index) => {
    const order = index + (random.chance(shuffled) ? random.next() * 20 : 0);
    if (!random.chance(lossy)) answers.push({ tag, sizeBytes, order });
    if (random.chance(strange)) answers.push({ tag, sizeBytes: random.pick([0, sizeBytes, 512, DATA_BYTES_MAX]), order });
    if (random.chance(strange)) answers.push({ tag: tag ^ 0x3000, sizeBytes: random.pick([0, 512, 4096]), order });
  });
  return answers.toSorted((a, b) => a.order - b.order);
}

process.stdout.write(JSON.stringify(SCENARIOS[process.argv[2]]()));
