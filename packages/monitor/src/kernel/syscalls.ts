/**
 * Numbers of system calls on the architectures we know. Calls that an architecture lacks are absent: arm64 has only the newer form
 * of many. Calls added since Linux 5.0 have one number everywhere.
 *
 * @see linux: arch/x86/entry/syscalls/syscall_64.tbl, include/uapi/asm-generic/unistd.h
 */

export type Arch = 'x64' | 'arm64';

export interface ArchTable {
  /** As a filter sees it: `AUDIT_ARCH_X86_64`, `AUDIT_ARCH_AARCH64`. */
  readonly audit: number;
  /** Numbers from here on are another interface of the same architecture (x32). */
  readonly foreignFrom?: number;
  readonly numbers: ReadonlyMap<string, number>;
}

const SINCE_5_0 = {
  pidfd_send_signal: 424,
  io_uring_setup: 425,
  io_uring_enter: 426,
  io_uring_register: 427,
  open_tree: 428,
  move_mount: 429,
  fsopen: 430,
  fsconfig: 431,
  fsmount: 432,
  fspick: 433,
  pidfd_open: 434,
  clone3: 435,
  openat2: 437,
  pidfd_getfd: 438,
  mount_setattr: 442,
  landlock_create_ruleset: 444,
  landlock_restrict_self: 446,
} as const;

const X64 = {
  open: 2,
  ioctl: 16,
  connect: 42,
  sendto: 44,
  sendmsg: 46,
  clone: 56,
  fork: 57,
  vfork: 58,
  execve: 59,
  kill: 62,
  fcntl: 72,
  truncate: 76,
  rename: 82,
  rmdir: 84,
  creat: 85,
  link: 86,
  unlink: 87,
  ptrace: 101,
  setuid: 105,
  setgid: 106,
  setreuid: 113,
  setregid: 114,
  setgroups: 116,
  setresuid: 117,
  setresgid: 119,
  setfsuid: 122,
  setfsgid: 123,
  capset: 126,
  rt_sigqueueinfo: 129,
  pivot_root: 155,
  chroot: 161,
  mount: 165,
  umount2: 166,
  tkill: 200,
  sched_setaffinity: 203,
  tgkill: 234,
  openat: 257,
  unlinkat: 263,
  renameat: 264,
  linkat: 265,
  unshare: 272,
  rt_tgsigqueueinfo: 297,
  prlimit64: 302,
  open_by_handle_at: 304,
  sendmmsg: 307,
  setns: 308,
  process_vm_readv: 310,
  process_vm_writev: 311,
  renameat2: 316,
  seccomp: 317,
  execveat: 322,
  userfaultfd: 323,
} as const;

const ARM64 = {
  fcntl: 25,
  ioctl: 29,
  unlinkat: 35,
  linkat: 37,
  renameat: 38,
  umount2: 39,
  mount: 40,
  pivot_root: 41,
  truncate: 45,
  chroot: 51,
  openat: 56,
  capset: 91,
  unshare: 97,
  ptrace: 117,
  sched_setaffinity: 122,
  kill: 129,
  tkill: 130,
  tgkill: 131,
  rt_sigqueueinfo: 138,
  setregid: 143,
  setgid: 144,
  setreuid: 145,
  setuid: 146,
  setresuid: 147,
  setresgid: 149,
  setfsuid: 151,
  setfsgid: 152,
  setgroups: 159,
  connect: 203,
  sendto: 206,
  sendmsg: 211,
  clone: 220,
  execve: 221,
  rt_tgsigqueueinfo: 240,
  prlimit64: 261,
  open_by_handle_at: 265,
  setns: 268,
  sendmmsg: 269,
  process_vm_readv: 270,
  process_vm_writev: 271,
  renameat2: 276,
  seccomp: 277,
  execveat: 281,
  userfaultfd: 282,
} as const;

export type CallName = keyof typeof X64 | keyof typeof ARM64 | keyof typeof SINCE_5_0;

export const ARCHS: ReadonlyMap<Arch, ArchTable> = new Map<Arch, ArchTable>([
  ['x64', { audit: 0xc000_003e, foreignFrom: 0x4000_0000, numbers: new Map(Object.entries({ ...X64, ...SINCE_5_0 })) }],
  ['arm64', { audit: 0xc000_00b7, numbers: new Map(Object.entries({ ...ARM64, ...SINCE_5_0 })) }],
]);

/** Undefined: not known. */
export function archTable(arch: string): ArchTable | undefined {
  return ARCHS.get(arch as Arch); // a name that is none is not in the map
}
