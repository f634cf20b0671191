import { ATA_DATA } from '../../src/aoe/layout.ts';
import { COPY_IN_FLIGHT, COPY_LOST, Copies, TAG_PREFIX_BITS, tagFilterValue } from '../../src/aoe/copies.ts';
import { ArenaPlan } from '../../src/buffers/arena.ts';
import { RECEIVE_FRAMES, ReceiveRing } from '../../src/initiator/receive-ring.ts';
import { listInterfaces, type InterfaceInfo } from '../../src/system/interfaces.ts';
import { mapArena } from '../../src/system/memory.ts';
import { initiatorFilter } from '../../src/system/packet-filter.ts';
import { PacketSocket } from '../../src/system/packet-socket.ts';
import { FramePort } from './faults-frame-port.ts';
import { buildFrame } from './system-frames.ts';

const PREFIX = 5;
const PLACES = 500;
/** Room for the largest answer, and a guard behind it that nobody may touch. */
export const PLACE_BYTES = 9_216;
export const DATA_BYTES_MAX = 8_192;
/** What memory holds that nobody may write to. */
const FOREIGN = 0xc5;

/** A question that is out: who asked, and where the data of the answer belongs. */
export interface Question {
  readonly copy: number;
  readonly tag: number;
  readonly place: number;
  readonly sizeBytes: number;
}

/** A frame as it came out of the ring. */
export interface Arrived {
  readonly tag: number;
  readonly length: number;
  readonly data: Buffer;
  /** Where its data lay: equal to the offset of its own place when nothing had to be carried over. */
  readonly at: number;
}

/**
 * A ring on a real packet socket, with a real wire before it, and the engine's part played by the test: questions are asked, given
 * up and answered. After each step every byte of memory in which no answer is expected must be as it was.
 */
