/** Which calls of a watched tree wait for the supervisor. What never happens there is `never.ts`. */
import { constants } from 'node:os';
import type { FilterRule } from './filter.ts';
import { neverRules } from './never.ts';
import type { CallName } from './syscalls.ts';

/** `off`: opens for reading pass. `deny-list`: they are judged, then go on by themselves. `broker`: the supervisor opens. */
export const TRAP_READS = ['off', 'deny-list', 'broker'] as const;
export type TrapReads = (typeof TRAP_READS)[number];

export interface TrapOptions {
  readonly trapReads: TrapReads;
  /** Whoever watches: no signal and no reach into its memory from inside. */
  readonly warden: number;
  /** Its process group: nobody of the tree comes back into it who left. Absent: not known. */
  readonly wardenGroup?: number;
}

const { EOPNOTSUPP } = constants.errno;
const { SIGCONT } = constants.signals;
const CLONE_THREAD = 0x0001_0000;
/** `O_WRONLY | O_RDWR | O_CREAT | O_TRUNC`: anything but reading what is there. */
const WRITES = 0o1 | 0o2 | 0o100 | 0o1000;
const F_SETOWN = 8;
/** `TRACEME`, `ATTACH`, `SEIZE`. */
const PTRACE_BEGINS = [0, 16, 0x4206];

/** Of several rules for one call the first that holds counts: what never happens comes first. */
export function trapsOf(options: TrapOptions): readonly FilterRule[] {
  return [
    ...neverRules(options),
    // Threads pass: whoever stops a process stops them with it.
    { call: 'clone', when: [{ arg: 0, mask: CLONE_THREAD, is: 'not', value: 0 }], does: 'allow' },
    ...always('clone', 'fork', 'vfork', 'execve', 'execveat'),
    ...files(options.trapReads),
    ...always('connect', 'sendmsg', 'sendmmsg'),
    // With an address only: without one it goes where the socket was connected to.
    { call: 'sendto', when: [{ arg: 4, is: 'not', value: 0 }], does: 'trap' },
    { call: 'sendto', when: [{ arg: 4, half: 'high', is: 'not', value: 0 }], does: 'trap' },
    ...others(options.warden),
    ...(options.trapReads === 'broker' ? ownSandboxes() : []),
    // Rights that a process gives up no longer fit what the supervisor opens for it.
    ...always('setuid', 'setgid', 'setreuid', 'setregid', 'setresuid', 'setresgid', 'setfsuid', 'setfsgid', 'setgroups', 'capset'),
  ];
}

function always(...calls: readonly CallName[]): readonly FilterRule[] {
  return calls.map((call) => ({ call, does: 'trap' }));
}

function files(trapReads: TrapReads): readonly FilterRule[] {
  const reads = (call: CallName, flags: number): readonly FilterRule[] =>
    trapReads === 'off' ? [{ call, when: [{ arg: flags, mask: WRITES, is: 'not', value: 0 }], does: 'trap' }] : always(call);
  return [
    ...reads('open', 1),
    ...reads('openat', 2),
    ...always('openat2', 'creat', 'truncate', 'unlink', 'unlinkat', 'rmdir', 'rename', 'renameat', 'renameat2', 'link', 'linkat'),
    // A name where something looks for names: a service that starts with the system, a key that is let in.
    ...always('symlink', 'symlinkat', 'mknod', 'mknodat'),
    // Makes a file where a socket of the host's own kind is given a name. Which kind it is lies in memory.
    ...always('bind'),
  ];
}

/**
 * Signals to, and control over, other processes. Nearly all take the number of a thread for its process, and which thread is whose,
 * and which group, only the supervisor can tell.
 */
function others(warden: number): readonly FilterRule[] {
  return [
    ...always('kill', 'tkill', 'rt_sigqueueinfo', 'pidfd_open', 'pidfd_send_signal', 'pidfd_getfd'),
    // Process and thread must fit each other here. Some runtimes signal their own threads all the time.
    ...(['tgkill', 'rt_tgsigqueueinfo'] as const).map(
      (call): FilterRule => ({ call, when: [{ arg: 0, is: 'equal', value: warden }], does: 'trap' }),
    ),
    // Wakes what a freezer stopped: at a shut gate it waits like everything else.
    { call: 'tgkill', when: [{ arg: 2, is: 'equal', value: SIGCONT }], does: 'trap' },
    { call: 'rt_tgsigqueueinfo', when: [{ arg: 2, is: 'equal', value: SIGCONT }], does: 'trap' },
    // What begins it. The rest needs one that was begun, and a debugger makes thousands of them.
    ...PTRACE_BEGINS.map((value): FilterRule => ({ call: 'ptrace', when: [{ arg: 0, is: 'equal', value }], does: 'trap' })),
    ...always('process_vm_readv', 'process_vm_writev'),
    ...butOfItself('perf_event_open', 1),
    ...butOfItself('prlimit64', 0),
    ...butOfItself('sched_setaffinity', 0),
    ...butOfItself('sched_setscheduler', 0),
    ...butOfItself('sched_setparam', 0),
    ...butOfItself('sched_setattr', 0),
    ...always('setpriority', 'ioprio_set'),
    { call: 'fcntl', when: [{ arg: 1, is: 'equal', value: F_SETOWN }], does: 'trap' },
  ];
}

/** Zero is whoever calls. */
function butOfItself(call: CallName, arg: number): readonly FilterRule[] {
  return [{ call, when: [{ arg, is: 'not', value: 0 }], does: 'trap' }];
}

/** Whom a sandbox of its own keeps from a file we would open it for: nobody can see such a one from outside. It is told there is none. */
function ownSandboxes(): readonly FilterRule[] {
  return [
    { call: 'landlock_create_ruleset', does: EOPNOTSUPP },
    { call: 'landlock_restrict_self', does: EOPNOTSUPP },
  ];
}
