import { NETLINK_ADD_MEMBERSHIP, NETLINK_EXT_ACK, NETLINK_GENERIC, SOL_NETLINK } from './constants.ts';
import { ENOENT, EPROTO, SystemError, type Advice } from './errno.ts';
import {
  decodeFamily,
  decodeGenericMessages,
  encodeGenericRequest,
  familyRequest,
  type Family,
  type GenericMessage,
  type GenericRequest,
} from './generic-netlink-codec.ts';
import { NetlinkSocket } from './netlink-socket.ts';
import { setIntOption } from './socket-options.ts';

/** What a request is for, in the error that it may end with. */
export interface RequestPurpose {
  /** Completes "cannot …". */
  readonly attempt: string;
  /** Name of the command. */
  readonly command: string;
  readonly advice?: Advice;
}

/**
 * A conversation with generic netlink families. The kernel carries out a request inside the call that sends it, under one lock for all
 * families of the machine: a call takes as long as that takes, which may be for ever. Not for a thread that has anything else to do.
 */
export class GenericNetlinkSocket {
  readonly #socket: NetlinkSocket;
  #sequence = 0;

  /** Throws SystemError. */
  static open(): GenericNetlinkSocket {
    const attempt = 'open a generic netlink socket';
    const socket = NetlinkSocket.open(NETLINK_GENERIC, 0, attempt);
    setIntOption(socket.fd, SOL_NETLINK, NETLINK_EXT_ACK, 1, attempt);
    return new GenericNetlinkSocket(socket);
  }

  private constructor(socket: NetlinkSocket) {
    this.#socket = socket;
  }

  get fd(): number {
    return this.#socket.fd;
  }

  /** The family of this name; undefined when the kernel, or this network namespace, has none. Throws SystemError. */
  family(name: string): Family | undefined {
    try {
      const purpose = { attempt: `find the netlink family ${name}`, command: 'CTRL_CMD_GETFAMILY' };
      for (const message of this.request(familyRequest(name), purpose)) {
        const family = message.type === 'message' ? decodeFamily(message.attributes) : undefined;
        if (family !== undefined) return family;
      }
    } catch (error) {
      if ((error as SystemError).errno !== ENOENT) throw error;
    }
    return undefined;
  }

  /** Sends a request, and returns what the kernel answered before its acknowledgement. Throws SystemError, with the kernel's words. */
  request(request: GenericRequest, { attempt, command, advice }: RequestPurpose): GenericMessage[] {
    const sequence = ++this.#sequence;
    this.#socket.send(encodeGenericRequest(request, sequence), attempt);
    const answers: GenericMessage[] = [];
    for (;;) {
      // All of the answer was there when `send` returned.
      const datagram = this.#socket.receive();
      if (typeof datagram === 'number') throw new SystemError({ attempt, syscall: 'recvfrom', errno: -datagram });
      if (datagram.length === 0) throw new SystemError({ attempt, syscall: 'recvfrom', errno: EPROTO });
      for (const message of decodeGenericMessages(Buffer.from(datagram))) {
        if (message.sequence !== sequence) continue;
        if (message.type === 'message') answers.push(message);
        else if (message.errno === 0) return answers;
        else throw refused(attempt, command, message.errno, message.text, advice);
      }
    }
  }

  /** Hears the messages of a multicast group from now on. Throws SystemError. */
  join(group: number): void {
    setIntOption(this.fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, group, `join the netlink group ${group}`);
  }

  close(): void {
    this.#socket.close();
  }
}

function refused(attempt: string, command: string, errno: number, text: string, advice: Advice | undefined): SystemError {
  return new SystemError({ attempt, syscall: text === '' ? command : `${command}: ${text}`, errno, advice });
}
