/**
 * What never happens in a watched tree, whatever its rules: calls that get around the filter or its supervisor, or reach what no rule
 * could judge. They fail at once, as they do in most containers; so programs know how to do without.
 */
import { constants } from 'node:os';
import type { FilterRule } from './filter.ts';
import type { CallName } from './syscalls.ts';

export interface NeverOptions {
  /** Process group of whoever watches. Absent: not known. */
  readonly wardenGroup?: number;
}

const { EPERM, ENOSYS, EPROTONOSUPPORT, EAFNOSUPPORT } = constants.errno;
/** New user or mount namespace: paths would no longer mean what they mean to us. */
const CLONE_NEWNS = 0x0002_0000;
const CLONE_NEWUSER = 0x1000_0000;
const FILE_TYPE = 0o170000;
const CHARACTER_DEVICE = 0o020000;
const BLOCK_DEVICE = 0o060000;
const AF_INET = 2;
const AF_INET6 = 10;
/** Unix, IPv4, IPv6, netlink, and the kernel's own cryptography. */
const FAMILIES_KNOWN = [1, AF_INET, AF_INET6, 16, 38] as const;
const SOCKET_TYPE = 0xf;
const SOCK_SEQPACKET = 5;
const AF_PACKET = 17;
const AF_VSOCK = 40;
const AF_XDP = 44;
const IPPROTO_SCTP = 132;
const PR_SET_DUMPABLE = 4;
const PR_SET_MM = 35;
const F_SETOWN_EX = 15;
const TIOCSTI = 0x5412;
const TIOCLINUX = 0x541c;
const TIOCSETD = 0x5423;
const TCXONC = 0x540a;
const TCOOFF = 0;
const FIOSETOWN = 0x8901;
const SIOCSPGRP = 0x8902;
const USERFAULTFD_IOC_NEW = 0xaa00;
/** Of btrfs, which whoever owns a subvolume may use: `SNAP_CREATE`, `SNAP_CREATE_V2`, `SNAP_DESTROY`, `SNAP_DESTROY_V2`. */
const BTRFS_SNAPSHOTS = [0x5000_9401, 0x5000_9417, 0x5000_940f, 0x5000_943f] as const;

export function neverRules({ wardenGroup }: NeverOptions): readonly FilterRule[] {
  return [...aroundTheFilter(), ...namespaces(), ...atTheWarden(wardenGroup), ...withoutAPath(), ...withoutConnect(), ...ofTheSystem()];
}

function fails(errno: number, ...calls: readonly CallName[]): readonly FilterRule[] {
  return calls.map((call) => ({ call, does: errno }));
}

function aroundTheFilter(): readonly FilterRule[] {
  return [
    // Opens, connects and unlinks without a system call of those names.
    ...fails(ENOSYS, 'io_uring_setup', 'io_uring_enter', 'io_uring_register'),
    // Its flags lie in memory, where no filter sees them. C libraries then use `clone`, as they do in containers.
    ...fails(ENOSYS, 'clone3'),
    // A page that the tree fills when it likes would keep us waiting where we read it.
    ...fails(EPERM, 'userfaultfd'),
    { call: 'ioctl', when: [{ arg: 1, is: 'equal', value: USERFAULTFD_IOC_NEW }], does: EPERM },
    // Memory that cannot be read any more: all that it calls from then on would have to be refused.
    {
      call: 'prctl',
      when: [
        { arg: 0, is: 'equal', value: PR_SET_DUMPABLE },
        { arg: 1, is: 'equal', value: 0 },
      ],
      does: EPERM,
    },
    // Another program, arguments and environment than those it was started with, for whoever reads /proc.
    { call: 'prctl', when: [{ arg: 0, is: 'equal', value: PR_SET_MM }], does: EPERM },
  ];
}

function namespaces(): readonly FilterRule[] {
  const when = [{ arg: 0, mask: CLONE_NEWUSER | CLONE_NEWNS, is: 'not', value: 0 }] as const;
  return [
    { call: 'clone', when, does: EPERM },
    { call: 'unshare', when, does: EPERM },
    ...fails(EPERM, 'setns', 'mount', 'umount2', 'pivot_root', 'chroot', 'open_tree', 'open_tree_attr', 'move_mount'),
    ...fails(EPERM, 'fsopen', 'fsconfig', 'fsmount', 'fspick', 'mount_setattr'),
  ];
}

