/**
 * Landlock: a process gives up all of the file system but what it names, for itself and whatever comes of it, without root. The kernel
 * looks at where a path leads while it opens it, so no link and no second thread gets past. What is open already stays open.
 */
import { fstatSync } from 'node:fs';
import type { KernelCalls } from '../native/kernel-calls.ts';
import { type LandlockRights, landlockRights, ofFile } from './landlock-rights.ts';

/** What is given back after all was taken away. Paths are absolute and hold no link. */
export interface LandlockRules {
  /** Folders are listed and files read, with all below. */
  readonly read: readonly string[];
  /** Besides, programs there run. */
  readonly exec: readonly string[];
  /** Besides, all below is written, made, renamed and deleted. */
  readonly write: readonly string[];
  /** Devices that are read, written and controlled. */
  readonly devices: readonly string[];
  /** TCP ports. Absent: any. Needs ABI 4. */
  readonly connectPorts?: readonly number[];
}

export type Confined =
  | {
      readonly abi: number;
      /** Not there any more, or a link by now: not granted. */
      readonly ungranted: readonly string[];
    }
  /** Nothing runs then. `result` is a negated errno. */
  | { readonly failed: string; readonly result: number };

/** Same number on every architecture, as all calls since 5.0. */
const CREATE_RULESET = 444;
const ADD_RULE = 445;
const RESTRICT_SELF = 446;
const ASK_VERSION = 1;
const PATH_BENEATH = 1;
const NET_PORT = 2;
const RULESET_BYTES = 24;
const PATH_RULE_BYTES = 12;
const PORT_RULE_BYTES = 16;
const OPEN_HOW_BYTES = 24;
const O_PATH_CLOEXEC = 0o10000000n | 0o2000000n;
const RESOLVE_NO_SYMLINKS = 0x04n;
const AT_FDCWD = -100;
/** Kept, so that nothing takes them away between their address being asked for and the call. */
const attr = Buffer.alloc(RULESET_BYTES);
const pathRule = Buffer.alloc(PATH_RULE_BYTES);
const portRule = Buffer.alloc(PORT_RULE_BYTES);
/** Paths and ports of one plan. */
export const MAX_GRANTS = 8_192;

/** 0: the kernel has no Landlock, or it is switched off. */
export function landlockAbi(calls: KernelCalls): number {
  return Math.max(0, calls.syscall(CREATE_RULESET, 0, 0, ASK_VERSION));
}

/** Of the calling thread, for ever, and of whatever it becomes or starts. It must have given up gaining rights before. */
export function confine(calls: KernelCalls, rules: LandlockRules): Confined {
  const abi = landlockAbi(calls);
  if (abi === 0) return { failed: 'the kernel has no landlock', result: -ENOSYS };
  const { read, exec, write, devices, connectPorts = [] } = rules;
  if (read.length + exec.length + write.length + devices.length + connectPorts.length > MAX_GRANTS)
    return { failed: 'too many paths for landlock', result: -E2BIG };
  const rights = landlockRights(abi);
  const ruleset = createRuleset(calls, rights, rules);
  if (ruleset < 0) return { failed: 'the landlock rules could not be made', result: ruleset };
  try {
    const ungranted: string[] = [];
    const lists = [
      [read, rights.read],
      [exec, rights.exec],
      [write, rights.write],
      [devices, rights.device],
    ] as const;
    for (const [paths, access] of lists) {
      for (const path of paths) {
        const result = grant(calls, ruleset, path, access);
        if (result === 'gone') ungranted.push(path);
        else if (result < 0) return { failed: 'a landlock rule could not be added', result };
      }
    }
    for (const port of rules.connectPorts === undefined || rights.network === 0n ? [] : rules.connectPorts) {
      const result = allowPort(calls, ruleset, port, rights.connect);
      if (result < 0) return { failed: 'a landlock rule about a port could not be added', result };
    }
    const result = calls.syscall(RESTRICT_SELF, ruleset, 0);
    return result < 0 ? { failed: 'landlock could not be put on', result } : { abi, ungranted };
  } finally {
    calls.close(ruleset);
  }
}

const ENOSYS = 38;
const E2BIG = 7;
const ENOENT = -2;
const EACCES = -13;
const ENOTDIR = -20;
const ELOOP = -40;

/** `struct landlock_ruleset_attr`; what an older kernel does not know of it is zero, which it takes. */
function createRuleset(calls: KernelCalls, rights: LandlockRights, { connectPorts }: LandlockRules): number {
  attr.writeBigUInt64LE(rights.files, 0);
  attr.writeBigUInt64LE(connectPorts === undefined ? 0n : rights.network, 8);
  attr.writeBigUInt64LE(rights.scoped, 16);
  return calls.syscall(CREATE_RULESET, calls.addressOf(attr), attr.length, 0);
}

/**
 * The paths were found free of links when the plan was made. Whoever can write there may have put one since: that is not followed, and
 * nothing is granted.
 */
function grant(calls: KernelCalls, ruleset: number, path: string, rights: bigint): number | 'gone' {
  const how = Buffer.alloc(OPEN_HOW_BYTES);
  how.writeBigUInt64LE(O_PATH_CLOEXEC, 0);
  how.writeBigUInt64LE(RESOLVE_NO_SYMLINKS, 16);
  const fd = calls.openat2(AT_FDCWD, path, how);
  if (fd === ENOENT || fd === EACCES || fd === ENOTDIR || fd === ELOOP) return 'gone';
  if (fd < 0) return fd;
  try {
    pathRule.writeBigUInt64LE(fstatSync(fd).isDirectory() ? rights : ofFile(rights), 0);
    pathRule.writeInt32LE(fd, 8);
    return calls.syscall(ADD_RULE, ruleset, PATH_BENEATH, calls.addressOf(pathRule), 0);
  } finally {
    calls.close(fd);
  }
}

function allowPort(calls: KernelCalls, ruleset: number, port: number, rights: bigint): number {
  portRule.writeBigUInt64LE(rights, 0);
  portRule.writeBigUInt64LE(BigInt(port), 8);
  return calls.syscall(ADD_RULE, ruleset, NET_PORT, calls.addressOf(portRule), 0);
}