export class RingWire {
  readonly ring: ReceiveRing;
  readonly copies = new Copies(PREFIX, 0);
  readonly #plan = new ArenaPlan();
  readonly #ringOffset = this.#plan.reserve(ReceiveRing.sizeBytes(), 4096);
  readonly #placesOffset = this.#plan.reserve(PLACES * PLACE_BYTES, 4096);
  readonly arena = mapArena(this.#plan.sizeBytes);
  readonly #receiver: InterfaceInfo;
  readonly #socket: PacketSocket;
  readonly #sender: FramePort;
  readonly #freePlaces = Array.from({ length: PLACES }, (_, place) => place);

  /** `left` and `right` are two ends of a wire in this process' network namespace. */
  constructor(left: string, right: string) {
    this.arena.bytes.fill(FOREIGN, this.#placesOffset);
    this.ring = new ReceiveRing(this.arena, this.#ringOffset, this.copies);
    const receiver = listInterfaces().find(({ name }) => name === right);
    if (receiver === undefined) throw new Error(`there is no interface ${right} here`);
    this.#receiver = receiver;
    this.#sender = new FramePort(left);
    this.#socket = PacketSocket.open({
      interfaceIndex: receiver.index,
      filter: initiatorFilter({
        interfaceIndex: receiver.index,
        loopback: false,
        tagPrefix: tagFilterValue(PREFIX),
        tagPrefixBits: TAG_PREFIX_BITS,
      }),
      receiveBufferBytes: 16 << 20,
      sendBufferBytes: 1 << 20,
    });
  }

  get canAsk(): boolean {
    return this.#freePlaces.length > 0;
  }

  /** A question goes out; its answer is expected next. */
  ask(sizeBytes: number): Question {
    const copy = this.copies.take();
    const place = this.#freePlaces.shift();
    if (place === undefined) throw new Error('no place is free');
    this.copies.state[copy] = COPY_IN_FLIGHT;
    const question = { copy, tag: this.copies.tag[copy], place, sizeBytes };
    this.ring.expect(copy, question.tag, this.offset(question), sizeBytes);
    return question;
  }

  /** Its answer is no longer waited for; the memory becomes somebody else's. */
  lose(question: Question): void {
    this.copies.state[question.copy] = COPY_LOST;
    this.ring.withdraw(question.copy);
    this.#disown(question);
  }

  /** Its tag is forgotten, too. */
  forget(question: Question): void {
    this.copies.free(question.copy);
  }

  /** The answer has come: what the engine does with it. Returns whether the right bytes are in the right place then. */
  accept(question: Question, arrived: Arrived): boolean {
    const { arena } = this;
    const offset = this.offset(question);
    if (arrived.at !== offset) arena.bytes.copyWithin(offset, arrived.at, arrived.at + question.sizeBytes);
    const right = this.bytesOf(question).equals(answerData(question.tag, question.sizeBytes));
    this.ring.withdraw(question.copy);
    this.copies.free(question.copy);
    this.#disown(question);
    return right;
  }

  /** Sends frames: an ATA answer with this tag and so many bytes of data, made of both. */
  send(frames: readonly { readonly tag: number; readonly sizeBytes: number }[]): void {
    const to = [...this.#receiver.mac];
    for (const { tag, sizeBytes } of frames) {
      const frame = buildFrame({ to, tag: tag >>> 0, sizeBytes: ATA_DATA + sizeBytes });
      answerData(tag, sizeBytes).copy(frame, ATA_DATA);
      this.#sender.send(frame);
    }
    this.#sender.flush();
  }

  /** Takes all frames that have come, in batches; `take` sees each while it is valid. Returns how many there were. */
  receive(take: (arrived: Arrived) => void): number {
    let total = 0;
    for (;;) {
      const count = this.ring.receive(this.#socket);
      if (count <= 0) return total;
      for (let frame = 0; frame < count; frame++) take(this.#arrived(frame));
      this.ring.finish();
      total += count;
      if (count > RECEIVE_FRAMES) throw new Error('more frames than a batch holds');
    }
  }

  offset(question: Question): number {
    return this.#placesOffset + question.place * PLACE_BYTES;
  }

  /** The memory of a question's answer. */
  bytesOf({ place, sizeBytes }: Question): Buffer {
    return Buffer.from(this.arena.bytes.buffer, this.#placesOffset + place * PLACE_BYTES, sizeBytes);
  }

  /** Whether the memory of all places but those of `questions` is untouched, and so is the guard behind each place. */
  isUntouched(questions: Iterable<Question>): boolean {
    const own = new Map([...questions].map((question) => [question.place, question.sizeBytes]));
    for (let place = 0; place < PLACES; place++) {
      const start = this.#placesOffset + place * PLACE_BYTES;
      const foreign = this.arena.bytes.subarray(start + (own.get(place) ?? 0), start + PLACE_BYTES);
      if (!Buffer.from(foreign.buffer, foreign.byteOffset, foreign.length).equals(FOREIGN_PLACE.subarray(0, foreign.length))) {
        return false;
      }
    }
    return true;
  }

  #arrived(frame: number): Arrived {
    const { ring, arena } = this;
    const [at, length] = [ring.data(frame), ring.length(frame)];
    const data = Buffer.from(Buffer.from(arena.bytes.buffer, at, Math.max(length - ATA_DATA, 0)));
    return { tag: arena.view.getInt32(ring.header(frame) + 20), length, data, at };
  }

  #disown(question: Question): void {
    this.arena.bytes.fill(FOREIGN, this.offset(question), this.offset(question) + PLACE_BYTES);
    this.#freePlaces.push(question.place);
  }
}

const FOREIGN_PLACE = Buffer.alloc(PLACE_BYTES, FOREIGN);

/** The data of an answer: different for every tag, and at every four bytes. */
export function answerData(tag: number, sizeBytes: number): Buffer {
  const data = Buffer.alloc(sizeBytes);
  for (let at = 0; at + 4 <= sizeBytes; at += 4) data.writeInt32LE(Math.imul(tag ^ at, 0x9e37_79b1), at);
  return data;
}
