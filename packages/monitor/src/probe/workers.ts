/** Threads get the preload as processes do. Their file is read by them, and judged here. */
import workerThreads from 'node:worker_threads';
import { takeOptions, takePath } from './arguments.ts';
import type { ChildEnvironment } from './child-environment.ts';
import type { Gate } from './gate.ts';
import { within } from './intrinsics.ts';
import { originals } from './originals.ts';
import type { Patches } from './patches.ts';

const NAMES = [
  'env',
  'eval',
  'execArgv',
  'argv',
  'workerData',
  'transferList',
  'stdin',
  'stdout',
  'stderr',
  'resourceLimits',
  'name',
  'trackUnmanagedFds',
];

/** @param isOwn - one of core's own threads, started by core: it does the ledger's work and no agent's. */
export function patchWorkers(patches: Patches, gate: Gate, environment: ChildEnvironment, isOwn: (file: string) => boolean): void {
  const original = workerThreads.Worker;
  const replacement = new Proxy(original, {
    construct(target, args: unknown[], newTarget: NewableFunction): object {
      if (!patches.active) return originals.construct(target, args, newTarget) as object;
      return within(() => judgedStart(target, args, newTarget));
    },
  });
  const judgedStart = (target: NewableFunction, args: readonly unknown[], newTarget: NewableFunction): object => {
    const options = takeOptions(args[1] ?? {}, NAMES) as Record<string, unknown>;
    const isCode = Boolean(options['eval']);
    const taken = isCode ? { path: undefined, pass: args[0] } : takeFile(args[0]);
    if (taken.path !== undefined) {
      if (isOwn(taken.path)) return originals.construct(target, [taken.pass, options], newTarget) as object;
      gate.file('read', taken.path);
    }
    return start(target, taken.pass, completed(options, environment), newTarget);
  };
  patches.value(workerThreads, 'Worker', replacement);
  patches.value(original.prototype, 'constructor', replacement);
}

/** A URL stays one, for what comes after its path. `data:` URLs hold their code themselves. */
function takeFile(value: unknown): { readonly path: string | undefined; readonly pass: unknown } {
  if (typeof value !== 'object' || value === null) return takePath(value);
  const href: unknown = Reflect.get(value, 'href');
  const url = typeof href === 'string' ? URL.parse(href) : null;
  if (url === null || url.protocol !== 'file:') return { path: undefined, pass: url ?? takePath(value).pass };
  return { path: takePath(url).path, pass: url };
}

/**
 * A thread that is given an environment takes its options from `NODE_OPTIONS` in it. It gets a copy also where it asked to share
 * this one's (`SHARE_ENV`): code in here could change what is shared before the thread reads it.
 */
function completed(options: Record<string, unknown>, environment: ChildEnvironment): Record<string, unknown> {
  if (environment.isEmpty) return options;
  const given = options['env'];
  const isOwn = typeof given === 'object' && given !== null;
  // Flags of the command line reach a thread with an environment of its own only when they are named.
  if (!isOwn && options['execArgv'] === undefined) options['execArgv'] = [...process.execArgv];
  options['env'] = environment.complete(isOwn ? Object.fromEntries(Object.entries(given)) : process.env);
  return options;
}

/** Some flags of the command line are not for threads: Node names them, and they are left out. */
function start(target: NewableFunction, file: unknown, options: Record<string, unknown>, newTarget: NewableFunction): object {
  try {
    return originals.construct(target, [file, options], newTarget) as object;
  } catch (error) {
    const flags = options['execArgv'];
    if (!(error instanceof Error && 'code' in error && error.code === 'ERR_WORKER_INVALID_EXEC_ARGV') || !Array.isArray(flags)) throw error;
    const allowed = flags.filter((flag) => !error.message.includes(String(flag).split('=')[0] as string));
    if (allowed.length === flags.length) throw error;
    return originals.construct(target, [file, { ...options, execArgv: allowed }], newTarget) as object;
  }
}
