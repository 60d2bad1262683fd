/**
 * `fs`, `fs/promises` and what is built on them. One row per function: which arguments are paths, and what is done to them.
 *
 * A file that is open is not asked about again: reading and writing through descriptors and file handles was decided when they
 * were opened. Streams are not in the table, because they open through `fs.open`, which is; so they refuse with their `error` event.
 * What only tells that a file is there (`stat`, `access`, `exists`, `readlink`, `realpath`) is not judged.
 */
import fs from 'node:fs';
import promises from 'node:fs/promises';
import { CountersignError } from '@countersign/core/light';
import { option, takeOptions, takePath } from './arguments.ts';
import type { Gate } from './gate.ts';
import type { AnyFunction } from './intrinsics.ts';
import { within } from './intrinsics.ts';
import { originals } from './originals.ts';
import type { Patches } from './patches.ts';

type Kind = 'read' | 'write' | 'delete';

/** @returns what it amounts to, for the built-ins that are made of others. */
type Judge = (args: unknown[], gate: Gate) => Done | undefined;
interface Done {
  readonly kind: Kind;
  readonly path: string;
}

export function patchFiles(patches: Patches, gate: Gate): void {
  for (const [name, judge] of Object.entries(ROWS)) {
    patches.method(fs, `${name}Sync`, (original) => sync(original, judge, { patches, gate }));
    const own = SYNC_ONLY.has(name) ? sync : callback;
    patches.method(fs, name, (original) => own(original, judge, { patches, gate }));
    const ownPromise = name === 'watch' || name === 'glob' ? sync : promise;
    patches.method(promises, name, (original) => ownPromise(original, judge, { patches, gate }));
  }
}

/** Without a callback and not `...Sync`: they throw. */
const SYNC_ONLY = new Set(['watch', 'watchFile', 'openAsBlob']);

const reads = (at = 0): Judge => one('read', at);
const writes = (at = 0): Judge => one('write', at);

const ROWS: Readonly<Record<string, Judge>> = {
  open: (args, gate) => flagged(take(args, 0), flagsOf(args[1], 'r'), gate),
  readFile: withFlag(1, 'flag', 'r'),
  writeFile: withFlag(2, 'flag', 'w'),
  appendFile: withFlag(2, 'flag', 'a'),
  openAsBlob: reads(),
  opendir: reads(),
  readdir: reads(),
  watch: reads(),
  watchFile: reads(),
  mkdir: writes(),
  mkdtemp: writes(),
  mkdtempDisposable: writes(),
  truncate: writes(),
  chmod: writes(),
  lchmod: writes(),
  chown: writes(),
  lchown: writes(),
  utimes: writes(),
  lutimes: writes(),
  unlink: one('delete', 0),
  rmdir: removes,
  rm: removes,
  // The new name leads to the old file, and nothing of it tells so later: to make it is to read the file.
  link: (args, gate) => {
    both(args, gate, 'read', 'write');
    return undefined;
  },
  // Where a symbolic link leads is judged when it is followed.
  symlink: (args, gate) => {
    takeTarget(args);
    const made = one('write', 1)(args, gate);
    gate.paths.forget();
    return made;
  },
  copyFile: (args, gate) => {
    both(args, gate, 'read', 'write');
    return undefined;
  },
  cp: copies,
  rename: (args, gate) => {
    const from = take(args, 0);
    const to = take(args, 1);
    if (from === undefined || to === undefined) return undefined;
    gate.rename(from, to);
    gate.paths.forget();
    return undefined;
  },
  glob: (args, gate) => {
    // Lists names and no more. Where patterns lead to is not followed.
    args[1] = takeOptions(args[1], ['cwd']);
    const options = args[1];
    const root = option(options, 'cwd');
    const held = [root ?? '.'];
    const path = take(held, 0);
    if (root !== undefined && typeof options === 'object' && options !== null) Reflect.set(options, 'cwd', held[0]);
    if (path !== undefined) gate.file('read', path);
    return undefined;
  },
};

/** Puts what can be passed on in the place of the argument. @returns the path to judge */
function take(args: unknown[], at: number, orHandle = false): string | undefined {
  const { path, pass } = takePath(args[at], orHandle);
  args[at] = pass;
  return path;
}

function one(kind: Kind, at: number): Judge {
  return (args, gate) => {
    const path = take(args, at);
    if (path === undefined) return undefined;
    gate.file(kind, path);
    return { kind, path };
  };
}

