import { join } from 'node:path';
import type {
  AttachmentReport,
  AttachRequest,
  Command,
  Failure,
  InterfaceState,
  PathState,
  Reply,
  Statistics,
  TargetReport,
} from '../../src/initiator/messages.ts';
import { eventually, type TestProcess, within } from './faults-process.ts';

/** A line of faults-initiator.ts. */
interface Line {
  readonly id?: number;
  readonly reply?: Reply;
  readonly failure?: Failure;
  readonly kind?: string;
  readonly target?: string;
  readonly text?: string;
}

export interface Notice {
  readonly kind: string;
  readonly target: string;
  readonly text: string;
}

/** Longest time that a command which needs no answer from the network may take: the loop has to stay awake. */
const BUSY_MS = 10_000;
const COMMAND_MS = 2_000;
export const ATTACH_MS = 5_000;

/** The initiator under test, in another process. Times out instead of waiting for ever, and says what for. */
export class InitiatorClient {
  readonly process: TestProcess;
  readonly notices: Notice[] = [];
  readonly #folder: string;
  readonly #waiting = new Map<number, { resolve: (reply: Reply) => void; reject: (error: Error) => void }>();
  #lastId = 0;

  /** Sockets of volumes lie in `folder`. */
  constructor(process: TestProcess, folder: string) {
    this.process = process;
    this.#folder = folder;
    process.onLine((line) => this.#take(JSON.parse(line) as Line));
    process.child.once('exit', () => {
      for (const { reject } of this.#waiting.values()) reject(new Error(process.report));
      this.#waiting.clear();
    });
  }

  /** Rejects with an Error whose message is the failure's. */
  async execute(command: Command): Promise<Reply> {
    if (!this.process.running) throw new Error(this.process.report);
    const id = ++this.#lastId;
    this.process.write(JSON.stringify({ id, command }));
    return new Promise((resolve, reject) => this.#waiting.set(id, { resolve, reject }));
  }

  /** Starts to attach a target; goes on until it is there, refused, or detached. */
  async attach(name: string, options: Partial<AttachRequest> = {}): Promise<AttachmentReport> {
    const [shelf, slot] = name.slice(1).split('.').map(Number);
    const defaults = { readOnly: false, deadSeconds: 0, maxOutstanding: 128, interfaces: undefined };
    const request = { ...defaults, shelf, slot, socketPath: this.socketPath(name), ...options };
    const reply = await this.execute({ op: 'attach', attach: request });
    if (reply.op !== 'attached') throw new Error(`attach was answered with ${reply.op}`);
    return reply.attachment;
  }

  /** Attaches a target that is there. */
  async attachNow(name: string, options: Partial<AttachRequest> = {}): Promise<AttachmentReport> {
    return within(`attaching ${name}`, ATTACH_MS, this.attach(name, options));
  }

  async detach(name: string, force = false): Promise<void> {
    await within(`detaching ${name}`, COMMAND_MS, this.execute({ op: 'detach', name, force }));
  }

  async setInterfaces(...patterns: string[]): Promise<void> {
    await this.#soon({ op: 'setInterfaces', patterns });
  }

  async interfaces(): Promise<readonly InterfaceState[]> {
    const reply = await this.#soon({ op: 'listInterfaces' });
    return reply.op === 'interfaces' ? reply.interfaces : [];
  }

  async targets(): Promise<readonly TargetReport[]> {
    const reply = await this.#soon({ op: 'listTargets' });
    return reply.op === 'targets' ? reply.targets : [];
  }

  async attachment(name: string): Promise<AttachmentReport> {
    const reply = await this.#soon({ op: 'listAttachments' });
    const found = reply.op === 'attachments' ? reply.attachments.find((each) => each.name === name) : undefined;
    if (found === undefined) throw new Error(`${name} is not among the attachments`);
    return found;
  }

  async statistics(): Promise<Statistics> {
    const reply = await this.#soon({ op: 'stat' });
    return reply.op === 'stat' ? reply.statistics : {};
  }

  /** The first way to a target. */
  async path(name: string): Promise<PathState> {
    const path = (await this.targets()).find((target) => target.name === name)?.paths[0];
    if (path === undefined) throw new Error(`${name} has no path`);
    return path;
  }

  /** Waits until the attachment is in a state; returns it with its reason. */
  async state(name: string, state: string, timeoutMs: number): Promise<AttachmentReport> {
    return eventually(`${name} to be ${state}`, timeoutMs, async () => {
      const report = await this.attachment(name);
      return report.state === state && report;
    });
  }

  /** Waits until a volume does I/O: a program that was told to may take its time to start. */
  async busy(name: string): Promise<void> {
    const { requestsDone } = await this.attachment(name);
    await eventually(`I/O on ${name}`, BUSY_MS, async () => (await this.attachment(name)).requestsDone > requestsDone);
  }

  /** Waits for a notice that has come, or will. */
  async notice(kind: string, pattern: RegExp, timeoutMs = COMMAND_MS): Promise<Notice> {
    return eventually(`the notice ${kind} ${String(pattern)}`, timeoutMs, () =>
      this.notices.find((notice) => notice.kind === kind && pattern.test(notice.text)),
    );
  }

  socketPath(name: string): string {
    return join(this.#folder, `${name}.sock`);
  }

  /** For NBD clients. */
  uri(name: string): string {
    return `nbd+unix:///${name}?socket=${this.socketPath(name)}`;
  }

  async #soon(command: Command): Promise<Reply> {
    return within(`the command ${command.op}`, COMMAND_MS, this.execute(command));
  }

  #take({ id, reply, failure, kind = '', target = '', text = '' }: Line): void {
    if (id === undefined) {
      this.notices.push({ kind, target, text });
      return;
    }
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (reply !== undefined) waiting?.resolve(reply);
    else waiting?.reject(new Error(failure?.message));
  }
}
