import { spawnSync } from 'node:child_process';
import { expect, test } from '@jest/globals';
import * as constants from '../../src/system/constants.ts';
import * as errnos from '../../src/system/errno.ts';
import * as nbdConstants from '../../src/system/nbd-netlink-constants.ts';
import * as structs from '../../src/system/structs.ts';
import { command, describeIf } from '../support/requires.ts';

/** Our numbers on the left, what C calls them on the right. */
const STRUCTURES: readonly (readonly [ours: string, theirs: string])[] = [
  ...structure('IOVEC', 'struct iovec', { BASE: 'iov_base', LEN: 'iov_len' }),
  ...structure('MSGHDR', 'struct msghdr', {
    ...{ NAME: 'msg_name', NAMELEN: 'msg_namelen', IOV: 'msg_iov', IOVLEN: 'msg_iovlen' },
    ...{ CONTROL: 'msg_control', CONTROLLEN: 'msg_controllen', FLAGS: 'msg_flags' },
  }),
  ...structure('MMSGHDR', 'struct mmsghdr', { LEN: 'msg_len' }),
  ...structure('CMSGHDR', 'struct cmsghdr', { LEN: 'cmsg_len', LEVEL: 'cmsg_level', TYPE: 'cmsg_type' }),
  ...structure('SOCKADDR_LL', 'struct sockaddr_ll', { FAMILY: 'sll_family', PROTOCOL: 'sll_protocol', IFINDEX: 'sll_ifindex' }),
  ...structure('SOCKADDR_UN', 'struct sockaddr_un', { FAMILY: 'sun_family', PATH: 'sun_path' }),
  ['SOCKADDR_UN_PATH_BYTES', 'sizeof(((struct sockaddr_un *)0)->sun_path)'],
  ...structure('SOCKADDR_NL', 'struct sockaddr_nl', { FAMILY: 'nl_family', PID: 'nl_pid', GROUPS: 'nl_groups' }),
  ...structure('SOCK_FPROG', 'struct sock_fprog', { LEN: 'len', FILTER: 'filter' }),
  ...structure('SOCK_FILTER', 'struct sock_filter', { CODE: 'code', JT: 'jt', JF: 'jf', K: 'k' }),
  ...structure('TPACKET_STATS', 'struct tpacket_stats', { PACKETS: 'tp_packets', DROPS: 'tp_drops' }),
  ...structure('NLMSGHDR', 'struct nlmsghdr', {
    ...{ LEN: 'nlmsg_len', TYPE: 'nlmsg_type', FLAGS: 'nlmsg_flags', SEQ: 'nlmsg_seq', PID: 'nlmsg_pid' },
  }),
  ...structure('IFINFOMSG', 'struct ifinfomsg', {
    FAMILY: 'ifi_family',
    TYPE: 'ifi_type',
    INDEX: 'ifi_index',
    FLAGS: 'ifi_flags',
  }),
  ...structure('NLATTR', 'struct nlattr', { LEN: 'nla_len', TYPE: 'nla_type' }),
  ...structure('NLMSGERR', 'struct nlmsgerr', { ERROR: 'error', MSG: 'msg' }),
  ...structure('POLLFD', 'struct pollfd', { FD: 'fd', EVENTS: 'events', REVENTS: 'revents' }),
  ...structure('GENLMSGHDR', 'struct genlmsghdr', { CMD: 'cmd', VERSION: 'version' }),
];

/** The numbers of structs.ts by name. */
const numbers = new Map(Object.entries(structs).flatMap(([name, value]) => (typeof value === 'number' ? [[name, value]] : [])));

test('every number of structs.ts is compared with the C headers', () => {
  expect(STRUCTURES.map(([ours]) => ours).toSorted()).toEqual([...numbers.keys()].toSorted());
});

/** Constants whose C name is another than ours; undefined where the user headers have none. */
const C_NAMES: Readonly<Record<string, string | undefined>> = {
  SCM_MAX_FD: undefined,
  NLA_TYPE_MASK: 'NLA_TYPE_MASK & 0xffff',
  BPF_LD_WORD_ABSOLUTE: 'BPF_LD | BPF_W | BPF_ABS',
  BPF_LD_HALF_ABSOLUTE: 'BPF_LD | BPF_H | BPF_ABS',
  BPF_LD_BYTE_ABSOLUTE: 'BPF_LD | BPF_B | BPF_ABS',
  BPF_LD_LENGTH: 'BPF_LD | BPF_W | BPF_LEN',
  BPF_SHIFT_RIGHT: 'BPF_ALU | BPF_RSH | BPF_K',
  BPF_JUMP_EQUAL: 'BPF_JMP | BPF_JEQ | BPF_K',
  BPF_JUMP_GREATER_OR_EQUAL: 'BPF_JMP | BPF_JGE | BPF_K',
  BPF_JUMP_BITS_SET: 'BPF_JMP | BPF_JSET | BPF_K',
  BPF_RETURN: 'BPF_RET | BPF_K',
  SKF_AD_PACKET_TYPE: '(unsigned)(SKF_AD_OFF + SKF_AD_PKTTYPE)',
  SKF_AD_INTERFACE_INDEX: '(unsigned)(SKF_AD_OFF + SKF_AD_IFINDEX)',
};

