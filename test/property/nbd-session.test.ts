import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { OP_READ, type BlockRequest } from '../../src/block/request.ts';
import { STATUS_IO_ERROR, STATUS_OK } from '../../src/block/status.ts';
import { decodeInfoRequest } from '../../src/nbd/negotiation-codec.ts';
import type { NbdSession } from '../../src/nbd/session.ts';
import { CLIENT_FLAGS, decodeReplies, encodeCommand, encodeOption, type Command } from '../support/nbd-client.ts';
import { MemoryDevice } from '../support/nbd-memory-device.ts';
import { NbdWire } from '../support/nbd-wire.ts';

const SECTORS = 1024;
const CHUNKS = 6;
const PAYLOAD_MAX = CHUNKS * 65_536;
const READ = 0;
const WRITE = 1;
const FLUSH = 3;
const TRIM = 4;
const WRITE_ZEROES = 6;

/** Requests good and bad: any command and flags, offsets and lengths around the device's end, chunk borders and off by a byte. */
const commands = fc.array(
  fc.record({
    type: fc.oneof({ weight: 9, arbitrary: fc.constantFrom(READ, WRITE, FLUSH, TRIM, WRITE_ZEROES) }, fc.constantFrom(5, 7, 500)),
    flags: fc.oneof({ weight: 6, arbitrary: fc.constantFrom(0, 1) }, fc.integer({ min: 0, max: 7 })),
    sector: fc.oneof({ weight: 6, arbitrary: fc.integer({ min: 0, max: SECTORS }) }, fc.constantFrom(2 ** 32, 2 ** 50)),
    sectors: fc.oneof(
      { weight: 6, arbitrary: fc.integer({ min: 1, max: 40 }) },
      fc.constantFrom(0, 127, 128, 129, 400, 768, 800),
    ),
    shift: fc.oneof({ weight: 12, arbitrary: fc.constant(0) }, fc.constantFrom(1, 256)),
  }),
  { minLength: 1, maxLength: 24 },
);

/** What happens next: the socket brings some bytes, takes some, or the device completes one of its requests. */
const steps = fc.array(
  fc.oneof(
    fc.record({ kind: fc.constant('receive' as const), size: fc.constantFrom(1, 27, 28, 500, 4096, 100_000) }),
    fc.record({ kind: fc.constant('transmit' as const), size: fc.constantFrom(1, 15, 16, 17, 4096, 300_000) }),
    fc.record({ kind: fc.constant('complete' as const), size: fc.nat({ max: 100 }) }),
    fc.record({ kind: fc.constant('fail' as const), size: fc.nat({ max: 100 }) }),
  ),
  { maxLength: 120 },
);

type Step = { readonly kind: 'receive' | 'transmit' | 'complete' | 'fail'; readonly size: number };

function commandsFrom(
  drawn: readonly { type: number; flags: number; sector: number; sectors: number; shift: number }[],
): Command[] {
  return drawn.map(({ type, flags, sector, sectors, shift }, index) => {
    const length = type === FLUSH ? 0 : sectors * 512;
    const offset = type === FLUSH ? 0n : BigInt(sector) * 512n + BigInt(shift);
    const payload = type === WRITE ? { data: Buffer.alloc(length, `${index}:${sector},`) } : {};
    return { type, flags, cookie: (BigInt(index) << 56n) | 0xedcba987654321n, offset, length, ...payload };
  });
}

/** What doc/proto.md asks for, in the simplest words; the device adds its own failures. */
function expectedError({ type, flags = 0, offset, length }: Command): number {
  if (![READ, WRITE, FLUSH, TRIM, WRITE_ZEROES].includes(type)) return 22;
  if ((flags & (type === WRITE_ZEROES ? ~3 : ~1)) !== 0) return 22;
  if (type === FLUSH) return 0;
  if ((type === READ || type === WRITE) && length > PAYLOAD_MAX) return 22;
  if (length === 0 || length % 512 !== 0 || offset % 512n !== 0n) return 22;
  if (offset + BigInt(length) <= BigInt(SECTORS * 512)) return 0;
  return type === WRITE || type === WRITE_ZEROES ? 28 : 22;
}

