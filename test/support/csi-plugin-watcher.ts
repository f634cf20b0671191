/**
 * The part of a kubelet that finds plugins, as far as a CSI driver meets it: the order of calls, the checks, the time limits and
 * what is tried again are those of pkg/kubelet/pluginmanager and pkg/volume/csi in Kubernetes. Most surprising of these: a plugin
 * whose own socket did not answer NodeGetInfo is not tried again until it makes its registration socket anew.
 */
import { readdirSync, statSync, type Stats } from 'node:fs';
import { join } from 'node:path';
import type { NodeGetInfoResponse } from '../../src/csi/messages.ts';
import type { PluginInfo } from '../../src/csi/registration-messages.ts';
import { RpcClient } from '../../src/rpc/client.ts';
import { loadService } from '../../src/rpc/service.ts';

const GET_INFO_MS = 1_000;
const NOTIFY_MS = 5_000;
const NODE_GET_INFO_MS = 120_000;
/** The kubelet is told by inotify, then reconciles once a second; looking ten times a second is the same to a plugin. */
const SCAN_MS = 100;
const BACKOFF_MS = 500;
const BACKOFF_MS_MAX = 122_000;

/** What the watcher has done about a socket. */
export type WatcherEvent =
  | { readonly kind: 'registered'; readonly socket: string; readonly info: PluginInfo; readonly node: NodeGetInfoResponse }
  | { readonly kind: 'refused'; readonly socket: string; readonly reason: string }
  | { readonly kind: 'removed'; readonly socket: string };

/** A socket that is or was to be registered. */
interface Found {
  /** Tells a new socket of the same name from the one before. */
  readonly identity: string;
  failures: number;
  /** Infinity when it is not to be tried again. */
  retryAtMs: number;
}

/** The driver failed, not its registration: that is final for this socket. */
class FinalRefusal extends Error {}

export class PluginWatcher {
  readonly #folder: string;
  readonly #events: WatcherEvent[] = [];
  readonly #found = new Map<string, Found>();
  readonly #waiting = new Set<() => void>();
  #stopped = false;
  readonly #ended: Promise<void>;

  /** @param folder the kubelet's plugins_registry */
  constructor(folder: string) {
    this.#folder = folder;
    this.#ended = this.#watch();
  }

  get events(): readonly WatcherEvent[] {
    return this.#events;
  }

  /** The next event of this kind after the first `seen` events. Rejects after timeoutMs with what there was instead. */
  async next<Kind extends WatcherEvent['kind']>(kind: Kind, seen = 0, timeoutMs = 5_000): Promise<WatcherEvent & { kind: Kind }> {
    const deadlineMs = performance.now() + timeoutMs;
    for (;;) {
      const event = this.#events.slice(seen).find((each) => each.kind === kind);
      if (event !== undefined) return event as WatcherEvent & { kind: Kind };
      const leftMs = deadlineMs - performance.now();
      if (leftMs <= 0) throw new Error(`no plugin was ${kind} within ${timeoutMs} ms; events: ${JSON.stringify(this.#events)}`);
      await this.#anything(leftMs);
    }
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#wake();
    await this.#ended;
  }

  async #watch(): Promise<void> {
    while (!this.#stopped) {
      await this.#reconcile(socketsIn(this.#folder));
      await this.#anything(SCAN_MS);
    }
  }

  async #reconcile(sockets: ReadonlyMap<string, string>): Promise<void> {
    for (const [socket, { identity }] of this.#found) {
      if (sockets.get(socket) === identity) continue;
      this.#found.delete(socket);
      this.#tell({ kind: 'removed', socket });
    }
    for (const [socket, identity] of sockets) {
      const found = this.#found.get(socket) ?? { identity, failures: 0, retryAtMs: performance.now() };
      this.#found.set(socket, found);
      if (found.retryAtMs <= performance.now()) await this.#register(socket, found);
    }
  }

  async #register(socket: string, found: Found): Promise<void> {
    found.retryAtMs = Infinity;
    try {
      this.#tell({ kind: 'registered', socket, ...(await register(socket)) });
    } catch (error) {
      const backoffMs = Math.min(BACKOFF_MS * 2 ** found.failures++, BACKOFF_MS_MAX);
      if (!(error instanceof FinalRefusal)) found.retryAtMs = performance.now() + backoffMs;
      this.#tell({ kind: 'refused', socket, reason: (error as Error).message });
    }
  }

  #tell(event: WatcherEvent): void {
    this.#events.push(event);
    this.#wake();
  }

  #wake(): void {
    for (const wake of this.#waiting) wake();
  }

  async #anything(timeoutMs: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const done = (): void => {
        clearTimeout(alarm);
        this.#waiting.delete(done);
        resolve();
      };
      const alarm = setTimeout(done, timeoutMs);
      this.#waiting.add(done);
    });
  }
}

/** Names that begin with a dot, and what is no socket, are none of the kubelet's business. */
function socketsIn(folder: string): Map<string, string> {
  const paths = readdirSync(folder)
    .filter((name) => !name.startsWith('.'))
    .map((name) => join(folder, name));
  const stats = paths.map((path) => [path, statSync(path, { throwIfNoEntry: false })] as const);
  return new Map(stats.flatMap(([path, stat]) => (stat?.isSocket() === true ? [[path, identityOf(stat)]] : [])));
}

function identityOf({ ino, ctimeMs }: Stats): string {
  return `${ino} ${ctimeMs}`;
}

async function register(socket: string): Promise<{ info: PluginInfo; node: NodeGetInfoResponse }> {
  const plugin = new RpcClient(loadService('pluginregistration.proto', 'pluginregistration.Registration'), socket);
  try {
    const info = await plugin.call<PluginInfo>('GetInfo', {}, { timeoutMs: GET_INFO_MS });
    try {
      validate(info);
      const node = await nodeInfo(info.endpoint || socket);
      await notify(plugin, '');
      return { info, node };
    } catch (error) {
      await notify(plugin, (error as Error).message);
      throw error;
    }
  } finally {
    plugin.close();
  }
}

async function notify(plugin: RpcClient, error: string): Promise<void> {
  await plugin.call('NotifyRegistrationStatus', { pluginRegistered: error === '', error }, { timeoutMs: NOTIFY_MS });
}

function validate({ type, name, supportedVersions }: PluginInfo): void {
  if (type !== 'CSIPlugin') throw new Error(`registration of plugin type ${type} is not supported`);
  if (name === '') throw new Error('plugin validation failed: its name is empty');
  if (supportedVersions.length === 0) throw new Error('plugin validation failed: it supports no version');
  const malformed = supportedVersions.find((version) => !/^v?\d+\.\d+(\.\d+)?$/.test(version));
  if (malformed !== undefined) throw new Error(`plugin validation failed: ${malformed} is no version`);
  const isKnown = supportedVersions.some((version) => ['0', '1'].includes(version.replace(/^v/, '').split('.')[0]));
  if (!isKnown) throw new Error(`plugin validation failed: none of ${supportedVersions.join(', ')} is supported`);
}

/** @throws FinalRefusal */
async function nodeInfo(endpoint: string): Promise<NodeGetInfoResponse> {
  const csi = new RpcClient(loadService('csi.proto', 'csi.v1.Node'), endpoint);
  try {
    const node = await csi.call<NodeGetInfoResponse>('NodeGetInfo', {}, { timeoutMs: NODE_GET_INFO_MS });
    if (node.nodeId === '') throw new Error('the driver gives no node id');
    return node;
  } catch (error) {
    throw new FinalRefusal(`plugin registration failed: ${(error as Error).message}`);
  } finally {
    csi.close();
  }
}
