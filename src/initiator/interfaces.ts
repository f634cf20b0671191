import type { Engine } from '../aoe/engine.ts';
import { listInterfaces, InterfaceMonitor, type InterfaceInfo } from '../system/interfaces.ts';
import { AllowList } from './allow-list.ts';
import { INTERFACES_MAX, type DataPathMemory } from './memory.ts';
import type { InterfaceState } from './messages.ts';
import { PortDriver } from './port-driver.ts';

/** The interfaces could not be listed: so long after that they are asked for again. */
const RELIST_US = 1_000_000;

/** Where the loop hears of sockets that come and go. */
export interface PortWatcher {
  opened(driver: PortDriver, slot: number): void;
  closing(driver: PortDriver): void;
  notice(text: string): void;
}

/**
 * Keeps one packet socket open on each allowed interface that exists: takes interfaces up when they appear, lets go of them when they
 * are deleted or no longer allowed, and tells the engine when they change.
 */
export class Interfaces {
  readonly drivers: (PortDriver | undefined)[] = new Array<PortDriver | undefined>(INTERFACES_MAX).fill(undefined);
  readonly #memory: DataPathMemory;
  readonly #engine: Engine;
  readonly #tagPrefix: number;
  readonly #watcher: PortWatcher;
  readonly #monitor = InterfaceMonitor.open();
  #allowed = new AllowList([]);
  #links = new Map<number, InterfaceInfo>();
  /** When they are listed anew, because they could not be; Infinity when they have been. */
  #relistUs = Infinity;
  /** Why allowed interfaces are not used, by name. */
  readonly #refusals = new Map<string, string>();

  constructor(memory: DataPathMemory, engine: Engine, tagPrefix: number, watcher: PortWatcher) {
    this.#memory = memory;
    this.#engine = engine;
    this.#tagPrefix = tagPrefix;
    this.#watcher = watcher;
  }

  get monitorFd(): number {
    return this.#monitor.fd;
  }

  /** When `advance` wants to be called; Infinity when it need not be. */
  get dueUs(): number {
    return this.#relistUs;
  }

