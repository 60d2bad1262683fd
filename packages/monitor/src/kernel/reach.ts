/**
 * Calls that signal, steer or look into another process: which of them may go on. Against the warden none; within the tree all.
 *
 * Most take the number of any thread for its process. Numbers in registers stay what they are while a call waits; what a descriptor means
 * does not, so no call goes on that takes a process by its descriptor.
 */
import { constants } from 'node:os';
import type { MemoryAction } from '../activity.ts';
import { intOf, type Trapped } from './notification.ts';
import type { Processes } from './processes.ts';

export type Reach =
  | { readonly kind: 'plain' }
  | { readonly kind: 'act'; readonly actions: readonly MemoryAction[] }
  | { readonly kind: 'never'; readonly why: string; readonly errno?: number; readonly actions?: readonly MemoryAction[] };

const { ENOSYS } = constants.errno;
const PTRACE_TRACEME = 0;
const PTRACE_ATTACH = 16;
const PTRACE_SEIZE = 0x4206;
const PERF_FLAG_PID_CGROUP = 4n;
const PLAIN: Reach = { kind: 'plain' };

/** Undefined for a call that is none of these. */
export function reachOf({ call, args, tid }: Trapped, processes: Processes): Reach | undefined {
  const int = (arg: number): number => intOf(args[arg]);
  const isWarden = (thread: number): boolean => processes.processOf(thread) === processes.warden;
  const atWarden = (by: MemoryAction['by'], why: string, errno?: number): Reach => ({
    kind: 'never',
    why,
    ...(errno !== undefined && { errno }),
    actions: [{ kind: 'memory', target: processes.warden, ...(by !== undefined && { by }) }],
  });
  const unless = (refused: boolean, by: MemoryAction['by'], why: string): Reach => (refused ? atWarden(by, why) : PLAIN);
  const isOurGroup = (group: number): boolean => (group === 0 ? processes.groupOf(tid) : group) === processes.wardenGroup;
  const into = (thread: number): Reach => {
    const target = processes.processOf(thread) ?? thread;
    // Also where nothing else is refused: attached to, we would stand still.
    return target === processes.warden
      ? atWarden(undefined, 'reaches into the warden')
      : { kind: 'act', actions: [{ kind: 'memory', target }] };
  };

  // Calls that reach nobody have no case of their own.
  const name: string = call;
  switch (name) {
    case 'kill':
      // Signal 0 only asks whether it is there, as children ask of whoever started them.
      if (int(1) === 0) return PLAIN;
      if (int(0) > 0) return unless(isWarden(int(0)), 'signal', 'a signal to the warden');
      if (int(0) === -1) return atWarden('signal', 'a signal to every process there is');
      return unless(isOurGroup(-int(0)), 'group', 'a signal to a group that the warden is of');
    case 'tkill':
    case 'rt_sigqueueinfo':
      return unless(int(1) !== 0 && isWarden(int(0)), 'signal', 'a signal to the warden');
    case 'tgkill':
    case 'rt_tgsigqueueinfo':
      return unless(int(2) !== 0 && isWarden(int(0)), 'signal', 'a signal to the warden');
    case 'fcntl':
      return int(2) >= 0
        ? unless(int(2) !== 0 && isWarden(int(2)), 'signal', 'the warden would be signalled')
        : unless(isOurGroup(-int(2)), 'group', 'a group that the warden is of would be signalled');
    case 'pidfd_open':
      return unless(isWarden(int(0)), 'handle', 'a handle of the warden');
    case 'pidfd_send_signal':
      if (int(1) !== 0 && processes.processOfDescriptor(tid, int(0)) === processes.warden)
        return atWarden('signal', 'a signal to the warden');
      // As on a kernel without it: callers then use `kill`.
      return { kind: 'never', why: 'a signal by a descriptor, which may mean another process by then', errno: ENOSYS };
    case 'pidfd_getfd':
      if (processes.processOfDescriptor(tid, int(0)) === processes.warden) return atWarden(undefined, 'a descriptor of the warden');
      return { kind: 'never', why: 'a descriptor of a process, which may be another by then', errno: ENOSYS };
    case 'ptrace':
      return traces(int(0));
    case 'process_vm_readv':
    case 'process_vm_writev':
      return into(int(0));
    case 'perf_event_open':
      if (int(1) < 0 || ((args[4] ?? 0n) & PERF_FLAG_PID_CGROUP) !== 0n)
        return { kind: 'never', why: 'measures processes that do not belong to the tree' };
      return into(int(1));
    case 'prlimit64':
      return unless(args[2] !== 0n && isWarden(int(0)), 'control', 'limits of the warden');
    case 'sched_setaffinity':
    case 'sched_setscheduler':
    case 'sched_setparam':
    case 'sched_setattr':
      return unless(isWarden(int(0)), 'control', 'how the warden is scheduled');
    case 'setpriority':
      return prioritizes(int(0));
    case 'ioprio_set':
      return prioritizes(int(0) - 1);
    default:
      return undefined;
  }

  function traces(request: number): Reach {
    if (request === PTRACE_ATTACH || request === PTRACE_SEIZE) return into(int(1));
    // We would have to let it go on after each signal.
    if (request === PTRACE_TRACEME && processes.parentOf(tid) === processes.warden)
      return { kind: 'never', why: 'it would be traced by the warden' };
    return PLAIN;
  }

  /** @param which - 0: a process, 1: a group, 2: all of a user. */
  function prioritizes(which: number): Reach {
    if (which === 0) return unless(int(1) !== 0 && isWarden(int(1)), 'control', 'how the warden is scheduled');
    if (which === 1) return unless(isOurGroup(int(1)), 'group', 'how a group is scheduled that the warden is of');
    return atWarden('group', 'how all processes of a user are scheduled');
  }
}
