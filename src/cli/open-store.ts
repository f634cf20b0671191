import { existsSync } from 'node:fs';
import { Option } from 'commander';
import { DirectoryStore } from '../embedded/directory-store.ts';
import { isVolumeError } from '../volumes/errors.ts';
import type { Store } from '../volumes/store.ts';
import { CommandFailure, EXIT_BUSY, EXIT_FAILED, EXIT_USAGE } from './exit-codes.ts';

const KUBERNETES = 'kubernetes';
/** A label of DNS, as namespaces are named. */
const NAMESPACE = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;

interface StoreOptions {
  /** Left out by those who only look. */
  readonly clusterId?: string;
  readonly onProblem?: (message: string) => void;
  /** For who lists the nodes all the time (KubernetesStoreOptions). */
  readonly remembersNodes?: boolean;
}

/** What a command has been told of it. */
interface StorePlace {
  readonly store: string;
  readonly clusterId?: string;
}

export function storeOption(): Option {
  return new Option(
    '--store <place>',
    'where controllers and nodes keep the inventory: a folder that all processes share, `kubernetes`, or `kubernetes:NAMESPACE`',
  )
    .env('AOE_CSI_STORE')
    .makeOptionMandatory();
}

/**
 * Opens what `--store` names: a folder, which is made where there is none, or the API server. A folder of the name `kubernetes` is
 * `./kubernetes`.
 */
export async function openStore(place: string, options: StoreOptions): Promise<Store> {
  const namespace = namespaceOf(place);
  if (namespace === undefined) return DirectoryStore.open(place, options);
  // Half a second on a quick machine: only for those who need it.
  const { KubernetesStore } = await import('../kubernetes/kubernetes-store.ts');
  return KubernetesStore.open({ ...options, ...(namespace === '' ? {} : { namespace }) });
}

/** The same for those who change something that must be there already: a name with a slip in it would be a new and empty store. */
export async function openExistingStore(place: string, clusterId?: string): Promise<Store> {
  if (namespaceOf(place) === undefined && !existsSync(place)) {
    throw new CommandFailure(EXIT_FAILED, `there is no store in ${place}; name that of controller and node`);
  }
  return openStore(place, clusterId === undefined ? {} : { clusterId });
}

/**
 * Works with such a store, and closes it.
 * @throws CommandFailure for an error of the store: busy (5) where something must be changed first, else failed (1)
 */
export async function withExistingStore(
  { store: place, clusterId }: StorePlace,
  work: (store: Store) => Promise<void>,
): Promise<void> {
  const store = await openExistingStore(place, clusterId);
  try {
    await work(store);
  } catch (error) {
    if (!isVolumeError(error)) throw error;
    throw new CommandFailure(error.code === 'failed-precondition' ? EXIT_BUSY : EXIT_FAILED, error.message);
  } finally {
    await store.close();
  }
}

/** Undefined for a folder; empty for the API server without a namespace. */
function namespaceOf(place: string): string | undefined {
  if (place === KUBERNETES) return '';
  if (!place.startsWith(`${KUBERNETES}:`)) return undefined;
  const namespace = place.slice(KUBERNETES.length + 1);
  if (NAMESPACE.test(namespace)) return namespace;
  throw new CommandFailure(
    EXIT_USAGE,
    `cannot use '${place}' as --store: '${namespace}' is no name of a namespace; for a folder of this name, give ./${place}`,
  );
}
