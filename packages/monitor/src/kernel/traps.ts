/** Which calls of a watched tree wait for the supervisor, and which never happen there. */
import { constants } from 'node:os';
import type { ArgTest, FilterRule } from './filter.ts';
import type { CallName } from './syscalls.ts';

/** `off`: opens for reading pass. `deny-list`: they are judged, then go on by themselves. `broker`: the supervisor opens. */
export const TRAP_READS = ['off', 'deny-list', 'broker'] as const;
export type TrapReads = (typeof TRAP_READS)[number];

export interface TrapOptions {
  readonly trapReads: TrapReads;
  /** Whoever watches: no signal and no reach into its memory from inside. */
  readonly warden: number;
  /** A sandbox is set up inside of the tree: namespaces and mounts pass. */
  readonly allowNamespaces?: boolean;
}

const { EPERM, ENOSYS, EOPNOTSUPP } = constants.errno;
const CLONE_THREAD = 0x0001_0000;
/** New user or mount namespace: paths would no longer mean what they mean to us. */
const CLONE_NEWNS = 0x0002_0000;
const CLONE_NEWUSER = 0x1000_0000;
/** `O_WRONLY | O_RDWR | O_CREAT | O_TRUNC`: anything but reading what is there. */
const WRITES = 0o1 | 0o2 | 0o100 | 0o1000;
const TIOCSTI = 0x5412;
const TIOCLINUX = 0x541c;
const FIOSETOWN = 0x8901;
const SIOCSPGRP = 0x8902;
const F_SETOWN = 8;
const F_SETOWN_EX = 15;
const SIGN_BIT = 0x8000_0000;

export function trapsOf({ trapReads, warden, allowNamespaces = false }: TrapOptions): readonly FilterRule[] {
  return [
    ...processes(allowNamespaces),
    ...files(trapReads),
    ...always('connect', 'sendmsg', 'sendmmsg'),
    // With an address only: without one it goes where the socket was connected to.
    { call: 'sendto', when: [{ arg: 4, is: 'not', value: 0 }], does: 'trap' },
    { call: 'sendto', when: [{ arg: 4, half: 'high', is: 'not', value: 0 }], does: 'trap' },
    ...others(warden),
    ...(allowNamespaces ? [] : namespaces()),
    ...tricks(),
    ...(trapReads === 'broker' ? ownSandboxes() : []),
    // Rights that a process gives up no longer fit what the supervisor opens for it.
    ...always('setuid', 'setgid', 'setreuid', 'setregid', 'setresuid', 'setresgid', 'setfsuid', 'setfsgid', 'setgroups', 'capset'),
  ];
}

function always(...calls: readonly CallName[]): readonly FilterRule[] {
  return calls.map((call) => ({ call, does: 'trap' }));
}

/** Threads pass: whoever stops a process stops them with it. */
function processes(allowNamespaces: boolean): readonly FilterRule[] {
  const isNewNamespace: ArgTest = { arg: 0, mask: CLONE_NEWUSER | CLONE_NEWNS, is: 'not', value: 0 };
  return [
    ...(allowNamespaces ? [] : ([{ call: 'clone', when: [isNewNamespace], does: EPERM }] as const)),
    { call: 'clone', when: [{ arg: 0, mask: CLONE_THREAD, is: 'not', value: 0 }], does: 'allow' },
    // Its flags lie in memory, where no filter sees them. C libraries then use `clone`, as they do in containers.
    { call: 'clone3', does: ENOSYS },
    ...always('clone', 'fork', 'vfork', 'execve', 'execveat'),
  ];
}

function files(trapReads: TrapReads): readonly FilterRule[] {
  const reads = (call: CallName, flags: number): readonly FilterRule[] =>
    trapReads === 'off' ? [{ call, when: [{ arg: flags, mask: WRITES, is: 'not', value: 0 }], does: 'trap' }] : always(call);
  return [
    ...reads('open', 1),
    ...reads('openat', 2),
    ...always('openat2', 'creat', 'truncate', 'unlink', 'unlinkat', 'rmdir', 'rename', 'renameat', 'renameat2', 'link', 'linkat'),
    { call: 'open_by_handle_at', does: EPERM },
  ];
}

/** Signals to, and control over, other processes. Which group is whose only the supervisor can tell. */
function others(warden: number): readonly FilterRule[] {
  const isWarden = (arg: number) => [{ arg, is: 'equal', value: warden }] as const;
  return [
    { call: 'kill', when: [{ arg: 0, mask: SIGN_BIT, is: 'not', value: 0 }], does: 'trap' },
    { call: 'kill', when: [{ arg: 0, is: 'equal', value: 0 }], does: 'trap' },
    ...(['kill', 'tgkill', 'rt_sigqueueinfo', 'rt_tgsigqueueinfo', 'pidfd_open', 'prlimit64', 'sched_setaffinity'] as const).map(
      (call): FilterRule => ({ call, when: isWarden(0), does: 'trap' }),
    ),
    // By thread, and which thread is whose no filter can tell.
    ...always('tkill', 'pidfd_send_signal', 'ptrace', 'process_vm_readv', 'process_vm_writev', 'pidfd_getfd'),
    { call: 'fcntl', when: [{ arg: 1, is: 'equal', value: F_SETOWN }, ...isWarden(2)], does: EPERM },
    {
      call: 'fcntl',
      when: [
        { arg: 1, is: 'equal', value: F_SETOWN },
        { arg: 2, mask: SIGN_BIT, is: 'not', value: 0 },
      ],
      does: EPERM,
    },
    { call: 'fcntl', when: [{ arg: 1, is: 'equal', value: F_SETOWN_EX }], does: EPERM },
  ];
}

function namespaces(): readonly FilterRule[] {
  return [
    { call: 'unshare', when: [{ arg: 0, mask: CLONE_NEWUSER | CLONE_NEWNS, is: 'not', value: 0 }], does: EPERM },
    ...(
      [
        'setns',
        'mount',
        'umount2',
        'pivot_root',
        'chroot',
        'open_tree',
        'move_mount',
        'fsopen',
        'fsmount',
        'fspick',
        'mount_setattr',
      ] as const
    ).map((call): FilterRule => ({ call, does: EPERM })),
  ];
}

/** Whom a sandbox of its own keeps from a file we would open it for: nobody can see such a one from outside. It is told there is none. */
function ownSandboxes(): readonly FilterRule[] {
  return [
    { call: 'landlock_create_ruleset', does: EOPNOTSUPP },
    { call: 'landlock_restrict_self', does: EOPNOTSUPP },
  ];
}

/** Ways around a filter, or to keep its supervisor waiting. */
function tricks(): readonly FilterRule[] {
  return [
    // Opens, connects and unlinks without a system call of those names.
    { call: 'io_uring_setup', does: ENOSYS },
    // A page that the tree fills when it likes would keep us waiting where we read it.
    { call: 'userfaultfd', does: EPERM },
    // Types into our terminal: the answer to our own question, for one.
    { call: 'ioctl', when: [{ arg: 1, is: 'equal', value: TIOCSTI }], does: EPERM },
    { call: 'ioctl', when: [{ arg: 1, is: 'equal', value: TIOCLINUX }], does: EPERM },
    { call: 'ioctl', when: [{ arg: 1, is: 'equal', value: FIOSETOWN }], does: EPERM },
    { call: 'ioctl', when: [{ arg: 1, is: 'equal', value: SIOCSPGRP }], does: EPERM },
  ];
}