function atTheWarden(group: number | undefined): readonly FilterRule[] {
  return [
    // Types into our terminal: the answer to our own question, for one.
    { call: 'ioctl', when: [{ arg: 1, is: 'equal', value: TIOCSTI }], does: EPERM },
    { call: 'ioctl', when: [{ arg: 1, is: 'equal', value: TIOCLINUX }], does: EPERM },
    // What is written to our terminal would keep us waiting, or fail: the question, for one.
    {
      call: 'ioctl',
      when: [
        { arg: 1, is: 'equal', value: TCXONC },
        { arg: 2, is: 'equal', value: TCOOFF },
      ],
      does: EPERM,
    },
    { call: 'ioctl', when: [{ arg: 1, is: 'equal', value: TIOCSETD }], does: EPERM },
    // Whoever is sent SIGIO, or another signal, stands in memory.
    { call: 'ioctl', when: [{ arg: 1, is: 'equal', value: FIOSETOWN }], does: EPERM },
    { call: 'ioctl', when: [{ arg: 1, is: 'equal', value: SIOCSPGRP }], does: EPERM },
    { call: 'fcntl', when: [{ arg: 1, is: 'equal', value: F_SETOWN_EX }], does: EPERM },
    ...fails(EPERM, 'process_madvise', 'process_mrelease'),
    { call: 'migrate_pages', when: [{ arg: 0, is: 'not', value: 0 }], does: EPERM },
    { call: 'move_pages', when: [{ arg: 0, is: 'not', value: 0 }], does: EPERM },
    // A second thread could move its process there between our look at its group and its signal to that group.
    ...(group === undefined ? [] : [{ call: 'setpgid', when: [{ arg: 1, is: 'equal', value: group }], does: EPERM } as const]),
  ];
}

/** Files without a path that could be judged. */
function withoutAPath(): readonly FilterRule[] {
  return [
    ...fails(EPERM, 'open_by_handle_at', 'fanotify_init'),
    // The whole disk under a name of its own.
    ...[CHARACTER_DEVICE, BLOCK_DEVICE].flatMap((value): readonly FilterRule[] => [
      { call: 'mknod', when: [{ arg: 1, mask: FILE_TYPE, is: 'equal', value }], does: EPERM },
      { call: 'mknodat', when: [{ arg: 2, mask: FILE_TYPE, is: 'equal', value }], does: EPERM },
    ]),
    // A whole tree of files under names nobody judged, or gone without a call that deletes one.
    ...BTRFS_SNAPSHOTS.map((value): FilterRule => ({ call: 'ioctl', when: [{ arg: 1, is: 'equal', value }], does: EPERM })),
    // Secrets of the session that are no files.
    ...fails(EPERM, 'keyctl', 'add_key', 'request_key'),
  ];
}

/** Ways out that need no `connect`, or one that says nothing to us. */
function withoutConnect(): readonly FilterRule[] {
  return [
    ...[AF_PACKET, AF_VSOCK, AF_XDP].map((value): FilterRule => ({ call: 'socket', when: [{ arg: 0, is: 'equal', value }], does: EPERM })),
    // Connects by an option of the socket.
    ...[AF_INET, AF_INET6].map(
      (family): FilterRule => ({
        call: 'socket',
        when: [
          { arg: 0, is: 'equal', value: family },
          { arg: 1, mask: SOCKET_TYPE, is: 'equal', value: SOCK_SEQPACKET },
        ],
        does: EPROTONOSUPPORT,
      }),
    ),
    { call: 'socket', when: [{ arg: 2, is: 'equal', value: IPPROTO_SCTP }], does: EPROTONOSUPPORT },
    // Addresses that nobody here can read, and so no rule could judge: Bluetooth, TIPC, CAN and whatever else there is.
    { call: 'socket', when: FAMILIES_KNOWN.map((value) => ({ arg: 0, is: 'not', value })), does: EAFNOSUPPORT },
  ];
}

/** Of root's: the system itself is changed by them, and with it all that is promised here. */
function ofTheSystem(): readonly FilterRule[] {
  return [
    ...fails(EPERM, 'bpf', 'init_module', 'finit_module', 'delete_module', 'kexec_load', 'kexec_file_load', 'reboot'),
    // Rules count within times, and records say when.
    ...fails(EPERM, 'clock_settime', 'settimeofday'),
    ...fails(EPERM, 'swapon', 'swapoff', 'acct', 'vhangup', 'quotactl', 'quotactl_fd', 'iopl', 'ioperm'),
  ];
}