  /** Does what has become due. */
  advance(nowUs: number): void {
    if (nowUs >= this.#relistUs) this.#resync(nowUs);
  }

  /** Interfaces that were allowed and still are keep their sockets, and their I/O. */
  setAllowed(allowed: AllowList, nowUs: number): void {
    this.#allowed = allowed;
    if (allowed.patterns.length === 0) this.#watcher.notice('no interface is allowed: no AoE frame is sent or accepted');
    this.#resync(nowUs);
  }

  /** The monitor's socket is readable. */
  readChanges(nowUs: number): void {
    for (const change of this.#monitor.read()) {
      if (change.type === 'resync') {
        this.#resync(nowUs);
        return;
      }
      if (change.type === 'deleted') this.#deleted(change.index, nowUs);
      else this.#changed(change.link, nowUs);
    }
  }

  /** Reads everything anew, for instance after a frame did not fit. */
  refresh(nowUs: number): void {
    this.#resync(nowUs);
  }

  /** The socket reported that its interface is gone, which it may before the monitor does. */
  gone(driver: PortDriver, nowUs: number): void {
    this.#deleted(driver.interfaceIndex, nowUs);
  }

  states(): InterfaceState[] {
    const states: InterfaceState[] = [];
    const seen = new Set<string>();
    for (const link of this.#links.values()) {
      if (!this.#allowed.allows(link.name)) continue;
      seen.add(link.name);
      states.push(this.#stateOf(link));
    }
    for (const name of this.#allowed.names) if (!seen.has(name)) states.push(missing(name));
    return states;
  }

  close(nowUs: number): void {
    for (const driver of this.drivers) if (driver !== undefined) this.#close(driver, nowUs);
    this.#monitor.close();
  }

  #stateOf(link: InterfaceInfo): InterfaceState {
    const driver = this.drivers.find((candidate) => candidate?.interfaceIndex === link.index);
    const reason = this.#refusals.get(link.name) ?? '';
    const up = link.up && link.running;
    return {
      name: link.name,
      index: link.index,
      mac: link.macText,
      mtu: link.mtu,
      state: driver === undefined ? 'refused' : up ? 'up' : 'down',
      reason: driver === undefined ? reason : up ? '' : link.up ? 'no carrier' : 'switched off',
      framesSent: driver?.port.framesSent ?? 0,
      framesReceived: driver?.port.framesReceived ?? 0,
      framesDropped: driver?.readDrops() ?? 0,
    };
  }

  #resync(nowUs: number): void {
    const links = this.#list(nowUs);
    const known = new Set(links.map((link) => link.index));
    for (const index of [...this.#links.keys()]) if (!known.has(index)) this.#deleted(index, nowUs);
    for (const link of links) this.#changed(link, nowUs);
  }

  /** Those that there are; or those that are known, when the kernel can't tell now (EBUSY while many come and go, EMFILE, ENOBUFS). */
  #list(nowUs: number): readonly InterfaceInfo[] {
    try {
      const links = listInterfaces();
      if (this.#relistUs !== Infinity) this.#watcher.notice('the network interfaces can be listed again');
      this.#relistUs = Infinity;
      return links;
    } catch (error) {
      if (this.#relistUs === Infinity) {
        this.#watcher.notice(`${(error as Error).message}; what is known of them is used until they can be listed again`);
      }
      this.#relistUs = nowUs + RELIST_US;
      return [...this.#links.values()];
    }
  }

  #deleted(index: number, nowUs: number): void {
    this.#links.delete(index);
    const driver = this.drivers.find((candidate) => candidate?.interfaceIndex === index);
    if (driver === undefined) return;
    this.#watcher.notice(`interface ${driver.name} is gone; it is taken up again when it comes back`);
    this.#close(driver, nowUs);
  }

  #changed(link: InterfaceInfo, nowUs: number): void {
    this.#links.set(link.index, link);
    const driver = this.drivers.find((candidate) => candidate?.interfaceIndex === link.index);
    const refusal = refusalOf(link, this.#links);
    if (!this.#allowed.allows(link.name) || refusal !== '') {
      if (driver !== undefined) this.#close(driver, nowUs);
      if (refusal !== '' && this.#allowed.allows(link.name)) this.#refuse(link.name, refusal);
      return;
    }
    if (driver !== undefined && driver.name !== link.name) {
      this.#close(driver, nowUs);
      this.#open(link, nowUs);
    } else if (driver === undefined) {
      this.#open(link, nowUs);
    } else {
      driver.update(link, nowUs);
    }
  }

  #open(link: InterfaceInfo, nowUs: number): void {
    const slot = this.drivers.indexOf(undefined);
    if (slot < 0) {
      this.#refuse(link.name, `only ${String(INTERFACES_MAX)} interfaces can be used at once; allow fewer`);
      return;
    }
    try {
      const { arena, ports } = this.#memory;
      const driver = PortDriver.open(arena, ports[slot], this.#engine, link, this.#tagPrefix, nowUs);
      if (driver === undefined) return;
      this.drivers[slot] = driver;
      this.#refusals.delete(link.name);
      this.#watcher.opened(driver, slot);
      this.#watcher.notice(`interface ${link.name} is used for AoE: MAC ${link.macText}, MTU ${String(link.mtu)}`);
    } catch (error) {
      // Of an interface that is being deleted the last news is that it is down; the next is that it is gone.
      if ((error as { code?: string }).code !== 'ENODEV') this.#refuse(link.name, (error as Error).message);
    }
  }

  #refuse(name: string, reason: string): void {
    if (this.#refusals.get(name) === reason) return;
    this.#refusals.set(name, reason);
    this.#watcher.notice(`interface ${name} is not used: ${reason}`);
  }

  #close(driver: PortDriver, nowUs: number): void {
    this.#watcher.closing(driver);
    this.drivers[this.drivers.indexOf(driver)] = undefined;
    driver.close(nowUs);
  }
}

/** Why an interface can't carry AoE, with what to do; '' when it can. */
function refusalOf(link: InterfaceInfo, links: ReadonlyMap<number, InterfaceInfo>): string {
  if (!link.ethernet) return 'it carries no Ethernet frames; AoE needs an Ethernet interface';
  if (link.masterKind === 'bridge' || link.masterKind === 'bond' || link.masterKind === 'team') {
    const master = links.get(link.masterIndex)?.name ?? 'its master';
    return `it is a port of the ${link.masterKind} ${master}, which takes its frames; allow ${master} instead`;
  }
  return '';
}

function missing(name: string): InterfaceState {
  return {
    name,
    index: 0,
    mac: '',
    mtu: 0,
    state: 'missing',
    reason: 'there is no interface of this name; it is taken up when it appears',
    framesSent: 0,
    framesReceived: 0,
    framesDropped: 0,
  };
}
