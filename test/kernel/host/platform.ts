import { repositoryRoot } from '../../support/repository.ts';

/** What guests with one kind of processor are made of. */
export interface Platform {
  /** QEMU, with its words for the machine. */
  readonly qemu: readonly string[];
  readonly console: string;
  /** More words for the kernel. */
  readonly kernelWords: string;
  /** The folder that becomes the guest's files. */
  readonly root: string;
  /** A static one, for the guest's processor. */
  readonly busybox: string;
  /** As the guest sees it. */
  readonly node: string;
  /** Where the guest has the repository. Below `root` already, or put there. */
  readonly repository: string;
  readonly isRepositoryPutThere: boolean;
}

const HERE = repositoryRoot.replace(/\/$/, '');

/** The guest shares this machine's files, and runs its programs. */
export function x64(qemu: readonly string[]): Platform {
  return {
    // String instructions are emulated a step at a time: without them memory is cleared and copied two to four times faster.
    qemu: [...qemu, '-cpu', 'max,-erms,-fsrm'],
    console: 'ttyS0',
    // A busy host keeps the emulated timer from ticking while the kernel looks whether it does.
    kernelWords: 'no_timer_check clearcpuid=rep_good',
    root: '/',
    busybox: '/bin/busybox',
    node: process.execPath,
    repository: HERE,
    isRepositoryPutThere: false,
  };
}

/** The guest has files of its own: arm64-root.ts. */
export function arm64(root: string): Platform {
  return {
    // Pointer authentication is emulated at great length, else.
    qemu: ['qemu-system-aarch64', '-machine', 'virt', '-cpu', 'max,pauth-impdef=on'],
    console: 'ttyAMA0',
    kernelWords: '',
    root,
    busybox: `${root}/bin/busybox`,
    node: '/usr/local/bin/node',
    repository: '/repository',
    isRepositoryPutThere: true,
  };
}
