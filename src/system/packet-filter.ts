import { COMMAND_ATA, ETHERTYPE_AOE, FLAG_RESPONSE } from '../aoe/constants.ts';
import { ARGUMENT, COMMAND, ETHERTYPE, TAG, VERSION_FLAGS } from '../aoe/layout.ts';
import {
  BPF_JUMP_BITS_SET,
  BPF_JUMP_EQUAL,
  BPF_JUMP_GREATER_OR_EQUAL,
  BPF_LD_BYTE_ABSOLUTE,
  BPF_LD_HALF_ABSOLUTE,
  BPF_LD_LENGTH,
  BPF_LD_WORD_ABSOLUTE,
  BPF_RETURN,
  BPF_SHIFT_RIGHT,
  PACKET_BROADCAST,
  PACKET_MULTICAST,
  SKF_AD_INTERFACE_INDEX,
  SKF_AD_PACKET_TYPE,
} from './constants.ts';
import { SOCK_FILTER_BYTES, SOCK_FILTER_CODE, SOCK_FILTER_JF, SOCK_FILTER_JT, SOCK_FILTER_K } from './structs.ts';

/**
 * Classic BPF programs that decide in the kernel which frames are worth a wake-up. They carry what a `sockaddr_ll` per frame
 * would tell (interface, packet type), so that receivers need none: a VLAN device's and a macvlan's frames also reach the
 * socket of their parent, and frames for other stations do on a bridge port.
 */

/** One instruction: struct sock_filter. Jumps are relative to the next instruction. */
export interface FilterInstruction {
  readonly code: number;
  readonly jumpTrue: number;
  readonly jumpFalse: number;
  readonly operand: number;
}

export type FilterProgram = readonly FilterInstruction[];

export interface FilterInterface {
  readonly interfaceIndex: number;
  /** The loopback interface delivers broadcasts as multicasts. */
  readonly loopback: boolean;
}

export interface InitiatorFilterOptions extends FilterInterface {
  /** The top `tagPrefixBits` (0–31) bits of every tag this initiator sends: it is not woken by answers to others' ATA commands. */
  readonly tagPrefix: number;
  readonly tagPrefixBits: number;
}

const WHOLE_FRAME = 0xffff_ffff;
const NOTHING = 0;
const TAG_BITS = 32;

/** Where a jump goes before the program is laid out. */
const NEXT = 'next';
const ACCEPT = 'accept';
const REJECT = 'reject';
type Destination = typeof NEXT | typeof ACCEPT | typeof REJECT;

interface Step {
  readonly code: number;
  readonly operand: number;
  readonly whenTrue: Destination;
  readonly whenFalse: Destination;
}

/**
 * Passes AoE responses that came in by this very interface, for this host or for all, and long enough for a common header.
 * Of ATA responses (command 0) only those whose tag has the given prefix; those of other commands with any tag, because
 * announcements and answers to other initiators' discoveries are news for everybody.
 */
export function initiatorFilter(options: InitiatorFilterOptions): FilterProgram {
  const { tagPrefix, tagPrefixBits } = options;
  const steps = [...aoeFrameOf(options), jump(BPF_JUMP_BITS_SET, FLAG_RESPONSE, NEXT, REJECT)];
  if (tagPrefixBits > 0) {
    steps.push(
      load(BPF_LD_BYTE_ABSOLUTE, COMMAND),
      jump(BPF_JUMP_EQUAL, COMMAND_ATA, NEXT, ACCEPT),
      load(BPF_LD_WORD_ABSOLUTE, TAG),
      load(BPF_SHIFT_RIGHT, TAG_BITS - tagPrefixBits),
      jump(BPF_JUMP_EQUAL, tagPrefix, ACCEPT, REJECT),
    );
  }
  return assemble(steps);
}

/** Passes AoE requests that came in by this very interface, for this host or for all, and long enough for a common header. */
export function targetFilter(options: FilterInterface): FilterProgram {
  return assemble([...aoeFrameOf(options), jump(BPF_JUMP_BITS_SET, FLAG_RESPONSE, REJECT, NEXT)]);
}

/** The program as an array of struct sock_filter. */
export function encodeFilter(program: FilterProgram): Buffer {
  const bytes = Buffer.alloc(program.length * SOCK_FILTER_BYTES);
  for (const [index, instruction] of program.entries()) {
    const at = index * SOCK_FILTER_BYTES;
    bytes.writeUInt16LE(instruction.code, at + SOCK_FILTER_CODE);
    bytes.writeUInt8(instruction.jumpTrue, at + SOCK_FILTER_JT);
    bytes.writeUInt8(instruction.jumpFalse, at + SOCK_FILTER_JF);
    bytes.writeUInt32LE(instruction.operand, at + SOCK_FILTER_K);
  }
  return bytes;
}

/** What both sides ask of a frame; ends with the version and flags byte in the accumulator. */
function aoeFrameOf({ interfaceIndex, loopback }: FilterInterface): Step[] {
  return [
    load(BPF_LD_WORD_ABSOLUTE, SKF_AD_INTERFACE_INDEX),
    jump(BPF_JUMP_EQUAL, interfaceIndex, NEXT, REJECT),
    load(BPF_LD_WORD_ABSOLUTE, SKF_AD_PACKET_TYPE),
    // HOST is 0, BROADCAST 1, MULTICAST 2, and those above are not for us.
    jump(BPF_JUMP_GREATER_OR_EQUAL, (loopback ? PACKET_MULTICAST : PACKET_BROADCAST) + 1, REJECT, NEXT),
    load(BPF_LD_LENGTH, 0),
    jump(BPF_JUMP_GREATER_OR_EQUAL, ARGUMENT, NEXT, REJECT),
    load(BPF_LD_HALF_ABSOLUTE, ETHERTYPE),
    jump(BPF_JUMP_EQUAL, ETHERTYPE_AOE, NEXT, REJECT),
    load(BPF_LD_BYTE_ABSOLUTE, VERSION_FLAGS),
  ];
}

function load(code: number, operand: number): Step {
  return { code, operand, whenTrue: NEXT, whenFalse: NEXT };
}

function jump(code: number, operand: number, whenTrue: Destination, whenFalse: Destination): Step {
  return { code, operand, whenTrue, whenFalse };
}

/** Lays the steps out, followed by "accept" (reached by the last step's NEXT too) and "reject". */
function assemble(steps: readonly Step[]): FilterProgram {
  const accept = steps.length;
  const program = steps.map(({ code, operand, whenTrue, whenFalse }, index) => {
    const distance = { [NEXT]: 0, [ACCEPT]: accept - index - 1, [REJECT]: accept - index };
    return { code, operand, jumpTrue: distance[whenTrue], jumpFalse: distance[whenFalse] };
  });
  return [...program, result(WHOLE_FRAME), result(NOTHING)];
}

function result(operand: number): FilterInstruction {
  return { code: BPF_RETURN, operand, jumpTrue: 0, jumpFalse: 0 };
}
