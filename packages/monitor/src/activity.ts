/**
 * What a process tree did, as a sensor saw it. Names, paths, arguments and addresses in it are chosen by whatever is watched: they
 * are an attack until escaped for the medium they go to, and redacted before they go anywhere.
 */

/** A pid alone may be another process by now. `start`: ticks since boot on Linux, seconds since 1970 where `ps` tells it. */
export interface ProcessId {
  readonly pid: number;
  readonly start: number;
}

/** Who did it, as far as it could be read. */
export interface Actor extends ProcessId {
  readonly parent?: number;
  /** What runs, resolved; ends in ` (deleted)` where the file is gone. */
  readonly exe?: string;
  readonly argv?: readonly string[];
  readonly cwd?: string;
}

export interface FileAction {
  readonly kind: 'read' | 'write' | 'delete';
  /** Absolute, as the process named it. */
  readonly path: string;
  /** Where it led, links followed; absent when it was not looked up. */
  readonly resolved?: string;
  /** Of a write or delete: the file was there before this session. Absent: not known. */
  readonly existed?: boolean;
  /**
   * What a plain opening does not do. `truncate`: it is cut, whatever is written then. `overwrite`: it is opened to be written and not to be
   * read. `name`: a file gets one more name, or that name is given to a link, a pipe or a socket.
   */
  readonly by?: 'truncate' | 'overwrite' | 'name';
  /** Of a delete: with all that is below it, in one act. */
  readonly recursive?: true;
}

export interface RenameAction {
  readonly kind: 'rename';
  readonly path: string;
  readonly to: string;
  /** Where their folders led, links followed; absent when that was not looked up, or led to the same. */
  readonly resolved?: string;
  readonly resolved_to?: string;
  readonly existed?: boolean;
}

export interface ExecAction {
  readonly kind: 'exec';
  readonly exe: string;
  readonly argv: readonly string[];
  readonly cwd?: string;
  /** There were so many more arguments, or their texts were so long, that not all is told here. They were judged. */
  readonly cut?: true;
}

/** A process more in the tree. */
export interface SpawnAction {
  readonly kind: 'spawn';
  readonly child: ProcessId;
}

export interface ExitAction {
  readonly kind: 'exit';
  readonly code?: number;
  readonly signal?: string;
}

export interface ConnectAction {
  readonly kind: 'connect';
  readonly protocol: 'tcp' | 'udp' | 'unix';
  /** Name it was resolved from, when a sensor saw that. Lower case, no final dot. */
  readonly host?: string;
  /** Numeric, or the path of a socket. */
  readonly address?: string;
  readonly port?: number;
}

export interface DnsAction {
  readonly kind: 'dns';
  readonly name: string;
  readonly addresses?: readonly string[];
}

/** Native code taken into a process. */
export interface LoadAction {
  readonly kind: 'load';
  readonly path: string;
}

/** Another process's memory, or control over it. */
export interface MemoryAction {
  readonly kind: 'memory';
  readonly target: number;
  /**
   * Absent: its memory, as a debugger. `signal`: sent or arranged for. `group`: a signal or a priority, to a whole group that it is of.
   * `control`: its limits or how it is scheduled. `handle`: a descriptor that means it.
   */
  readonly by?: 'signal' | 'group' | 'control' | 'handle';
}

/** A system call that could not be read, so that nobody can tell what it would have done. It was refused where anything is. */
export interface UnreadableAction {
  readonly kind: 'unreadable';
  /** Its name: `openat`, `execve` ... */
  readonly call: string;
  /** What of it: `the path`. */
  readonly what: string;
}

/** What the whole tree used at one time. Absent figures were not read. */
export interface ResourceAction {
  readonly kind: 'resource';
  readonly processes: number;
  /** Of one core, in percent; since the reading before. */
  readonly cpu_percent?: number;
  readonly rss_bytes?: number;
  readonly threads?: number;
  readonly fds?: number;
  /** Since the session began. */
  readonly read_bytes?: number;
  readonly write_bytes?: number;
}

export type Action =
  | FileAction
  | RenameAction
  | ExecAction
  | SpawnAction
  | ExitAction
  | ConnectAction
  | DnsAction
  | LoadAction
  | MemoryAction
  | UnreadableAction
  | ResourceAction;
export type ActionKind = Action['kind'];

/**
 * The call it belongs to, strongest way first. `scope`: the probe saw it in the call's own async scope. `marker`: the process
 * carries the call's id in its environment. `tree`: an ancestor does. `window`: the one call that was in flight on the server. Only
 * with `call` is it exact; `candidates` are the calls it may belong to; neither: unattributed. Never a guess.
 */
export interface Attribution {
  readonly method: 'scope' | 'marker' | 'tree' | 'window' | 'none';
  readonly call?: string;
  readonly candidates?: readonly string[];
}

/** What a sensor emits. */
export interface Observation {
  /** UTC, milliseconds. */
  readonly at: number;
  readonly sensor: string;
  /** `before`: it has not happened yet, and can still be refused. */
  readonly phase: 'before' | 'after';
  /** Absent when the sensor cannot tell (inotify). */
  readonly actor?: Actor;
  readonly action: Action;
  readonly attribution?: Attribution;
}

/** An observation in its place in a session. */
export interface Activity extends Observation {
  /** From 1, without gaps. */
  readonly seq: number;
  readonly attribution: Attribution;
}
