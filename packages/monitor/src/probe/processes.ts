/**
 * Everything that starts a process goes through one of two functions below `child_process`: `spawn` of the handle that each
 * `ChildProcess` has, and `spawn` of the binding for the synchronous ones. They are the last to see what is started, after shells were
 * put in front, and after subscribers of diagnostics channels and getters of options had their chance to change it: so it is judged
 * and the environment completed there, and nowhere else.
 */
import { ChildProcess } from 'node:child_process';
import { constants } from 'node:os';
import type { ExecAction } from '../activity.ts';
import type { ChildEnvironment } from './child-environment.ts';
import type { Gate } from './gate.ts';
import type { AnyFunction } from './intrinsics.ts';
import { recheck } from './intrinsics.ts';
import { originals } from './originals.ts';
import type { Patches } from './patches.ts';

export function patchProcesses(patches: Patches, gate: Gate, environment: ChildEnvironment): void {
  let starting: ChildProcess | undefined;
  let refusal: Error | undefined;

  patches.method(ChildProcess.prototype, 'spawn', (original) => {
    return function (this: unknown, ...args) {
      if (!patches.active) return originals.apply(original, this, args);
      const before = starting;
      starting = this as ChildProcess;
      refusal = undefined;
      try {
        const result: unknown = originals.apply(original, this, args);
        if (refusal !== undefined) endRefused(this as ChildProcess, refusal);
        return result;
      } finally {
        starting = before;
        refusal = undefined;
      }
    };
  });

  patches.method(handlePrototype(), 'spawn', (original) => {
    return function (this: unknown, ...args) {
      if (!patches.active) return originals.apply(original, this, args);
      const taken = takeHandleArguments(args, environment);
      const refused = gate.refusal(execOf(taken));
      gate.paths.forget();
      if (refused === undefined) return originals.apply(original, this, taken.pass);
      if (starting === undefined || Reflect.get(starting, '_handle') !== this) throw refused;
      // As for a file that is not there, but that nothing was tried: Node tells it with an `error` event.
      refusal = refused;
      Reflect.set(this as object, 'pid', 0);
      return -constants.errno.ENOENT;
    };
  });

  const binding = syncBinding();
  if (binding === undefined) patches.missed.push('spawnSync');
  else {
    patches.method(binding, 'spawn', (original) => {
      return function (this: unknown, ...args) {
        if (!patches.active) return originals.apply(original, this, args);
        const options = takeSpawnOptions(args[0], environment);
        gate.check(execOf(options));
        gate.paths.forget();
        return originals.apply(original, this, [options, ...args.slice(1)]);
      };
    });
  }

  patches.method(process, 'execve', (original) => {
    return function (this: unknown, ...args) {
      if (!patches.active || typeof args[0] !== 'string') return originals.apply(original, this, args);
      const argv = Array.isArray(args[1]) ? listOf(args[1]) : [];
      const given = typeof args[2] === 'object' && args[2] !== null ? (args[2] as NodeJS.ProcessEnv) : process.env;
      gate.check(execOf({ file: args[0], args: argv }));
      return originals.apply(original, this, [args[0], args[1] === undefined ? undefined : argv, environment.complete(given)]);
    };
  });
}

interface Started {
  readonly file: unknown;
  readonly args?: unknown;
  readonly cwd?: unknown;
}

function execOf({ file, args, cwd }: Started): ExecAction {
  const exe = String(file);
  return {
    kind: 'exec',
    exe,
    argv: Array.isArray(args) ? (args as string[]) : [exe],
    cwd: typeof cwd === 'string' ? cwd : originals.cwd(),
  };
}

/** Node 24 passes one by one what earlier versions pass as an object. */
function takeHandleArguments(args: readonly unknown[], environment: ChildEnvironment): Started & { readonly pass: unknown[] } {
  if (typeof args[0] === 'object' && args[0] !== null) {
    const options = takeSpawnOptions(args[0], environment);
    return { ...options, pass: [options, ...args.slice(1)] };
  }
  const [file, argv, cwd, pairs, ...rest] = args;
  const started = { file, args: texts(argv), cwd: text(cwd) };
  return { ...started, pass: [file, started.args, started.cwd, environment.completePairs(pairsOf(pairs)), ...rest] };
}

function takeSpawnOptions(given: unknown, environment: ChildEnvironment): Started & { readonly envPairs: string[] } {
  const options = { __proto__: null, ...(given as { file?: unknown; args?: unknown; cwd?: unknown; envPairs?: unknown }) };
  return {
    ...options,
    file: text(options.file),
    args: texts(options.args),
    cwd: text(options.cwd),
    envPairs: environment.completePairs(pairsOf(options.envPairs)),
  };
}

/** Objects are made text once, as the binding would each time. */
function text(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  const made = `${value as unknown as string}`;
  recheck();
  return made;
}

function texts(value: unknown): unknown {
  return Array.isArray(value) ? listOf(value) : value;
}

function listOf(value: readonly unknown[]): string[] {
  const list = Array.from(value, String);
  recheck();
  return list;
}

/** Without any, a process inherits what this one has. */
function pairsOf(value: unknown): string[] {
  if (Array.isArray(value)) return listOf(value);
  return Object.entries(process.env).map(([name, each]) => `${name}=${each}`);
}

function handlePrototype(): object {
  const handle = Reflect.get(new ChildProcess(), '_handle') as { close(): void };
  const prototype = Object.getPrototypeOf(handle) as object;
  handle.close();
  return prototype;
}

/** What `process.binding` gives is the very object that `child_process` uses. Undefined where permissions forbid it. */
function syncBinding(): object | undefined {
  try {
    const binding: unknown = (process as unknown as { binding: AnyFunction }).binding('spawn_sync');
    return typeof binding === 'object' && binding !== null ? binding : undefined;
  } catch {
    return undefined;
  }
}

/** The `error` event that Node is about to emit tells why; output that never comes ends. */
function endRefused(child: ChildProcess, refusal: Error): void {
  Reflect.set(child, 'pid', undefined);
  for (const output of [child.stdout, child.stderr]) output?.push(null);
  // A channel to nobody would keep this process alive.
  if (child.connected) child.disconnect();
  const emit = child.emit.bind(child);
  Object.defineProperty(child, 'emit', {
    configurable: true,
    writable: true,
    value: (event: string | symbol, ...args: unknown[]): boolean => {
      if (event !== 'error') return emit(event, ...args);
      Reflect.deleteProperty(child, 'emit');
      return child.emit('error', refusal);
    },
  });
}
