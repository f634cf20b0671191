import { InterfaceMonitor, listInterfaces, type InterfaceInfo } from '../system/interfaces.ts';
import { nowUs } from '../time/clock.ts';
import type { TargetLog } from './log.ts';
import { MTU_MIN, type TargetPort } from './target-port.ts';

/** The target was told to serve on an interface that is not there, or from which no frame would come. */
export class InterfaceRefused extends Error {
  override readonly name = 'InterfaceRefused';

  constructor(name: string, reason: string) {
    super(`cannot serve on interface '${name}': ${reason}`);
  }
}

/**
 * The ports of a target, kept in step with the interfaces of this network namespace: an interface may go down, change its MTU
 * or MAC, be deleted and come back, and the target goes on.
 */
export class TargetPorts {
  readonly #ports: readonly TargetPort[];
  readonly #monitor: InterfaceMonitor;
  readonly #opened: (portIndex: number, fd: number) => void;
  readonly #log: TargetLog;

  /**
   * @param opened is told of each new socket; it disappears from every epoll set when its port closes it
   * @throws InterfaceRefused when an interface does not exist or carries no frames, SystemError when it can't be opened
   */
  constructor(ports: readonly TargetPort[], opened: (portIndex: number, fd: number) => void, log: TargetLog) {
    this.#ports = ports;
    this.#opened = opened;
    this.#log = log;
    // First watched, then listed: nothing falls between.
    this.#monitor = InterfaceMonitor.open();
    const links = listInterfaces();
    for (const { name } of ports) {
      const link = links.find((candidate) => candidate.name === name);
      if (link === undefined) throw new InterfaceRefused(name, `there is none of this name here; there are ${namesOf(links)}`);
      this.#use(link);
    }
  }

  /** Readable when `read` has something to do. */
  get fd(): number {
    return this.#monitor.fd;
  }

  /** Takes over what has happened to interfaces. Throws SystemError on a broken monitor. */
  read(): void {
    for (const change of this.#monitor.read()) {
      if (change.type === 'changed') this.#tryToUse(change.link);
      else if (change.type === 'deleted') this.#lose(change.index);
      else this.#compare();
    }
  }

  close(): void {
    for (const port of this.#ports) port.close();
    this.#monitor.close();
  }

  /** What can't be used now may be later. */
  #tryToUse(link: InterfaceInfo): void {
    try {
      this.#use(link);
    } catch (error) {
      this.#log.error(`interface ${link.name} can't be used`, { interface: link.name, err: error });
    }
  }

  /** Takes over what has changed about an interface, if it is one of ours. Throws InterfaceRefused or SystemError. */
  #use(link: InterfaceInfo): void {
    const portIndex = this.#ports.findIndex(({ name }) => name === link.name);
    if (portIndex < 0) return;
    refuseUseless(link);
    const port = this.#ports[portIndex];
    const { up, mtu } = port;
    if (port.update(link, nowUs()) && port.socket !== undefined) this.#opened(portIndex, port.socket.fd);
    if (port.up !== up) this.#log.info(`interface ${port.name} is ${port.up ? 'up' : 'down'}`, { interface: port.name });
    if (port.mtu !== mtu) {
      const advice = port.mtu < MTU_MIN ? `; long config strings and lists need an MTU of ${MTU_MIN}` : '';
      const message = `interface ${port.name} has MTU ${port.mtu}: ${port.sectorsPerFrame} sectors per frame${advice}`;
      this.#log.info(message, { interface: port.name });
    }
  }

  #lose(index: number): void {
    const port = this.#ports.find((candidate) => candidate.isOn(index));
    if (port === undefined) return;
    port.close();
    this.#log.warn(`interface ${port.name} has gone; it is used again when it comes back`, { interface: port.name });
  }

  /** News was lost: looks at everything anew. */
  #compare(): void {
    const links = listInterfaces();
    for (const port of this.#ports) {
      const link = links.find(({ name }) => name === port.name);
      if (link === undefined) port.close();
      else this.#tryToUse(link);
    }
  }
}

function namesOf(links: readonly InterfaceInfo[]): string {
  return links.map(({ name }) => name).join(', ');
}

/** Throws InterfaceRefused for an interface that would stay silent for ever. */
function refuseUseless({ name, ethernet, masterKind }: InterfaceInfo): void {
  if (!ethernet) throw new InterfaceRefused(name, 'it carries no Ethernet frames');
  if (masterKind === 'bridge' || masterKind === 'bond' || masterKind === 'team') {
    throw new InterfaceRefused(name, `it is a port of a ${masterKind}, which takes its frames; serve on that instead`);
  }
}
