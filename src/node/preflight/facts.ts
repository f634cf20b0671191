import { existsSync, readFileSync } from 'node:fs';
import { CAP_SYS_ADMIN, hasCapability } from '../../system/capabilities.ts';
import { mountTable } from '../kernel/mount-table.ts';
import type { KubeletFacts } from './kubelet.ts';
import type { MachineFacts } from './machine.ts';

/** What the kernel shows of itself and of this process, now. */
export function machineFacts(): MachineFacts {
  return {
    release: read('/proc/sys/kernel/osrelease') ?? '',
    hasNbd: existsSync('/sys/module/nbd'),
    nbdPartitions: numberIn('/sys/module/nbd/parameters/max_part'),
    hasFuse: existsSync('/dev/fuse'),
    hasKernelAoe: existsSync('/sys/module/aoe'),
    kernelAoeInterfaces: (read('/sys/module/aoe/parameters/aoe_iflist') ?? '').split(/[\s,]+/).filter((name) => name !== ''),
    mayAdministrate: hasCapability(CAP_SYS_ADMIN),
  };
}

/** @param folder the kubelet's; undefined without a kubelet */
export async function kubeletFacts(folder: string | undefined): Promise<KubeletFacts | undefined> {
  return folder === undefined ? undefined : { folder, isThere: existsSync(folder), mounts: await mountTable() };
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').replaceAll('\0', '').trim();
  } catch {
    return undefined;
  }
}

function numberIn(path: string): number | undefined {
  const number = Number.parseInt(read(path) ?? '', 10);
  return Number.isNaN(number) ? undefined : number;
}
