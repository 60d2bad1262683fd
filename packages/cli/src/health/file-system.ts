/** What kind of file system a folder is on, where the system says. */
import { statfsSync } from 'node:fs';

export interface FileSystemFacts {
  readonly name?: string;
  /** Why a ledger should not be there. */
  readonly problem?: string;
}

const VOLATILE = 'its files are gone after a restart';
const NETWORK = 'locks and fsync of network file systems cannot be relied on';

/** `f_type` of Linux's statfs(2). */
const KINDS: ReadonlyMap<number, FileSystemFacts> = new Map([
  [0x01021994, { name: 'tmpfs', problem: VOLATILE }],
  [0x858458f6, { name: 'ramfs', problem: VOLATILE }],
  [0x6969, { name: 'nfs', problem: NETWORK }],
  [0x517b, { name: 'smb', problem: NETWORK }],
  [0xff534d42, { name: 'cifs', problem: NETWORK }],
  [0xfe534d42, { name: 'smb2', problem: NETWORK }],
  [0x01021997, { name: '9p', problem: NETWORK }],
  [0x00c36400, { name: 'ceph', problem: NETWORK }],
  [0x65735546, { name: 'fuse' }],
  [0x794c7630, { name: 'overlayfs', problem: 'in a container its files are gone with the container' }],
  [0xef53, { name: 'ext4' }],
  [0x58465342, { name: 'xfs' }],
  [0x9123683e, { name: 'btrfs' }],
  [0x2fc12fc1, { name: 'zfs' }],
]);

/** Nothing is known elsewhere than on Linux. */
export function fileSystem(folder: string): FileSystemFacts {
  if (process.platform !== 'linux') return {};
  // The kernel's number is signed on some machines.
  return KINDS.get(statfsSync(folder).type >>> 0) ?? {};
}