function both(args: unknown[], gate: Gate, first: Kind, second: Kind): void {
  const from = take(args, 0);
  const to = take(args, 1);
  if (from !== undefined) gate.file(first, from);
  if (to !== undefined) gate.file(second, to);
}

function removes(args: unknown[], gate: Gate): undefined {
  const path = take(args, 0);
  args[1] = takeOptions(args[1], ['recursive']);
  if (path !== undefined) gate.file('delete', path, option(args[1], 'recursive') ? { recursive: true } : {});
  gate.paths.forget();
  return undefined;
}

/** A link's target is text, not a path to be followed from here. */
function takeTarget(args: unknown[]): void {
  const held = [args[0]];
  take(held, 0);
  args[0] = held[0];
}

/** What is below a copied folder is not named: the filter of `cp`, asked before each, is where it is judged. */
function copies(args: unknown[], gate: Gate): undefined {
  both(args, gate, 'read', 'write');
  const callbackOnly = typeof args[2] === 'function';
  const options = callbackOnly ? {} : (takeOptions(args[2], ['recursive', 'filter']) ?? {});
  if (typeof options === 'object') {
    const given = option(options, 'filter');
    Reflect.set(options, 'filter', (from: string, to: string): unknown => {
      within(() => {
        gate.file('read', from);
        gate.file('write', to);
      });
      return typeof given === 'function' ? given(from, to) : true;
    });
  }
  if (callbackOnly) args.splice(2, 0, options);
  else args[2] = options;
  return undefined;
}

function withFlag(at: number, name: string, byDefault: string): Judge {
  return (args, gate) => {
    const path = take(args, 0, true);
    args[at] = takeOptions(args[at], [name]);
    return flagged(path, flagsOf(option(args[at], name), byDefault), gate);
  };
}

function flagged(path: string | undefined, mode: 'read' | 'write' | 'both', gate: Gate): Done | undefined {
  if (path === undefined) return undefined;
  if (mode !== 'read') gate.file('write', path);
  if (mode !== 'write') gate.file('read', path);
  return { kind: mode === 'write' ? 'write' : 'read', path };
}

/** What Node does not know as flags it rejects; until then they count as both. */
function flagsOf(flags: unknown, byDefault: string): 'read' | 'write' | 'both' {
  const given = flags === undefined || flags === null || typeof flags === 'function' ? byDefault : flags;
  if (typeof given === 'string') return TEXT_FLAGS.get(given) ?? 'both';
  if (typeof given !== 'number') return 'both';
  const access = given & (fs.constants.O_WRONLY | fs.constants.O_RDWR);
  if (access === fs.constants.O_WRONLY) return 'write';
  return access === fs.constants.O_RDONLY && (given & (fs.constants.O_CREAT | fs.constants.O_TRUNC)) === 0 ? 'read' : 'both';
}

const TEXT_FLAGS = new Map<string, 'read' | 'write' | 'both'>([
  ...['r', 'rs', 'sr'].map((flag) => [flag, 'read'] as const),
  ...['w', 'wx', 'xw', 'a', 'ax', 'xa', 'as', 'sa'].map((flag) => [flag, 'write'] as const),
]);

interface Parts {
  readonly patches: Patches;
  readonly gate: Gate;
}

function sync(original: AnyFunction, judge: Judge, { patches, gate }: Parts): AnyFunction {
  return function (this: unknown, ...args) {
    if (!patches.active) return originals.apply(original, this, args);
    const done = judge(args, gate);
    if (done === undefined) return originals.apply(original, this, args);
    return gate.under(done.kind, done.path, () => originals.apply(original, this, args));
  };
}

function callback(original: AnyFunction, judge: Judge, parts: Parts): AnyFunction {
  const run = sync(original, judge, parts);
  return function (this: unknown, ...args) {
    const done = args.at(-1);
    try {
      return originals.apply(run, this, args);
    } catch (error) {
      // Node throws for bad arguments here as well; only a refusal is told through the callback.
      if (typeof done !== 'function' || !CountersignError.is(error)) throw error;
      originals.nextTick(done, error);
      return undefined;
    }
  };
}

function promise(original: AnyFunction, judge: Judge, parts: Parts): AnyFunction {
  const run = sync(original, judge, parts);
  return async function (this: unknown, ...args) {
    return originals.apply(run, this, args);
  };
}