const HEADERS = [
  'sys/socket.h sys/un.h sys/epoll.h sys/eventfd.h sys/mman.h sys/file.h sys/ioctl.h errno.h stddef.h fcntl.h net/if.h net/if_arp.h',
  'linux/falloc.h linux/fs.h linux/filter.h linux/if_packet.h linux/if_link.h linux/netlink.h linux/rtnetlink.h',
  'linux/genetlink.h linux/nbd.h linux/nbd-netlink.h linux/prctl.h poll.h sys/wait.h',
].flatMap((line) => line.split(' '));

const COMPILERS = [
  {
    architecture: 'x64',
    compiler: process.arch === 'x64' ? 'gcc' : 'x86_64-linux-gnu-gcc',
    debianPackage: 'gcc-x86-64-linux-gnu',
  },
  {
    architecture: 'arm64',
    compiler: process.arch === 'arm64' ? 'gcc' : 'aarch64-linux-gnu-gcc',
    debianPackage: 'gcc-aarch64-linux-gnu',
  },
] as const;

for (const { architecture, compiler, debianPackage } of COMPILERS) {
  const requirements = [command(compiler, compiler === 'gcc' ? 'gcc' : debianPackage)];
  describeIf(requirements, `system numbers on ${architecture}`, () => {
    test('structs.ts has the sizes and offsets of the C headers', () => {
      const epoll = structs.EPOLL_EVENT_LAYOUTS[architecture];
      const errors = compile(compiler, [
        ...STRUCTURES.map(([ours, theirs]) => ({ name: ours, value: numbers.get(ours) ?? NaN, expression: theirs })),
        { name: 'epoll_event', value: epoll.bytes, expression: 'sizeof(struct epoll_event)' },
        { name: 'epoll_event.events', value: epoll.events, expression: 'offsetof(struct epoll_event, events)' },
        { name: 'epoll_event.data', value: epoll.data, expression: 'offsetof(struct epoll_event, data)' },
      ]);
      expect(errors).toEqual([]);
    });

    test('constants.ts has the values of the C headers', () => {
      const known = Object.entries({ ...constants, ...nbdConstants }).map(([name, value]) => ({
        name,
        value,
        expression: name in C_NAMES ? C_NAMES[name] : name,
      }));
      expect(compile(compiler, known)).toEqual([]);
    });

    test('errnoName() knows every number by its C name', () => {
      const all = Array.from({ length: errnos.ERRNO_MAX }, (_, index) => index + 1);
      const named = all.map((value) => ({ name: errnos.errnoName(value), value })).filter(({ name }) => name.startsWith('E'));
      const exported = Object.entries(errnos).flatMap(([name, value]) =>
        /^E[A-Z]/.test(name) && name !== 'ERRNO_MAX' && typeof value === 'number' ? [{ name, value }] : [],
      );
      expect(
        compile(
          compiler,
          [...named, ...exported].map((one) => ({ ...one, expression: one.name })),
        ),
      ).toEqual([]);
    });
  });
}

interface Check {
  readonly name: string;
  readonly value: number;
  readonly expression: string | undefined;
}

/** Has the compiler compare each value, and returns its complaints. Nothing is run, so that a cross compiler will do. */
function compile(compiler: string, checks: readonly Check[]): string[] {
  const source = [
    '#define _GNU_SOURCE',
    ...HEADERS.map((header) => `#include <${header}>`),
    ...checks
      .filter((check) => check.expression !== undefined)
      .map(({ name, value, expression }) => `_Static_assert((${expression}) == ${value}, "${name} is not ${value}");`),
  ];
  const { stderr } = spawnSync(compiler, ['-fsyntax-only', '-x', 'c', '-'], { input: source.join('\n'), encoding: 'utf8' });
  return stderr.split('\n').filter((line) => line.includes('error:'));
}

/** `PREFIX_BYTES` is its size, `PREFIX_FIELD` the offset of a member. */
function structure(prefix: string, type: string, members: Record<string, string>): [string, string][] {
  return [
    [`${prefix}_BYTES`, `sizeof(${type})`],
    ...Object.entries(members).map(([field, member]): [string, string] => [`${prefix}_${field}`, `offsetof(${type}, ${member})`]),
  ];
}
