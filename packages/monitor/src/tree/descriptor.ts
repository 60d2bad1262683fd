/** An open descriptor of a process, as /proc/PID/fd and /proc/PID/fdinfo show it. */
import { constants } from 'node:fs';

export interface Descriptor {
  readonly fd: number;
  /** Where the link leads: a path, or `socket:[123]`, `pipe:[123]`, `anon_inode:...`. Paths are chosen by the process. */
  readonly target: string;
}

export interface DescriptorState {
  readonly read: boolean;
  readonly write: boolean;
  /** Opened as a directory, or only to name a file (`O_PATH`): nothing of a file is read or written through it. */
  readonly nameOnly: boolean;
  /** Bytes from the start. */
  readonly position: number;
  /** Absent before Linux 5.14. */
  readonly inode?: number;
  /** Id of the mount it was opened through, in the process's own namespace. */
  readonly mount?: number;
}

/** Undefined for what is no fdinfo. @param text - lines `pos: 0`, `flags: 0100000` (octal), `mnt_id: 22`, `ino: 4242`. */
export function parseDescriptorInfo(text: string): DescriptorState | undefined {
  const flags = /^flags:\s*([0-7]{1,12})$/m.exec(text)?.[1];
  const position = Number(/^pos:\s*(\d{1,19})$/m.exec(text)?.[1] ?? Number.NaN);
  if (flags === undefined || Number.isNaN(position)) return undefined;
  const bits = Number.parseInt(flags, 8);
  const mode = bits & ACCESS_MODE;
  const inode = /^ino:\s*(\d{1,19})$/m.exec(text)?.[1];
  const mount = /^mnt_id:\s*(\d{1,10})$/m.exec(text)?.[1];
  return {
    read: mode === constants.O_RDONLY || mode === constants.O_RDWR,
    write: mode === constants.O_WRONLY || mode === constants.O_RDWR,
    nameOnly: (bits & (O_PATH | constants.O_DIRECTORY)) !== 0,
    position,
    ...(inode !== undefined && { inode: Number(inode) }),
    ...(mount !== undefined && { mount: Number(mount) }),
  };
}

/** The inode of the socket a descriptor leads to; undefined for anything else. */
export function socketInode(target: string): number | undefined {
  const inode = /^socket:\[(\d{1,15})\]$/.exec(target)?.[1];
  return inode === undefined ? undefined : Number(inode);
}

/** True for a file or device by name; pipes, sockets and what has no name are none. */
export function isPath(target: string): boolean {
  return target.startsWith('/');
}

const ACCESS_MODE = 0o3;
/** The same number on every Linux that Node runs on. */
export const O_PATH = 0o10000000;
