/**
 * What `npm run <job>` does.
 *
 * Each job: `debianPackages(args)` that it needs, whether it `runsWithoutPackages`, whether to `build` first, and the `commands(args)`
 * to run one after the other until one fails.
 */

import { readFileSync } from 'node:fs';

const DEMO_PACKAGES = ['iproute2', 'e2fsprogs', 'util-linux', 'mount', 'libnbd-bin'];
/** Compiler and headers of the architecture that this machine is not: structure layouts are checked for both. */
const CROSS_COMPILER =
  process.arch === 'x64' ? ['gcc-aarch64-linux-gnu', 'libc6-dev-arm64-cross'] : ['gcc-x86-64-linux-gnu', 'libc6-dev-amd64-cross'];
const TEST_PACKAGES = [
  ...DEMO_PACKAGES,
  'vblade',
  'fio',
  'nbdkit',
  'tgt',
  'qemu-utils',
  'qemu-block-extra',
  'tshark',
  'strace',
  'xfsprogs',
  'btrfs-progs',
  'fdisk',
  'gcc',
  'libc6-dev',
  ...CROSS_COMPILER,
];

/** What boots a guest and fills its first files. */
const GUEST_PACKAGES = ['qemu-system-x86', 'busybox-static', 'cpio', 'kmod', 'nbd-client'];

/** And one with another processor, whose Debian is made here. */
const ARM64_GUEST_PACKAGES = ['qemu-system-arm', 'mmdebstrap'];

/** What a cluster is made of, beside what is built from Go modules (Go itself is not installed). */
const CLUSTER_PACKAGES = [
  ...DEMO_PACKAGES,
  'etcd-server',
  'openssl',
  'vblade',
  'containerd',
  'runc',
  'containernetworking-plugins',
  'iptables',
  'conntrack',
  'ethtool',
  'buildah',
  'mmdebstrap',
  'busybox-static',
  // For an image with another processor's programs; mmdebstrap asks the second whether they run here.
  'qemu-user-static',
  'arch-test',
  // For nodes that are guests.
  'qemu-system-x86',
  'qemu-utils',
  'cpio',
  'kmod',
];

/** What builds images without a daemon and without a registry. */
const IMAGE_PACKAGES = ['buildah', 'mmdebstrap'];

const nothing = () => [];
const node = (...args) => ({ file: 'node', args });
const binary = (name, ...args) => node(`node_modules/.bin/${name}`, ...args);

const BUNDLE = node('tools/bundle.js');

/** Jest has no other way to load ES modules; the warning about it says nothing new. */
const JEST_ENVIRONMENT = { NODE_OPTIONS: '--experimental-vm-modules --disable-warning=ExperimentalWarning' };

function demoPackages(args) {
  const target = valueOf('target', args) === 'vblade' ? ['vblade'] : [];
  // Its volume is XFS where ext4 can't grow: src/demo/file-system.ts.
  return [...DEMO_PACKAGES, ...target, ...(hasResourceCapability() ? [] : ['xfsprogs'])];
}

/** CAP_SYS_RESOURCE, capabilities(7). */
function hasResourceCapability() {
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0';
  return ((BigInt(`0x${effective}`) >> 24n) & 1n) === 1n;
}

export const JOBS = {
  build: { debianPackages: nothing, build: true, commands: nothing },

  bundle: { debianPackages: nothing, build: true, commands: () => [BUNDLE] },

  image: {
    debianPackages: () => IMAGE_PACKAGES,
    build: true,
    commands: (args) => [BUNDLE, node('tools/image.js', ...args)],
  },

  test: {
    debianPackages: () => TEST_PACKAGES,
    runsWithoutPackages: true,
    build: true,
    // Formatting, linting and the house rules are tests too: test/tidy/.
    commands: (args) => [{ ...node('node_modules/jest/bin/jest.js', ...args), environment: JEST_ENVIRONMENT }],
  },

  'test:cluster': {
    debianPackages: () => CLUSTER_PACKAGES,
    build: true,
    // `--all`: also what takes long. jest has an option of this name, which means something else.
    commands: (args) => [
      {
        ...node(
          'node_modules/jest/bin/jest.js',
          '--config',
          'jest.cluster.config.js',
          ...args.filter((word) => word !== '--all'),
        ),
        environment: { ...JEST_ENVIRONMENT, ...(args.includes('--all') ? { AOE_CSI_CLUSTER: 'all' } : {}) },
      },
    ],
  },

  'test:kernel': {
    debianPackages: (args) => [
      ...TEST_PACKAGES,
      ...GUEST_PACKAGES,
      ...(valueOf('arch', args) === 'arm64' ? ARM64_GUEST_PACKAGES : []),
    ],
    build: true,
    // What runs in guests is the program as it is shipped: a start takes seconds there.
    commands: (args) => [BUNDLE, node('dist/test/kernel/host/main.js', ...args)],
  },

  demo: {
    debianPackages: demoPackages,
    build: true,
    commands: (args) => [node('dist/src/main.js', 'demo', ...args)],
  },

  'aoe-csi': { debianPackages: nothing, build: true, commands: (args) => [node('dist/src/main.js', ...args)] },

  simulate: {
    debianPackages: nothing,
    build: true,
    commands: (args) => [node('dist/test/simulation/simulate.js', ...args)],
  },

  bench: {
    debianPackages: () => TEST_PACKAGES,
    build: true,
    commands: (args) => [...(args.includes('start') ? [BUNDLE] : []), node('dist/bench/main.js', ...args)],
  },

  lint: { debianPackages: nothing, build: false, commands: (args) => [binary('oxlint', '--type-aware', ...args)] },
  format: { debianPackages: nothing, build: false, commands: (args) => [binary('prettier', '--write', ...filesOrAll(args))] },
  'format:check': {
    debianPackages: nothing,
    build: false,
    commands: (args) => [binary('prettier', '--check', ...filesOrAll(args))],
  },
};

/** The value of `--NAME X` or `--NAME=X`. */
function valueOf(name, args) {
  const index = args.findIndex((argument) => argument === `--${name}` || argument.startsWith(`--${name}=`));
  if (index < 0) return undefined;
  return args[index].includes('=') ? args[index].slice(`--${name}=`.length) : args[index + 1];
}

function filesOrAll(args) {
  return args.length > 0 ? args : ['.'];
}