/** A session, its device with random old content, and a model of that content kept by the test. */
class Run {
  readonly wire: NbdWire;
  readonly device: MemoryDevice;
  readonly session: NbdSession;
  readonly sent: Buffer[] = [];
  readonly #commands: Map<bigint, Command>;
  readonly #model = Buffer.alloc(SECTORS * 512, 'old content ');
  /** What each request must be answered with, from the moment that it is decided. */
  readonly expected = new Map<bigint, { error: number; data: Buffer }>();

  constructor(list: readonly Command[], poison: number) {
    this.wire = new NbdWire({ chunks: CHUNKS, requests: 5, vectorCapacity: 4, poison });
    this.device = new MemoryDevice(this.wire.arena, this.wire.chunks, { sectors: SECTORS });
    this.device.content.set(this.#model);
    this.session = this.wire.session({ device: this.device });
    this.#commands = new Map(list.map((command) => [command.cookie, command]));
    for (const command of list) {
      const error = expectedError(command);
      if (error !== 0) this.expected.set(command.cookie, { error, data: Buffer.alloc(0) });
    }
  }

  /** Completes the pending request that `pick` falls on, in the device and in the model. */
  complete(pick: number, failing: boolean): boolean {
    const { pending } = this.device;
    if (pending.length === 0) return false;
    const index = pick % pending.length;
    const command = this.#commandOf(pending[index]);
    const data = failing ? Buffer.alloc(0) : this.#apply(command);
    this.expected.set(command.cookie, { error: failing ? 5 : 0, data });
    this.device.complete(index, failing ? STATUS_IO_ERROR : STATUS_OK);
    return true;
  }

  transmit(bytesMax: number): boolean {
    const out = this.wire.transmit(this.session, Infinity, bytesMax);
    this.sent.push(out);
    return out.length > 0;
  }

  /** All replies sent so far are the expected ones. */
  check(list: readonly Command[]): void {
    const isRead = (cookie: bigint) => this.#commands.get(cookie)?.type === READ;
    const lengthOf = (cookie: bigint) => (isRead(cookie) ? (this.#commands.get(cookie)?.length ?? 0) : 0);
    const replies = decodeReplies(Buffer.concat(this.sent), lengthOf);
    expect(replies.length).toBe(list.length);
    for (const { cookie, error, data } of replies) {
      const expected = this.expected.get(cookie);
      expect([cookie, error]).toEqual([cookie, expected?.error]);
      expect(data.equals(expected?.data ?? Buffer.alloc(0))).toBe(true);
    }
    expect(Buffer.compare(this.device.content, this.#model)).toBe(0);
  }

  expectNothingHeld(): void {
    expect(this.session.inFlight).toBe(0);
    expect(this.session.chunksHeld).toBe(0);
    expect(this.wire.chunks.free).toBe(CHUNKS);
    expect(this.wire.requests.free).toBe(5);
  }

  #commandOf(request: BlockRequest): Command {
    const cookie = (BigInt(request.cookieHigh >>> 0) << 32n) | BigInt(request.cookieLow >>> 0);
    const command = this.#commands.get(cookie);
    if (command === undefined) throw new Error(`the device got a request that nobody sent: ${cookie}`);
    expect(request.op === OP_READ).toBe(command.type === READ);
    return command;
  }

  #apply({ type, offset, length, data }: Command): Buffer {
    const start = Number(offset);
    if (type === READ) return Buffer.from(this.#model.subarray(start, start + length));
    if (type === WRITE) this.#model.set(data ?? Buffer.alloc(0), start);
    else if (type !== FLUSH) this.#model.fill(0, start, start + length);
    return Buffer.alloc(0);
  }
}

/** Plays the steps, and then whatever is left until nothing moves. */
function play(run: Run, stream: Buffer, script: readonly Step[]): number {
  let received = 0;
  const receive = (size: number) => {
    const now = run.wire.receive(run.session, stream.subarray(received, received + size));
    received += now;
    return now > 0;
  };
  for (const { kind, size } of script) {
    if (kind === 'receive') receive(size);
    else if (kind === 'transmit') run.transmit(size);
    else run.complete(size, kind === 'fail');
  }
  while ([run.complete(received, false), run.transmit(Infinity), receive(10_000)].includes(true));
  return received;
}

describe('decodeInfoRequest()', () => {
  test('reads nothing behind the length that it is given', () => {
    const plausible = fc.tuple(fc.nat({ max: 40 }), fc.uint8Array({ minLength: 2, maxLength: 40 })).map(([nameBytes, rest]) => {
      const data = Buffer.alloc(4 + rest.length);
      data.writeUInt32BE(nameBytes);
      data.set(rest, 4);
      return new Uint8Array(data);
    });
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 40 }), plausible), (bytes) => {
        // The view ends where the option ends: a look beyond throws.
        const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
        const decoded = decodeInfoRequest(view, 0, bytes.length);
        if (decoded !== undefined) expect(bytes.length).toBeGreaterThanOrEqual(6);
      }),
      { numRuns: 1000 },
    );
  });
});

