/**
 * What this host offers to watch, hold and stop an agent with, each tried, not assumed; and the level and grade that come of it. A level is
 * what a session can have here, not what one has: that is on record with it.
 */
import { closeSync, existsSync, lstatSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { ActionKind } from './activity.ts';
import { makeControlGroup } from './contain/control-group.ts';
import type { FreezeGrade } from './contain/freezer.ts';
import { type Enforcement, enforcementOf, type Hold, kindsText, LEVEL_MEANS } from './enforcement.ts';
import { kernelControlMissing, tryKernelControl } from './kernel/available.ts';
import { landlockAbi } from './kernel/landlock.ts';
import { errorName, type Native, native, nativeMissing } from './native/native.ts';
import { srtSandbox } from './sandbox/srt.ts';
import { defaultScope } from './scope/load.ts';
import type { CoverageLevel } from './sensor.ts';
import { fanotifyMissing } from './sensors/fanotify.ts';
import { findProgram } from './system-program.ts';
import { procReader } from './tree/proc-fs.ts';

export type CapabilityName =
  | 'proc'
  | 'ps'
  | 'lsof'
  | 'native'
  | 'connector'
  | 'inotify'
  | 'pidfd'
  | 'seccomp-notify'
  | 'landlock'
  | 'sandbox-runtime'
  | 'fanotify'
  | 'cgroup'
  | 'user-namespaces'
  | 'probe';

export interface Capability {
  readonly name: CapabilityName;
  readonly available: boolean;
  /** What it is good for, one line. */
  readonly gives: string;
  /** Why it is not available. May hold text of the operating system, one line. */
  readonly why?: string;
}

export interface HostCapabilities {
  readonly platform: string;
  readonly capabilities: readonly Capability[];
  /** What `countersign run` has here without further settings, in a mode that stops things. Undefined: processes cannot be seen at all. */
  readonly level: CoverageLevel | undefined;
  /** Of `countersign attach`. An agent that is a Node program and carries the probe has `L1` in any case. */
  readonly attachLevel: Extract<CoverageLevel, 'L0' | 'L1'> | undefined;
  /** Of `run`. */
  readonly freeze: FreezeGrade;
  /** By kind of doing, as `run` has it. */
  readonly enforcement: Enforcement;
}

/** What is asked of a host. Each may throw, which is a no with that reason. */
export interface CapabilityHost {
  readonly platform: string;
  readonly procRoot: string;
  native(): Native | undefined;
  nativeMissing(): string | undefined;
  /** Makes a control group and removes it again. */
  canMakeControlGroup(): boolean;
  /** Is there such a program? */
  hasProgram(name: 'ps' | 'lsof'): boolean;
  /** Why not, as `kernelControlMissing` and `tryKernelControl` say it. */
  seccompMissing(): string | undefined;
  landlockMissing(): string | undefined;
  sandboxMissing(): string | undefined;
  fanotifyMissing(): string | undefined;
}

/**
 * The same, after what takes time was tried as well: a call of a process started for it is really held, and a program that does nothing is
 * really started in a sandbox. About half a second.
 */
export async function triedCapabilities(): Promise<HostCapabilities> {
  const [seccomp, sandbox] = await Promise.all([tryKernelControl(), trySandbox()]);
  return hostCapabilities({ ...thisHost(), seccompMissing: () => seccomp, sandboxMissing: () => sandbox });
}

async function trySandbox(): Promise<string | undefined> {
  const opened = await srtSandbox().open(defaultScope());
  if ('missing' in opened) return opened.missing;
  await opened.close();
  return undefined;
}

/** Never throws. Opens descriptors and makes a control group, and takes all of it back. */
export function hostCapabilities(host: CapabilityHost = thisHost()): HostCapabilities {
  const capabilities = CHECKS.map(({ name, gives, whyNot }): Capability => {
    const why = reasonOf(() => whyNot(host));
    return { name, available: why === undefined, gives, ...(why !== undefined && { why }) };
  });
  const has = (name: CapabilityName): boolean => capabilities.some((each) => each.name === name && each.available);
  const sees = has('proc') || has('ps');
  // Events need the tree that a poll keeps: which processes are whose is read from /proc.
  const attachLevel = !sees ? undefined : has('proc') && (has('connector') || has('inotify')) ? 'L1' : 'L0';
  const isHolding = has('proc') && has('seccomp-notify');
  const freeze = isHolding ? 'gate' : has('cgroup') ? 'cgroup' : 'signal';
  const why = capabilities.find(({ name }) => name === 'seccomp-notify')?.why;
  const enforcement = enforcementOf({
    mode: 'enforce_kill',
    gives: !sees ? [] : has('proc') ? [...SEEN, 'delete', 'rename'] : SEEN,
    seenLevel: attachLevel ?? 'none',
    freeze,
    ...(isHolding && { kernel: { trapReads: 'deny-list' } }),
    ...(why !== undefined && { without: why }),
  });
  return {
    platform: host.platform,
    capabilities,
    level: enforcement.level === 'none' ? undefined : enforcement.level,
    attachLevel,
    freeze,
    enforcement,
  };
}

/** Of a poll alone, as of every sensor together but kernel control. */
const SEEN: readonly ActionKind[] = ['exec', 'read', 'write', 'connect'];

/** For people: a heading, then a line for each; then what `run` would hold, and what more there is. */
export function capabilityLines(host: HostCapabilities): readonly string[] {
  const { capabilities, level, attachLevel, freeze, platform } = host;
  return [
    `${platform}: ${level === undefined ? 'processes cannot be seen' : `level ${level} with run, ${LEVEL_MEANS[level]}; ${attachLevel ?? 'nothing'} with attach`}; freezes by ${freeze}`,
    ...capabilities.map(
      ({ name, available, gives, why }) => `${available ? 'yes' : 'no '}  ${name.padEnd(NAME_WIDTH)}  ${available ? gives : (why ?? '')}`,
    ),
    ...runLines(host),
  ];
}

function runLines({ enforcement, capabilities }: HostCapabilities): readonly string[] {
  const kinds = (...holds: readonly Hold[]): string => kindsText(enforcement, ...holds);
  const has = (name: CapabilityName): boolean => capabilities.some((each) => each.name === name && each.available);
  const more = [
    ...(enforcement.level === 'L2' ? ['reading exactly: trap_reads: broker'] : []),
    ...(has('native') && has('proc') ? ['asked from inside too, where it is Node: run --probe'] : []),
    ...(has('landlock') ? ['shut in by the kernel: contain: landlock'] : []),
    ...(has('sandbox-runtime') ? ['shut in by sandbox-runtime: contain: srt'] : []),
  ];
  return [
    ...(kinds('racy') === '' ? [] : [`run holds before it happens, racy against hostile threads: ${kinds('racy')}`]),
    ...(kinds('exact') === '' ? [] : [`run holds before it happens, exactly: ${kinds('exact')}`]),
    ...(kinds('seen') === '' ? [] : [`run sees, and prevents nothing of: ${kinds('seen')}`]),
    ...(kinds('off') === '' ? [] : [`run does not see: ${kinds('off')}`]),
    ...(more.length === 0 ? [] : [`more, where it is asked for: ${more.join('; ')}`]),
  ];
}

const NAME_WIDTH = 15;

interface Check {
  readonly name: CapabilityName;
  readonly gives: string;
  /** Undefined: it is there. */
  readonly whyNot: (host: CapabilityHost) => string | undefined;
}

const CHECKS: readonly Check[] = [
  { name: 'proc', gives: 'poll of processes, open files and connections, every 250 ms', whyNot: noProc },
  { name: 'ps', gives: 'poll of processes every second, where there is no /proc', whyNot: (host) => noProgram(host, 'ps') },
  { name: 'lsof', gives: 'poll of open files and connections, where there is no /proc', whyNot: (host) => noProgram(host, 'lsof') },
  {
    name: 'native',
    gives: 'system calls that Node lacks',
    whyNot: (host) => (host.native() === undefined ? (host.nativeMissing() ?? 'not loaded') : undefined),
  },
  { name: 'connector', gives: 'every fork, exec and exit, as it happens', whyNot: noConnector },
  { name: 'inotify', gives: 'every open and change of the files that are watched, without who did it', whyNot: noInotify },
  { name: 'pidfd', gives: 'signals that cannot reach another process of the same pid', whyNot: noPidfd },
  { name: 'seccomp-notify', gives: 'calls of what run launches wait before they happen', whyNot: (host) => host.seccompMissing() },
  {
    name: 'landlock',
    gives: 'the kernel keeps a launched agent from all that the scope does not grant',
    whyNot: (host) => host.landlockMissing(),
  },
  { name: 'sandbox-runtime', gives: 'a sandbox around a launched agent or server', whyNot: (host) => host.sandboxMissing() },
  { name: 'fanotify', gives: 'attach asks before guarded files are opened; needs root', whyNot: (host) => host.fanotifyMissing() },
  {
    name: 'cgroup',
    gives: 'freezing and ending a tree as a whole',
    whyNot: (host) => (host.canMakeControlGroup() ? undefined : 'no control group (v2) can be made here'),
  },
  { name: 'user-namespaces', gives: 'room for a sandbox without root', whyNot: noUserNamespaces },
  {
    name: 'probe',
    gives: 'inside agents that are Node programs: files, processes, network, and the call they belong to',
    whyNot: () => undefined,
  },
];

function noProc({ procRoot }: CapabilityHost): string | undefined {
  const reader = procReader({ root: procRoot });
  return reader.pids().some((pid) => reader.stat(pid) !== undefined) ? undefined : 'there is no /proc that tells of processes';
}

function noProgram(host: CapabilityHost, name: 'ps' | 'lsof'): string | undefined {
  return host.hasProgram(name) ? undefined : `${name} is not installed`;
}

/** The kernel sends nothing to listeners in namespaces of their own, and does not say so. */
function noConnector(host: CapabilityHost): string | undefined {
  const system = host.native();
  if (system === undefined) return NEEDS_NATIVE;
  for (const [kind, initial] of INITIAL_NAMESPACES) {
    if (readlinkSync(join(host.procRoot, 'self/ns', kind)) !== `${kind}:[${initial}]`)
      return `this is a ${kind} namespace of its own, to which the kernel tells nothing`;
  }
  const socket = system.socket(AF_NETLINK, SOCK_DGRAM_CLOEXEC, NETLINK_CONNECTOR);
  if (socket < 0) return `the kernel has no connector (${errorName(socket)})`;
  try {
    const bound = system.bind(socket, processEvents());
    return bound < 0 ? `the kernel gives process events to root only (${errorName(bound)})` : undefined;
  } finally {
    closeSync(socket);
  }
}

function processEvents(): Buffer {
  const address = Buffer.alloc(12);
  address.writeUInt16LE(AF_NETLINK, 0);
  address.writeUInt32LE(CN_IDX_PROC, 8);
  return address;
}

const AF_NETLINK = 16;
const SOCK_DGRAM_CLOEXEC = 0o2000002;
const NETLINK_CONNECTOR = 11;
const CN_IDX_PROC = 1;
/** Fixed numbers of the kernel's own namespaces. */
const INITIAL_NAMESPACES = [
  ['user', 4_026_531_837],
  ['pid', 4_026_531_836],
] as const;

function noInotify(host: CapabilityHost): string | undefined {
  const opened = host.native()?.inotifyInit();
  if (opened === undefined) return NEEDS_NATIVE;
  if (opened < 0) return `no more inotify instances for this user (${errorName(opened)})`;
  closeSync(opened);
  return undefined;
}

function noPidfd(host: CapabilityHost): string | undefined {
  const opened = host.native()?.pidfdOpen(process.pid);
  if (opened === undefined) return NEEDS_NATIVE;
  if (opened < 0) return `the kernel has no pidfd (${errorName(opened)})`;
  closeSync(opened);
  return undefined;
}

const NEEDS_NATIVE = 'needs koffi on Linux';

/** What ordinary users may do; root may in any case, but an agent should not run as root. */
function noUserNamespaces({ procRoot, platform }: CapabilityHost): string | undefined {
  if (platform !== 'linux') return 'only Linux has them';
  const setting = (name: string): string =>
    existsSync(join(procRoot, 'sys', name)) ? readFileSync(join(procRoot, 'sys', name), 'latin1').trim() : '';
  if (lstatSync(join(procRoot, 'self/ns/user'), { throwIfNoEntry: false }) === undefined || setting('user/max_user_namespaces') === '0')
    return 'the kernel allows none';
  if (setting('kernel/unprivileged_userns_clone') === '0') return 'the kernel allows them to root only';
  if (setting('kernel/apparmor_restrict_unprivileged_userns') === '1') return 'AppArmor allows them to chosen programs only';
  return undefined;
}

function reasonOf(check: () => string | undefined): string | undefined {
  try {
    return check();
  } catch (error) {
    const text = error instanceof Error ? error.message : 'it failed';
    return text.split('\n', 1)[0]?.slice(0, MAX_REASON_LENGTH) ?? '';
  }
}

const MAX_REASON_LENGTH = 200;

function thisHost(): CapabilityHost {
  return {
    platform: process.platform,
    procRoot: '/proc',
    native,
    nativeMissing,
    canMakeControlGroup: () => makeControlGroup(process.pid)?.remove() ?? false,
    hasProgram: (name) => findProgram(name) !== undefined,
    seccompMissing: () => (process.platform === 'linux' ? kernelControlMissing() : 'only Linux has it'),
    landlockMissing,
    sandboxMissing,
    fanotifyMissing: () => (process.platform === 'linux' ? fanotifyMissing() : 'only Linux has it'),
  };
}

function landlockMissing(): string | undefined {
  const calls = native()?.kernel;
  if (calls === undefined) return nativeMissing() ?? 'koffi is missing';
  return landlockAbi(calls) > 0 ? undefined : 'the kernel has no landlock, or it is switched off: Linux 5.13 has it';
}

/** Whether it is there; `triedCapabilities` starts something in it. */
function sandboxMissing(): string | undefined {
  try {
    import.meta.resolve('@anthropic-ai/sandbox-runtime');
    return undefined;
  } catch {
    return 'it is not installed: npm install @anthropic-ai/sandbox-runtime';
  }
}
