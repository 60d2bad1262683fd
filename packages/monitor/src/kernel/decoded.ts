/** What was made of a trapped call: nothing to judge, something to judge, or something nobody can tell. */
import type { Action, Attribution } from '../activity.ts';
import type { FileFacts } from './file-facts.ts';
import { type TargetMemory, UNREAD_ERRNO, type Unread } from './memory.ts';
import type { Trapped } from './notification.ts';
import type { Paths, Place } from './paths.ts';
import type { Processes } from './processes.ts';
import type { Scripts } from './scripts.ts';
import type { Sockets } from './sockets.ts';
import type { Target, Targets } from './targets.ts';

export type Decoded =
  /** Nothing to judge: it may go on. */
  | { readonly kind: 'plain' }
  /** Of the tree itself: a process more. */
  | { readonly kind: 'fork' }
  /** A file is opened. Where it leads is found out by whoever opens it, or by looking; then it is judged. */
  | { readonly kind: 'open'; readonly request: OpenRequest }
  | { readonly kind: 'act'; readonly actions: readonly Action[]; readonly attribution?: Attribution }
  /** It fails, as it would in the kernel, and does nothing: at once, before what it names becomes something else. */
  | { readonly kind: 'fails'; readonly errno: number }
  /** It cannot be told what it would do: it may not. `errno`: what the kernel gives for it, as a rule. */
  | { readonly kind: 'unreadable'; readonly what: string; readonly errno: number }
  /** It may not, whatever the rules say. */
  | {
      readonly kind: 'never';
      readonly why: string;
      /** Absent: EPERM. */
      readonly errno?: number;
      /** What is told of it, and judged for those who are told; it fails in any case. */
      readonly actions?: readonly Action[];
    };

/** As the process asked for it. */
export interface OpenRequest {
  readonly tid: number;
  /** A descriptor of that process, or `AT_FDCWD`. */
  readonly folder: number;
  /** Bytes of the name as they are; the rules see its text. */
  readonly name: Buffer;
  /** As for open(2). */
  readonly flags: number;
  /** Rights of what is made by it. */
  readonly mode: number;
  /** `RESOLVE_*` of openat2(2); 0 for all others. */
  readonly resolve: number;
  /** All of `struct open_how`, of openat2(2). Absent for all others. */
  readonly how?: Buffer;
}

/** Opens files for the processes that asked, so that what was judged is what they get. */
export interface Opener {
  /** Undefined: it leaves this one to the kernel. */
  open(trapped: Trapped, request: OpenRequest, target: Target): Opened | undefined;
  /** Takes names away, moves or adds them. Undefined: it is none of that, or is left to the kernel. */
  change(trapped: Trapped, target: Target): { readonly actions: readonly Action[]; readonly opened: Opened } | undefined;
  /** That thread is about to change what it may do. */
  changesRights(tid: number): void;
}

/** Opened, and not handed over yet. Exactly one of `give` and `drop` is called, once. */
export interface Opened {
  /** Where it led: that is judged. */
  readonly place: Place;
  /** UTC, milliseconds: when what is there was made. Absent: not known. */
  readonly bornMs?: number | undefined;
  /** It is not there. */
  readonly isMissing?: boolean;
  /** Judged to go on: answers the call, with the descriptor or with why there is none. */
  give(): void;
  /** Refused, or nobody waits for it any more. The call is answered by whoever calls this. */
  drop(): void;
}

export interface DecodeContext {
  readonly memory: TargetMemory;
  readonly paths: Paths;
  readonly files: FileFacts;
  readonly scripts: Scripts;
  readonly sockets: Sockets;
  readonly processes: Processes;
  readonly targets: Pick<Targets, 'cwd'>;
  readonly target: Target;
  /** UTC, milliseconds: what is older existed before. */
  readonly since: number;
}

export const PLAIN: Decoded = { kind: 'plain' };

export function unreadable(what: string, why: Unread = 'EFAULT'): Decoded {
  return { kind: 'unreadable', what, errno: UNREAD_ERRNO[why] };
}
