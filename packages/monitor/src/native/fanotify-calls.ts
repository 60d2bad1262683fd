/**
 * The calls behind permission events of files (fanotify), for root: whoever opens a marked file waits until we answer. Through koffi as
 * all of `native`; answers like the kernel, less than zero is the negated errno.
 *
 * @see fanotify(7), fanotify_init(2), fanotify_mark(2)
 */
import type * as Koffi from 'koffi';
import { callsOf } from './calls-of.ts';

export interface FanotifyCalls {
  /** @returns the group's descriptor: events are read from it, answers written to it. Closing it lets all go on that wait. */
  init(): number;
  /** Opening this file waits from now on. Links are followed. */
  markFile(group: number, path: string): number;
  /** So does opening a file in this folder, but not in folders in it. */
  markFolder(group: number, path: string): number;
}

/** Answers may refuse; the content may be read before. No limits but memory: what does not fit would be let through. */
const CLASS_CONTENT_UNLIMITED = 0x4 | 0x10 | 0x20;
const CLOEXEC_NONBLOCK = 0x1 | 0x2;
/** Threads are told, not processes: the call a thread is in says whether it opens for writing. */
const REPORT_TID = 0x100;
/** Of the descriptor in an event. Not blocking: the file may be a pipe, or leased, by whoever wants us to wait. */
const O_RDONLY_NONBLOCK_LARGEFILE_CLOEXEC_NOATIME = 0o4000 | 0o100000 | 0o2000000 | 0o1000000;
const MARK_ADD = 0x1;
const MARK_ONLYDIR = 0x8;
const OPEN_PERM = 0x1_0000n;
const EVENT_ON_CHILD = 0x800_0000n;
const AT_FDCWD = -100;

/** @throws when the C library lacks a function */
export function fanotifyBindings(koffi: typeof Koffi): FanotifyCalls {
  const fn = callsOf(koffi);
  const init = fn('fanotify_init', 'int', ['uint', 'uint']);
  const mark = fn('fanotify_mark', 'int', ['int', 'uint', 'uint64_t', 'int', 'str']);
  return {
    init: () => init(CLASS_CONTENT_UNLIMITED | CLOEXEC_NONBLOCK | REPORT_TID, O_RDONLY_NONBLOCK_LARGEFILE_CLOEXEC_NOATIME),
    markFile: (group, path) => mark(group, MARK_ADD, OPEN_PERM, AT_FDCWD, path),
    markFolder: (group, path) => mark(group, MARK_ADD | MARK_ONLYDIR, OPEN_PERM | EVENT_ON_CHILD, AT_FDCWD, path),
  };
}
