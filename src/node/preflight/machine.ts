import { failed, PASSED, warning, type Finding } from './finding.ts';

/** What can be read of the kernel and of this process. */
export interface MachineFacts {
  /** `6.12.48+deb13-amd64` */
  readonly release: string;
  /** The kernel's NBD driver is loaded, or built in. */
  readonly hasNbd: boolean;
  /** Its `max_part`; undefined where it is not known. */
  readonly nbdPartitions: number | undefined;
  readonly hasFuse: boolean;
  /** The kernel's own AoE initiator is loaded. */
  readonly hasKernelAoe: boolean;
  /** It may use any interface (its `aoe_iflist` is empty), or those named. */
  readonly kernelAoeInterfaces: readonly string[];
  readonly mayAdministrate: boolean;
}

/** The first kernel whose NBD devices can be taken up again by another process, and checked for whose they are. */
const KERNEL_MIN: readonly [number, number] = [5, 14];
/** Before, a device that has died with a timeout of 0 can't be removed. */
const KERNEL_GOOD: readonly [number, number] = [5, 19];

export function checkKernel({ release }: MachineFacts): Finding {
  const [, major, minor] = (/^(\d+)\.(\d+)/.exec(release) ?? []).map(Number);
  if (major === undefined || minor === undefined)
    return warning(`the kernel's release '${release}' is no number; 5.19 or newer is needed`);
  const isBefore = ([wantedMajor, wantedMinor]: readonly [number, number]): boolean =>
    major < wantedMajor || (major === wantedMajor && minor < wantedMinor);
  if (isBefore(KERNEL_MIN)) {
    return warning(
      `kernel ${release} can't keep nbd devices while the initiator restarts; 5.14 or newer is needed, 6.1 or newer is best`,
    );
  }
  return isBefore(KERNEL_GOOD)
    ? warning(`kernel ${release} can't always remove nbd devices that have died; 5.19 or newer can, 6.1 or newer is best`)
    : PASSED;
}

/** What the initiator says of the volumes that it will make. */
export interface BackendFacts {
  /** The backend that it has for them; '' for none, and of an initiator that does not tell. */
  readonly backend: string;
  /** Why that one, or why none. */
  readonly backendNote: string;
}

/** @param attach undefined while the initiator does not answer */
export function checkBackend({ hasNbd, nbdPartitions = 0, hasFuse }: MachineFacts, attach?: BackendFacts): Finding {
  const advice = 'on the host: modprobe nbd max_part=0 nbds_max=0, and a line for it in /etc/modules-load.d and /etc/modprobe.d';
  if (!hasNbd && !hasFuse)
    return failed(`no volume can become a device: neither the kernel's nbd module nor /dev/fuse is there; ${advice}`);
  const { backend = '', backendNote = '' } = attach ?? {};
  // Chosen where there is nothing better, or by name: pods can't have its sockets.
  if (backend === 'nbd-socket' || (backend === '' && backendNote !== '')) {
    const why = backendNote || 'the initiator makes sockets of them (--attach nbd-socket); start it with another --attach';
    return failed(`no volume can become a device: ${why}; ${advice}`);
  }
  if (!hasNbd) {
    return warning(`the kernel's nbd module is not loaded; with the initiator's other backends no device outlives it; ${advice}`);
  }
  if (nbdPartitions > 0) {
    return warning(
      `the kernel's nbd module has max_part=${nbdPartitions}, so that the kernel reads and shows the partitions that users make on ` +
        `their volumes; when no volume is used here, rmmod nbd, then ${advice}`,
    );
  }
  return PASSED;
}

/** @param interfaces that this node's initiator uses */
export function checkInitiators({ hasKernelAoe, kernelAoeInterfaces }: MachineFacts, interfaces: readonly string[]): Finding {
  if (!hasKernelAoe) return PASSED;
  const shared = kernelAoeInterfaces.length === 0 ? interfaces : interfaces.filter((name) => kernelAoeInterfaces.includes(name));
  if (shared.length === 0) return PASSED;
  return warning(
    `the kernel's own initiator (module aoe) uses ${shared.join(', ')}, too: it makes devices of the same targets, whose I/O from here no ` +
      'fence tells apart; rmmod aoe, and keep it from being loaded (blacklist aoe in /etc/modprobe.d)',
  );
}

export function checkPrivileges({ mayAdministrate }: MachineFacts): Finding {
  if (mayAdministrate) return PASSED;
  return failed('nothing can be mounted: the node plugin lacks CAP_SYS_ADMIN; run its container privileged');
}
