/** /dev/tty is the terminal of whoever opens it: opened by us it would be ours. */
import { readFileSync } from 'node:fs';
import type { FileCalls } from '../native/file-calls.ts';
import { statusOf } from './file-status.ts';
import { AT_FDCWD, O_CLOEXEC, O_PATH } from './open-flags.ts';
import { zeroEnded } from './own-descriptors.ts';

const FIRST_PTS_MAJOR = 136;
const LAST_PTS_MAJOR = 143;
const PTS_OF_MAJOR = 256;
/** After the name in parentheses: state, parent, group, session, terminal. */
const TERMINAL_FIELD = 4;

/** A name of the terminal of that process, opened as a name only: ours to close. Undefined: it has none, or none that is known. */
export function terminalOf(files: FileCalls, tid: number): number | undefined {
  const number = terminalIn(statOf(String(tid)));
  if (number === undefined) return undefined;
  if (number === terminalIn(statOf('self'))) return pinned(files, '/dev/tty');
  const major = (number >> 8) & 0xfff;
  const minor = (number & 0xff) | ((number >> 12) & 0xfff00);
  if (major < FIRST_PTS_MAJOR || major > LAST_PTS_MAJOR) return undefined;
  const fd = pinned(files, `/dev/pts/${(major - FIRST_PTS_MAJOR) * PTS_OF_MAJOR + minor}`);
  if (fd === undefined) return undefined;
  const status = statusOf(files, fd);
  if (status?.type === 'character' && status.major === major && status.minor === minor) return fd;
  files.close(fd);
  return undefined;
}

/** Of /proc/PID/stat: the device number of its terminal. */
export function terminalIn(stat: string): number | undefined {
  const number = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[TERMINAL_FIELD]);
  return Number.isInteger(number) && number !== 0 ? number : undefined;
}

function statOf(process: string): string {
  try {
    return readFileSync(`/proc/${process}/stat`, 'latin1');
  } catch {
    return '';
  }
}

function pinned(files: FileCalls, path: string): number | undefined {
  const fd = files.openat(AT_FDCWD, zeroEnded(path), O_PATH | O_CLOEXEC, 0);
  return fd < 0 ? undefined : fd;
}
