/**
 * What the control thread and the data-path thread tell each other. Messages travel over a MessagePort; the worker, which never
 * returns to its event loop, is woken by an eventfd and takes them with `receiveMessageOnPort`.
 */
import type { NoticeKind } from '../aoe/events.ts';
import type { DiskIdentity } from '../aoe/identity.ts';

/** How a volume is to be attached. */
export interface AttachRequest {
  readonly shelf: number;
  readonly slot: number;
  /** Where the volume's NBD server shall listen. */
  readonly socketPath: string;
  readonly readOnly: boolean;
  /** Held I/O fails after so many seconds without an answer; 0 = never. */
  readonly deadSeconds: number;
  readonly maxOutstanding: number;
  /** Only these of the initiator's interfaces; all of them when undefined. */
  readonly interfaces: readonly string[] | undefined;
}

/** Reads or changes what a target knows of its owner. Changes are idempotent; `set` succeeds only where nothing else stands. */
export type OwnershipMode = 'read' | 'set' | 'force-set';

export type Command =
  | { readonly op: 'setInterfaces'; readonly patterns: readonly string[] }
  | { readonly op: 'listInterfaces' }
  | { readonly op: 'discover' }
  | { readonly op: 'listTargets' }
  /** `resumed`: the disk that it was when an earlier process had it. Its users are still there. */
  | { readonly op: 'attach'; readonly attach: AttachRequest; readonly resumed?: DiskIdentity }
  /** Ends an attach that has not succeeded, or a volume; `force` fails what is under way. */
  | { readonly op: 'detach'; readonly name: string; readonly force: boolean }
  | { readonly op: 'listAttachments' }
  /**
   * Serves an attached volume to the kernel, over a connected socket that becomes the data path's own. `connection` is a new number,
   * by which its end is told.
   */
  | {
      readonly op: 'serveKernel';
      readonly name: string;
      readonly fd: number;
      readonly connection: number;
      /** Of a connection that another process has served until now. It is frozen, to begin with. */
      readonly inherited?: Inherited;
    }
  /**
   * Takes no further request over connections to the kernel, and answers, after at most `drainMs`, with those of which nothing is
   * under way any more. Nothing happens on any of them until it is thawed or let go.
   */
  | { readonly op: 'freeze'; readonly connections: readonly number[]; readonly drainMs: number }
  | { readonly op: 'thaw'; readonly connections: readonly number[] }
  /** Closes the data path's own ends of connections, which another process goes on with: the kernel sees nothing of that. */
  | { readonly op: 'letGo'; readonly connections: readonly number[] }
  /** Opens the volumes' sockets, where the data path was started without. */
  | { readonly op: 'listen' }
  /** Ends such a connection; well when it has ended already. */
  | { readonly op: 'hangUp'; readonly connection: number }
  /** Tells of NBD devices whose socket has died: `fd` as NbdControl.openMonitor makes it. */
  | { readonly op: 'watchLinks'; readonly fd: number }
  /** Asks the volume's target how large it is now. */
  | { readonly op: 'measure'; readonly name: string }
  /** Lets the volume be as large as its target has become. It never becomes smaller. */
  | { readonly op: 'grow'; readonly name: string }
  /** Changes what may be changed while a volume is in use. */
  | { readonly op: 'modify'; readonly name: string; readonly modify: ModifyRequest }
  /** The target's config string. */
  | {
      readonly op: 'config';
      readonly shelf: number;
      readonly slot: number;
      readonly mode: OwnershipMode;
      readonly string: Uint8Array;
      readonly timeoutMs: number;
    }
  /** The target's reserve list; `macs` undefined = the MACs of this initiator's own interfaces. */
  | {
      readonly op: 'reserve';
      readonly shelf: number;
      readonly slot: number;
      readonly mode: OwnershipMode;
      readonly macs: readonly string[] | undefined;
      readonly timeoutMs: number;
    }
  | { readonly op: 'stat' }
  /** Lets go of all interfaces and sockets, and ends the thread. */
  | { readonly op: 'stop' };

export interface ModifyRequest {
  readonly deadSeconds: number;
  readonly maxOutstanding: number;
  readonly interfaces: readonly string[] | undefined;
}

/** What a process must know that goes on with a connection of another one's. */
export interface Inherited {
  /** What has been received and not been looked at. */
  readonly unread: Uint8Array;
  /** Writes acknowledged since the last flush. */
  readonly unflushedWrites: number;
}

/** A connection to the kernel that has been brought to a stop. */
export interface FrozenConnection extends Inherited {
  readonly connection: number;
  /** A copy of its descriptor, to be closed by whoever asked. */
  readonly fd: number;
  /** How long a copy of a write may still be on its way: no request may be taken before. */
  readonly quietMs: number;
}

/** Reasons that a caller can act on; each maps to one gRPC status. */
export type FailureCode = 'not-found' | 'already-exists' | 'invalid' | 'refused' | 'busy' | 'unavailable' | 'internal';

export interface Failure {
  readonly code: FailureCode;
  readonly message: string;
}

