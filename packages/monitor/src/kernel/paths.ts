/** Where a path of a waiting process leads: opened without being used, then asked what it is. */
import type { KernelCalls } from '../native/kernel-calls.ts';
import { AT_FDCWD, O_CLOEXEC, O_NOFOLLOW, O_PATH } from './open-flags.ts';
import { ofWholeProcess } from './processes.ts';

export { AT_FDCWD } from './open-flags.ts';

export interface Place {
  /** As the process named it, made absolute. */
  readonly path: string;
  /** Where it leads, links followed; of what is not there, its folder's place with the last name. Absent: it could not be looked up. */
  readonly resolved?: string;
}

const O_PATH_CLOEXEC = O_PATH | O_CLOEXEC;
const MAX_LINK_BYTES = 4_096;

/** Whether the last name of what is opened is followed when it is a link. */
export function follows(flags: number): boolean {
  return (flags & O_NOFOLLOW) === 0;
}

export class Paths {
  readonly #calls: KernelCalls;
  readonly #link = Buffer.alloc(MAX_LINK_BYTES);

  constructor(calls: KernelCalls) {
    this.#calls = calls;
  }

  /** @param follow - the last name too, when it is a link */
  place(tid: number, folder: number, name: Buffer, follow: boolean): Place {
    const path = this.#absolute(tid, folder, name);
    const resolved = this.#resolved(path, follow);
    // A thread has a folder of its own in /proc, with the memory of its process in it.
    return { path: ofWholeProcess(path), ...(resolved !== undefined && { resolved: ofWholeProcess(resolved) }) };
  }

  /** What a descriptor of ours leads to. */
  ofDescriptor(fd: number): string | undefined {
    const got = this.#calls.readlinkat(AT_FDCWD, `/proc/self/fd/${fd}`, this.#link);
    return got <= 0 || got >= MAX_LINK_BYTES ? undefined : this.#link.toString('utf8', 0, got);
  }

  #absolute(tid: number, folder: number, name: Buffer): string {
    const text = ofProcess(tid, name.toString('utf8'));
    if (text.startsWith('/')) return text;
    const base = folder === AT_FDCWD ? `/proc/${tid}/cwd` : `/proc/${tid}/fd/${folder}`;
    const got = this.#calls.readlinkat(AT_FDCWD, base, this.#link);
    const from = got <= 0 || got >= MAX_LINK_BYTES ? base : this.#link.toString('utf8', 0, got);
    return text === '' ? from : `${from}/${text}`;
  }

  #resolved(path: string, follow: boolean): string | undefined {
    const whole = this.#look(path, follow);
    if (whole !== undefined) return whole;
    const at = path.lastIndexOf('/');
    const folder = at < 0 ? undefined : this.#look(path.slice(0, at) || '/', true);
    return folder === undefined ? undefined : `${folder === '/' ? '' : folder}/${path.slice(at + 1)}`;
  }

  #look(path: string, follow: boolean): string | undefined {
    const fd = this.#calls.openat(AT_FDCWD, path, follow ? O_PATH_CLOEXEC : O_PATH_CLOEXEC | O_NOFOLLOW, 0);
    if (fd < 0) return undefined;
    try {
      return this.ofDescriptor(fd);
    } finally {
      this.#calls.close(fd);
    }
  }
}

/** `/proc/self` is whoever asks: for us that would be ourselves. */
function ofProcess(tid: number, path: string): string {
  return path.replace(/^\/+proc\/+(?:self|thread-self)(?=\/|$)/, `/proc/${tid}`);
}
