/**
 * What Landlock can take away, by its ABI: version 1 came with Linux 5.13, 7 with 6.15. What an ABI does not know it leaves alone, so
 * each gap of an older one is told, never passed over. Numbers are those of `linux/landlock.h`.
 */

const EXECUTE = 1n << 0n;
const WRITE_FILE = 1n << 1n;
const READ_FILE = 1n << 2n;
const READ_DIR = 1n << 3n;
const REMOVE_DIR = 1n << 4n;
const REMOVE_FILE = 1n << 5n;
const MAKE_DIR = 1n << 7n;
const MAKE_REG = 1n << 8n;
const MAKE_SOCK = 1n << 9n;
const MAKE_FIFO = 1n << 10n;
const MAKE_SYM = 1n << 12n;
const REFER = 1n << 13n;
const TRUNCATE = 1n << 14n;
const IOCTL_DEV = 1n << 15n;

const CONNECT_TCP = 1n << 1n;

const SCOPE_ABSTRACT_SOCKETS = 1n << 0n;
const SCOPE_SIGNALS = 1n << 1n;

/** With bits 6 and 11, the making of devices, which no rule gives back. */
const SINCE_1 = (1n << 13n) - 1n;
/** Rights that a rule about a file, not a folder, may hold. */
const OF_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV;

export interface LandlockRights {
  /** All that is taken away, unless a rule gives it back. */
  readonly files: bigint;
  readonly network: bigint;
  readonly scoped: bigint;
  /** Of a rule, by what it is for; only what this ABI knows. */
  readonly read: bigint;
  readonly exec: bigint;
  /** No device can be made: with root's rights one made here would be the disk. */
  readonly write: bigint;
  readonly device: bigint;
  readonly connect: bigint;
}

/** @param abi - at least 1. One that is newer than this code is used as far as it is known here. */
export function landlockRights(abi: number): LandlockRights {
  const files = SINCE_1 | (abi >= 2 ? REFER : 0n) | (abi >= 3 ? TRUNCATE : 0n) | (abi >= 5 ? IOCTL_DEV : 0n);
  const read = READ_FILE | READ_DIR;
  const exec = read | EXECUTE;
  const make = MAKE_DIR | MAKE_REG | MAKE_SOCK | MAKE_FIFO | MAKE_SYM;
  const write = exec | make | WRITE_FILE | REMOVE_DIR | REMOVE_FILE | REFER | TRUNCATE;
  return {
    files,
    network: abi >= 4 ? CONNECT_TCP : 0n,
    scoped: abi >= 6 ? SCOPE_ABSTRACT_SOCKETS | SCOPE_SIGNALS : 0n,
    read,
    exec,
    write: write & files,
    device: (READ_FILE | WRITE_FILE | READ_DIR | IOCTL_DEV | TRUNCATE) & files,
    connect: CONNECT_TCP,
  };
}

/** Of these, what may stand in a rule about a file. */
export function ofFile(rights: bigint): bigint {
  return rights & OF_FILES;
}
