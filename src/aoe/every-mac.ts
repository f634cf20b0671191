import type { Mac } from './address.ts';
import { isSameDisk } from './identity.ts';
import { MAC_GONE_US } from './limits.ts';
import { STANDING_CONFLICT, STANDING_PROVEN, type Path } from './path.ts';
import { mtuOf, type CommandAnswer, type TargetCommand, type TargetCommands } from './target-commands.ts';
import type { Target } from './target.ts';

/** One dead port of a target must not hold up what the others have answered; frames are lost and repeated a few times by then. */
const OTHERS_US = 2_000_000;

/** What the MACs of a target have answered. */
export interface MacAnswers {
  /** At least one; that of the MAC which does the volume's I/O comes first. */
  readonly answers: readonly CommandAnswer[];
  /** MACs that have not answered in time. */
  readonly silent: number;
}

/** Why a target can't be asked, as a sentence; lasting, or only now. */
export interface CommandRefusal {
  readonly isLasting: boolean;
  readonly text: string;
}

/**
 * Asks a target about ownership at each MAC that it has. Ports of one array know the same, but processes that serve one disk on
 * several interfaces (vblade) each have a config string and a reserve list of their own: what is set at one of them only keeps nobody
 * away from the others. A MAC behind which another disk was found is not asked.
 * @param deadlineUs of the first MAC; the others have two seconds at most
 * @param done called once, never from within; `undefined`: no MAC has answered until the deadline
 * @returns why it is not asked at all: too many questions are open, or this one is too long for the interfaces
 */
export function askEveryMac(
  commands: TargetCommands,
  target: Target,
  command: TargetCommand,
  deadlineUs: number,
  nowUs: number,
  done: (answers: MacAnswers | undefined) => void,
): CommandRefusal | undefined {
  const macs = macsOf(target, nowUs);
  // Nobody is known well enough: whoever answers.
  const asked: readonly (Mac | undefined)[] = macs.length > 0 ? macs : [undefined];
  if (!commands.hasRoomFor(asked.length)) {
    return { isLasting: false, text: 'too many commands wait for answers of targets; try again' };
  }
  const mtuMax = Math.min(...asked.map((mac) => mtuTo(target, mac)));
  if (mtuMax < mtuOf(command)) return { isLasting: true, text: tooLong(target, command, mtuMax) };
  const answers = new Array<CommandAnswer | undefined>(asked.length);
  let open = asked.length;
  for (const [index, mac] of asked.entries()) {
    const untilUs = index === 0 ? deadlineUs : Math.min(deadlineUs, nowUs + OTHERS_US);
    commands.ask(target, command, mac, untilUs, nowUs, (answer) => {
      answers[index] = answer;
      if (--open > 0) return;
      const given = answers.filter((each) => each !== undefined);
      done(given.length === 0 ? undefined : { answers: given, silent: asked.length - given.length });
    });
  }
  return undefined;
}

/** The largest of the interfaces through which the MAC, or any, is seen. */
function mtuTo({ paths }: Target, wanted: Mac | undefined): number {
  return Math.max(...paths.map(({ mac, port }) => (wanted === undefined || wanted === mac ? port.mtu : 0)));
}

function tooLong({ name }: Target, command: TargetCommand, mtuMax: number): string {
  const what =
    command.kind === 'config'
      ? `a config string of ${String(command.string.length)} bytes`
      : `a reserve list of ${String(command.macs.length)} MACs`;
  return (
    `${what} does not fit into a frame to ${name}: it takes an MTU of ${String(mtuOf(command))}, and the interfaces there have ` +
    `${String(mtuMax)}; raise it in the whole storage network, or let it be shorter`
  );
}

/** The MACs that serve the target's disk, as far as is known; the one that does I/O first, then those that were heard of last. */
function macsOf(target: Target, nowUs: number): Mac[] {
  const { owner } = target;
  const paths = target.paths.filter((path) => servesItsDisk(path, nowUs)).toSorted((a, b) => heardUs(b) - heardUs(a));
  const macs = paths.map(({ mac }) => mac).toSorted((a, b) => Number(b === owner) - Number(a === owner));
  return [...new Set(macs)];
}

function heardUs({ seenUs, lastAnswerUs }: Path): number {
  return Math.max(seenUs, lastAnswerUs);
}

function servesItsDisk(path: Path, nowUs: number): boolean {
  const { target, standing, found } = path;
  // One that can't be reached now is silent.
  if (standing === STANDING_CONFLICT) return false;
  if (path.mac === target.owner || standing === STANDING_PROVEN) return true;
  if (nowUs - heardUs(path) > MAC_GONE_US) return false;
  return found !== undefined && target.identity !== undefined && isSameDisk(target.identity, found);
}