describe('NbdSession', () => {
  test('answers every request with the right error and data, in any split and any order of completion', () => {
    fc.assert(
      fc.property(commands, steps, fc.nat({ max: 255 }), (drawn, script, poison) => {
        const list = commandsFrom(drawn);
        const run = new Run(list, poison);
        const stream = Buffer.concat(list.map(encodeCommand));
        expect(play(run, stream, script)).toBe(stream.length);
        run.check(list);
        run.expectNothingHeld();
      }),
      { numRuns: 300 },
    );
  });

  test('gives everything back when the peer goes away at any moment', () => {
    fc.assert(
      fc.property(commands, steps, fc.boolean(), (drawn, script, detach) => {
        const list = commandsFrom(drawn);
        const run = new Run(list, 0);
        const stream = Buffer.concat(list.map(encodeCommand));
        let received = 0;
        for (const { kind, size } of script) {
          if (kind === 'receive') received += run.wire.receive(run.session, stream.subarray(received, received + size));
          else if (kind === 'transmit') run.transmit(size);
          else run.complete(size, kind === 'fail');
        }
        if (detach) run.session.shutdown();
        run.session.peerClosed();
        while (run.complete(0, false));
        expect(run.session.finished).toBe(true);
        run.expectNothingHeld();
      }),
      { numRuns: 300 },
    );
  });

  test('shutdown() ends with every answered request answered right, and nothing held', () => {
    fc.assert(
      fc.property(commands, steps, fc.nat({ max: 100_000 }), (drawn, script, cut) => {
        const list = commandsFrom(drawn);
        const run = new Run(list, 0);
        const stream = Buffer.concat(list.map(encodeCommand));
        run.wire.receive(run.session, stream.subarray(0, cut % stream.length));
        run.session.shutdown();
        for (const { kind, size } of script) {
          if (kind === 'transmit') run.transmit(size);
          else run.complete(size, kind === 'fail');
        }
        while ([run.complete(0, false), run.transmit(Infinity)].includes(true));
        expect(run.session.finished).toBe(true);
        run.session.peerClosed();
        run.expectNothingHeld();
      }),
      { numRuns: 200 },
    );
  });

  test('survives garbage, says the same whatever stale memory holds, and leaks nothing', () => {
    const piece = fc.oneof(
      fc.uint8Array({ maxLength: 60 }),
      fc.constantFrom(
        new Uint8Array(CLIENT_FLAGS),
        new Uint8Array(encodeOption(3)),
        Uint8Array.from(Buffer.from('49484156454f5054', 'hex')),
        Uint8Array.from(Buffer.from('49484156454f50540000000700000010', 'hex')),
        Uint8Array.from(Buffer.from('2560951300000000', 'hex')),
        Uint8Array.from(Buffer.from('25609513000000010000000000000000000000000000000000000200', 'hex')),
      ),
    );
    fc.assert(
      fc.property(
        fc.array(piece, { maxLength: 12 }),
        fc.boolean(),
        fc.integer({ min: 1, max: 64 }),
        (pieces, negotiate, size) => {
          const bytes = Buffer.concat(pieces);
          const outcomes = [0x00, 0xff].map((poison) => {
            const wire = new NbdWire({ chunks: 4, poison });
            const device = new MemoryDevice(wire.arena, wire.chunks, { sectors: 64, immediate: true });
            const directory = { find: (name: string) => (name === 'e10.3' ? device : undefined), names: () => ['e10.3'] };
            const session = wire.session(negotiate ? { directory } : { device });
            const out = wire.exchange(session, bytes, size, size).toString('hex');
            const content = Buffer.from(device.content).toString('hex');
            const outcome = [out, content, session.state, session.finished, session.counters];
            session.peerClosed();
            expect([wire.chunks.free, wire.requests.free]).toEqual([4, 64]);
            return outcome;
          });
          expect(outcomes[0]).toEqual(outcomes[1]);
        },
      ),
      { numRuns: 500 },
    );
  });
});
