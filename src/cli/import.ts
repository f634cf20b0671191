import { Command, InvalidArgumentError, Option } from 'commander';
import { formatTargetAddress, type TargetAddress } from '../aoe/address.ts';
import { DEFAULT_DRIVER_NAME } from '../csi/driver-name.ts';
import { ACCESS_MODES, persistentVolume, VOLUME_MODES, type StaticVolume } from './persistent-volume.ts';
import { isVolumeError, VolumeError } from '../volumes/errors.ts';
import { findImportable } from '../volumes/importable.ts';
import { readAttributes } from '../volumes/parameters.ts';
import { CommandFailure, EXIT_USAGE } from './exit-codes.ts';
import { storeOption, withExistingStore } from './open-store.ts';
import { parseTarget } from './options.ts';

interface Options {
  readonly store: string;
  readonly driverName: string;
  readonly name?: string;
  readonly accessMode: readonly StaticVolume['accessModes'][number][];
  readonly volumeMode: StaticVolume['volumeMode'];
  readonly class: string;
  readonly fsType: string;
  readonly attribute: Readonly<Record<string, string>>;
  readonly claim: boolean;
  readonly pvc?: NonNullable<StaticVolume['claimant']>;
}

/** As the API server names objects and namespaces. */
const OBJECT_NAME = /^[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?$/;

const HELP = `
Writes YAML to standard output, and changes nothing. The target is used as it is: it is neither formatted nor wiped. With --claim
it is marked as taken when a pod uses it first; without, a new volume may be placed on it while no pod does, unless no
StorageClass allows its shelf or slot.

Examples:
  aoe-csi import e10.3 --store kubernetes --claim | kubectl apply -f -
  aoe-csi import e10.3 --store kubernetes --pvc web/data --fs-type xfs --attribute deadSeconds=600
  kubectl exec -n aoe-csi deploy/aoe-csi-controller -c controller -- aoe-csi import e10.3 --claim

Exit codes:
  0  written
  1  failed: no node sees the target, or there is no such store
  2  wrong usage
  5  it is somebody else's, or a volume's`;

/** `aoe-csi import e10.3`: a target that holds data already becomes a PersistentVolume. */
export function importCommand(): Command {
  return new Command('import')
    .description('write the PersistentVolume of a target that holds data already (a static volume)')
    .argument('<target>', 'address of the target, e<shelf>.<slot>', parseTarget)
    .addOption(storeOption())
    .addOption(
      new Option('--driver-name <name>', "the driver's name in CSI").env('AOE_CSI_DRIVER_NAME').default(DEFAULT_DRIVER_NAME),
    )
    .addOption(new Option('--name <name>', 'of the PersistentVolume (default: aoe- and the address)').argParser(parseName))
    .addOption(new Option('--access-mode <mode...>', 'how pods may use it').choices(ACCESS_MODES).default(['ReadWriteOnce']))
    .addOption(
      new Option('--volume-mode <mode>', 'a file system, or the bare device').choices(VOLUME_MODES).default('Filesystem'),
    )
    .addOption(new Option('--class <name>', 'its storageClassName').default('', 'none'))
    .addOption(new Option('--fs-type <type>', 'file system that must be on it').default('', 'whatever is on it'))
    .addOption(
      new Option('--attribute <name=value>', 'a parameter of docs/storage-class.md; may be given several times')
        .argParser(collectAttributes)
        .default({}, 'none'),
    )
    .addOption(new Option('--claim', 'claim the target with the first use: attribute claim=yes').default(false))
    .addOption(new Option('--pvc <namespace/name>', 'the PersistentVolumeClaim that alone may have it').argParser(parseClaimant))
    .addHelpText('after', HELP)
    .action(run);
}

async function run({ shelf, slot }: TargetAddress, options: Options): Promise<void> {
  const address = formatTargetAddress(shelf, slot);
  const attributes = checked({ ...options.attribute, ...(options.claim ? { claim: 'yes' } : {}) }, options);
  await withExistingStore({ store: options.store }, async (store) => {
    const { target, places } = await findImportable(store, address);
    const volume = persistentVolume({
      name: options.name ?? `aoe-${address}`,
      driverName: options.driverName,
      address,
      sizeBytes: target.identity.sizeBytes,
      accessModes: options.accessMode,
      volumeMode: options.volumeMode,
      className: options.class,
      fsType: options.volumeMode === 'Block' ? '' : options.fsType,
      attributes,
      claimant: options.pvc,
      places,
    });
    // Half a second on a quick machine: only for those who need it.
    const { dumpYaml } = await import('../kubernetes/yaml.ts');
    process.stdout.write(dumpYaml(volume));
    if (attributes['claim'] !== 'yes' && target.state !== 'Static') {
      console.error(`${address}: not claimed; keep it out of the StorageClasses (shelves, slots), or import it with --claim`);
    }
  });
}

/** Only what was given: what is left out gets its default whenever the volume is used. */
function checked(given: Readonly<Record<string, string>>, { fsType, accessMode }: Options): Readonly<Record<string, string>> {
  try {
    const fileSystem = fsType === '' ? {} : { 'csi.storage.k8s.io/fstype': fsType };
    const all = readAttributes({ ...given, ...fileSystem });
    if (accessMode.includes('ReadOnlyMany') && accessMode.length > 1) {
      throw new VolumeError(
        'invalid-argument',
        'a volume that is read by many nodes is written by none: give ReadOnlyMany alone',
      );
    }
    return Object.fromEntries(Object.keys(given).map((name) => [name, all[name] ?? '']));
  } catch (error) {
    if (!isVolumeError(error)) throw error;
    throw new CommandFailure(EXIT_USAGE, error.message);
  }
}

function collectAttributes(text: string, before: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const equals = text.indexOf('=');
  if (equals < 1) throw new InvalidArgumentError('Give name=value, for example deadSeconds=600.');
  return { ...before, [text.slice(0, equals)]: text.slice(equals + 1) };
}

function parseName(text: string): string {
  if (OBJECT_NAME.test(text)) return text;
  throw new InvalidArgumentError('Give lower-case letters, digits, - and ., as Kubernetes names objects.');
}

function parseClaimant(text: string): NonNullable<Options['pvc']> {
  const [namespace = '', name = '', more] = text.split('/');
  if (more === undefined && OBJECT_NAME.test(namespace) && OBJECT_NAME.test(name)) return { namespace, name };
  throw new InvalidArgumentError('Give namespace/name of a PersistentVolumeClaim.');
}