export interface InterfaceState {
  readonly name: string;
  /** Index of the interface now, 0 when there is none of this name. */
  readonly index: number;
  readonly mac: string;
  readonly mtu: number;
  readonly state: 'up' | 'down' | 'missing' | 'refused';
  /** Why it is not used. */
  readonly reason: string;
  readonly framesSent: number;
  readonly framesReceived: number;
  /** Frames the kernel dropped because we were too slow. */
  readonly framesDropped: number;
}

export interface PathState {
  readonly interface: string;
  readonly mac: string;
  readonly standing: string;
  /** Bytes of data in a frame now. */
  readonly payloadBytes: number;
  readonly roundTripUs: number;
  readonly timeoutUs: number;
  readonly window: number;
  readonly inFlight: number;
  readonly framesSent: number;
  readonly framesResent: number;
  readonly timeouts: number;
}

export interface TargetReport {
  /** `e10.3` */
  readonly name: string;
  readonly shelf: number;
  readonly slot: number;
  readonly state: string;
  readonly reason: string;
  /** 0 while unknown. */
  readonly sectors: number;
  readonly serial: string;
  readonly model: string;
  readonly firmware: string;
  readonly bufferCount: number;
  readonly sectorsPerFrame: number;
  readonly configString: Uint8Array;
  readonly flush: string;
  readonly trim: boolean;
  readonly paths: readonly PathState[];
  /** Since one of its MACs has last said that it is there; all are asked every minute or so. */
  readonly silentMs: number;
}

export interface AttachmentReport {
  readonly name: string;
  readonly sectors: number;
  readonly serial: string;
  readonly model: string;
  readonly readOnly: boolean;
  readonly canTrim: boolean;
  readonly socketPath: string;
  /** `attaching`, `up`, `down`, `mismatch`, `fenced`, `detaching` */
  readonly state: string;
  readonly reason: string;
  /** How a flush becomes durable: `flush cache`, `flush cache ext`, or `target policy`. */
  readonly durability: string;
  readonly connections: number;
  readonly requestsInFlight: number;
  readonly requestsDone: number;
  readonly readBytes: number;
  readonly writtenBytes: number;
  /** Restarts of the target that came upon acknowledged writes not flushed, and how many writes those were. */
  readonly unflushedRestarts: number;
  readonly unflushedWrites: number;
}

/** Counters of the whole initiator, by name; all grow. */
export type Statistics = Readonly<Record<string, number>>;

export type Reply =
  | { readonly op: 'done' }
  | { readonly op: 'interfaces'; readonly interfaces: readonly InterfaceState[] }
  | { readonly op: 'targets'; readonly targets: readonly TargetReport[] }
  | { readonly op: 'attached'; readonly attachment: AttachmentReport }
  /** `flags`: what the volume can do, as NBD's transmission flags; `payloadBytesMax`: the largest read or write that it takes. */
  | { readonly op: 'serving'; readonly flags: number; readonly payloadBytesMax: number }
  | { readonly op: 'size'; readonly sectors: number }
  | { readonly op: 'frozen'; readonly frozen: readonly FrozenConnection[] }
  | { readonly op: 'attachments'; readonly attachments: readonly AttachmentReport[] }
  /**
   * What the target said at each of its MACs, and how many of these were silent. `error`: AoE's code in the first answer that has one,
   * 0 when all did what was asked; `strings` and `lists`: what stands there now.
   */
  | { readonly op: 'config'; readonly error: number; readonly strings: readonly Uint8Array[]; readonly silent: number }
  | { readonly op: 'reserve'; readonly error: number; readonly lists: readonly (readonly string[])[]; readonly silent: number }
  | { readonly op: 'stat'; readonly statistics: Statistics };

/** To the worker. */
export interface CommandMessage {
  readonly id: number;
  readonly command: Command;
}

/** From the worker: the answer to a command, or something that happened. */
export type WorkerMessage =
  | { readonly type: 'reply'; readonly id: number; readonly reply: Reply }
  | { readonly type: 'failure'; readonly id: number; readonly failure: Failure }
  /** A connection to the kernel has ended; with `goodbye` when the kernel has said that it will not come back. */
  | { readonly type: 'kernelGone'; readonly connection: number; readonly goodbye: boolean }
  | { readonly type: 'linkDead'; readonly index: number }
  /** Where the memory is that the thread works in: to be given back when it has ended. */
  | { readonly type: 'mapped'; readonly address: number; readonly sizeBytes: number }
  | {
      readonly type: 'notice';
      readonly kind: NoticeKind | 'interface' | 'nbd' | 'protection';
      readonly target: string;
      readonly text: string;
    };

/** What the worker is started with. */
export interface WorkerOptions {
  readonly eventFd: number;
  readonly interfaces: readonly string[];
  /** 64 KiB chunks for the data of requests, over all volumes. */
  readonly chunks: number;
  readonly lockMemory: boolean;
  /** Whether volumes have sockets of their own from the start, or only from the command `listen` on. */
  readonly listening: boolean;
}
