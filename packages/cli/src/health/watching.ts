/** Whether this process can be told of changes to the ledger's files. */
import { existsSync, watch } from 'node:fs';
import { dirname } from 'node:path';
import type { Verdict } from './finding.ts';

/** What a person can do about it, by what the system says. */
const NEXT: ReadonlyMap<string, string> = new Map([
  ['EMFILE', 'raise fs.inotify.max_user_instances (sysctl), or the limit of open files'],
  ['ENOSPC', 'raise fs.inotify.max_user_watches (sysctl)'],
]);

/** @param start - for tests. */
export function watching(path: string, start: typeof watch = watch): Verdict {
  const folder = [dirname(path), dirname(dirname(path))].find((each) => existsSync(each)) ?? '/';
  try {
    start(folder, { persistent: false }).close();
    return { status: 'ok', message: 'answers given in other processes are noticed by file notification' };
  } catch (error) {
    const code = error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'unknown';
    return {
      status: 'warn',
      message: `files in ${folder} cannot be watched (${code}): answers given in other processes are polled for`,
      next: NEXT.get(code) ?? 'put ledger.path on a local disk',
    };
  }
}
