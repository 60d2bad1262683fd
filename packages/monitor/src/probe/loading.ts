/** Code and settings that are loaded: modules as files, native code, what reaches below the built-ins. */
import module from 'node:module';
import nodeUrl from 'node:url';
import v8 from 'node:v8';
import { takePath } from './arguments.ts';
import { doubtful, escape } from './escapes.ts';
import type { Gate } from './gate.ts';
import type { AnyFunction } from './intrinsics.ts';
import { within } from './intrinsics.ts';
import { originals } from './originals.ts';
import type { Patches } from './patches.ts';
import { patchSqlite, patchWasi } from './rare-modules.ts';

/** @param threadsArePreloaded - the thread that customization hooks run in has the probe as well. */
export function patchLoading(patches: Patches, gate: Gate, threadsArePreloaded: boolean): void {
  patches.method(process, 'dlopen', (original) => {
    return function (this: unknown, ...args) {
      if (!patches.active) return originals.apply(original, this, args);
      const { path, pass } = takePath(args[1]);
      args[1] = pass;
      if (path !== undefined) gate.check({ kind: 'load', path: gate.paths.follow(path) });
      return originals.apply(original, this, args);
    };
  });
  patches.method(process, 'loadEnvFile', (original) => fileArgument(original, 0, 'read', '.env', patches, gate));
  patches.method(v8, 'writeHeapSnapshot', (original) => fileArgument(original, 0, 'write', undefined, patches, gate));
  patches.method(process.report, 'writeReport', (original) => fileArgument(original, 0, 'write', undefined, patches, gate));
  for (const name of ['binding', '_linkedBinding']) patches.method(process, name, (original) => binding(original, patches, gate));
  patches.method(module, 'register', (original) => {
    return function (this: unknown, ...args) {
      if (patches.active && !threadsArePreloaded) {
        const refusal = gate.refusal({ kind: 'load', path: String(args[0]) }, doubtful('a thread of module hooks'));
        if (refusal !== undefined) throw refusal;
      }
      return originals.apply(original, this, args);
    };
  });
  patchRareModules(patches, gate);
}

function fileArgument(
  original: AnyFunction,
  at: number,
  kind: 'read' | 'write',
  byDefault: string | undefined,
  patches: Patches,
  gate: Gate,
): AnyFunction {
  return function (this: unknown, ...args) {
    if (!patches.active) return originals.apply(original, this, args);
    const { path = args[at] === undefined ? byDefault : undefined, pass } = takePath(args[at]);
    if (args.length > at) args[at] = pass;
    if (path !== undefined) gate.file(kind, path);
    return originals.apply(original, this, args);
  };
}

/** Those that do nothing: descriptions, constants, arithmetic. All others open files, start processes or connect, unjudged. */
const HARMLESS_BINDINGS = new Set(['buffer', 'config', 'constants', 'icu', 'natives', 'os', 'util', 'uv', 'zlib']);

function binding(original: AnyFunction, patches: Patches, gate: Gate): AnyFunction {
  return function (this: unknown, ...args) {
    if (!patches.active) return originals.apply(original, this, args);
    const name = String(args[0]);
    if (!HARMLESS_BINDINGS.has(name)) {
      const refusal = gate.refusal({ kind: 'load', path: `node:internal/${name}` }, escape('process.binding'));
      if (refusal !== undefined) throw refusal;
    }
    return originals.apply(original, this, [name, ...args.slice(1)]);
  };
}

/**
 * A file that is imported is read. The loader of ES modules took its own copy of the readers when Node started; hooks are asked
 * before it. Modules that warn when they are loaded are patched when somebody asks for them, by whichever way.
 */
function patchRareModules(patches: Patches, gate: Gate): void {
  const rare = new Map<string, (patches: Patches, gate: Gate, exports: object) => void>([
    ['node:sqlite', patchSqlite],
    ['node:wasi', patchWasi],
  ]);
  const patchRare = (name: string, load: (name: string) => unknown): void => {
    const patch = rare.get(name);
    if (patch === undefined) return;
    rare.delete(name);
    patch(patches, gate, load(name) as object);
    module.syncBuiltinESMExports();
  };

  let loadBuiltin: (name: string) => unknown = process.getBuiltinModule.bind(process);
  patches.method(process, 'getBuiltinModule', (original) => {
    loadBuiltin = (name) => originals.apply(original, process, [name]);
    return function (this: unknown, ...args) {
      const name = typeof args[0] === 'string' ? args[0] : undefined;
      if (patches.active && name !== undefined) patchRare(name.startsWith('node:') ? name : `node:${name}`, loadBuiltin);
      return originals.apply(original, this, args);
    };
  });

  const hooks = module.registerHooks({
    load(url, context, next) {
      if (!patches.active) return next(url, context);
      const path = within(() => {
        if (url.startsWith('node:')) patchRare(url, loadBuiltin);
        if (!url.startsWith('file:')) return undefined;
        const file = nodeUrl.fileURLToPath(url);
        gate.file('read', file);
        return file;
      });
      return path === undefined ? next(url, context) : gate.under('read', path, () => next(url, context));
    },
  });
  patches.onUndo(() => hooks.deregister());
}
