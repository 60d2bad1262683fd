/** An activity made ready for the rules: paths in one spelling, programs, destination. */
import type { Activity, ExecAction, RenameAction } from '../activity.ts';
import { type Destination, destinationOf } from './destination.ts';
import type { Doubles } from './doubles.ts';
import type { Folders } from './folders.ts';
import { isPlain, normalPath, type PathSpelling } from './path-text.ts';
import { DELETED, type Programs, programsOf } from './programs.ts';

export type Use = 'read' | 'write' | 'delete';

/** A file that is used. Of a file under two names both are judged. */
export interface Touch {
  readonly use: Use;
  readonly path: string;
  /** It was there before the session; undefined when nobody knows. */
  readonly existed: boolean | undefined;
  /** For a rename, where it went. */
  readonly to?: string;
  /** It is a key, it holds a secret: once that was asked. Several families do. */
  isKey: boolean | undefined;
  isSecret: boolean | undefined;
}

export interface Seen {
  readonly activity: Activity;
  readonly at: number;
  readonly seq: number;
  readonly touches: readonly Touch[];
  readonly programs?: Programs;
  readonly destination?: Destination;
  /** What the process runs, in one spelling; '' when it is not known. */
  readonly exe: string;
  /** Another sensor told of it already: what counts does not count it twice. */
  readonly isDouble: boolean;
}

export function seenOf(activity: Activity, folders: Folders, doubles: Doubles, cwdOf?: (pid: string) => string | undefined): Seen {
  const { action, actor } = activity;
  const plain = actor?.cwd === undefined && cwdOf === undefined;
  const spelling: PathSpelling = plain
    ? folders.spelling
    : { ...folders.spelling, ...(actor?.cwd?.startsWith('/') === true && { cwd: actor.cwd }), ...(cwdOf !== undefined && { cwdOf }) };
  const base = {
    activity,
    at: activity.at,
    seq: activity.seq,
    exe: exeOf(actor?.exe ?? '', spelling),
    isDouble: doubles.isDouble(activity),
  };
  switch (action.kind) {
    case 'read':
    case 'write':
    case 'delete':
      return { ...base, touches: touchesOf(action.kind, action.path, action.resolved, action.existed, spelling) };
    case 'rename':
      return { ...base, touches: movesOf(action, spelling) };
    case 'load':
      return { ...base, touches: touchesOf('read', action.path, undefined, undefined, spelling) };
    case 'exec':
      return { ...base, exe: exeOf(action.exe, spelling), touches: [], programs: programsOf(withExe(action)) };
    case 'connect':
      return { ...base, touches: [], destination: destinationOf(action) };
    case 'dns':
    case 'exit':
    case 'memory':
    case 'unreadable':
    case 'resource':
    case 'spawn':
      return { ...base, touches: [] };
    default:
      action satisfies never;
      return { ...base, touches: [] };
  }
}

function touchesOf(
  use: Use,
  path: string,
  resolved: string | undefined,
  existed: boolean | undefined,
  spelling: PathSpelling,
): readonly Touch[] {
  const named = normalPath(path, spelling);
  const real = resolved === undefined || resolved === path ? named : normalPath(resolved, spelling);
  return real === named
    ? [{ use, path: named, existed, isKey: undefined, isSecret: undefined }]
    : [
        { use, path: named, existed, isKey: undefined, isSecret: undefined },
        { use, path: real, existed, isKey: undefined, isSecret: undefined },
      ];
}

/** Where it really is moved from and to comes first: that is what is counted. */
function movesOf({ path, to, resolved, resolved_to, existed }: RenameAction, spelling: PathSpelling): readonly Touch[] {
  const move = (from: string, target: string): readonly Touch[] => {
    const [one, other] = [normalPath(from, spelling), normalPath(target, spelling)];
    return [
      { use: 'delete', path: one, existed, to: other, isKey: undefined, isSecret: undefined },
      { use: 'write', path: other, existed: undefined, isKey: undefined, isSecret: undefined },
    ];
  };
  const named = move(path, to);
  return resolved === undefined && resolved_to === undefined ? named : [...move(resolved ?? path, resolved_to ?? to), ...named];
}

/** A program does many things one after the other: the last one that needs no other spelling. */
let plainExe = '';

function exeOf(exe: string, spelling: PathSpelling): string {
  if (exe === '' || (exe === plainExe && !spelling.folds)) return exe;
  if (isPlain(exe) && !exe.endsWith(DELETED) && !spelling.folds) return (plainExe = exe);
  const text = exe.endsWith(DELETED) ? exe.slice(0, -DELETED.length) : exe;
  return text.startsWith('/') ? normalPath(text, spelling) : text;
}

function withExe(action: ExecAction): ExecAction {
  return action.exe === '' ? { ...action, exe: action.argv[0] ?? '' } : action;
}
