/** Modules whose native code opens files itself. */
import { takeOptions, takePath } from './arguments.ts';
import { escape } from './escapes.ts';
import type { Gate } from './gate.ts';
import type { AnyFunction } from './intrinsics.ts';
import { within } from './intrinsics.ts';
import { originals } from './originals.ts';
import type { Patches } from './patches.ts';
import { namedFiles } from './sqlite-statements.ts';

/** Databases are files that are read and written, and statements can name others. */
export function patchSqlite(patches: Patches, gate: Gate, exports: object): void {
  const original = Reflect.get(exports, 'DatabaseSync') as NewableFunction & { readonly prototype: object };
  const replacement = new Proxy(original, {
    construct(target, args: unknown[], newTarget: NewableFunction): object {
      if (patches.active) within(() => (args[0] = judgedDatabase(args[0], gate)));
      return originals.construct(target, args, newTarget) as object;
    },
  });
  patches.value(exports, 'DatabaseSync', replacement);
  patches.value(original.prototype, 'constructor', replacement);
  for (const name of ['exec', 'prepare']) {
    patches.method(original.prototype, name, (run) => {
      return function (this: unknown, ...args) {
        if (patches.active && typeof args[0] === 'string') judgeStatements(args[0], gate);
        return originals.apply(run, this, args);
      };
    });
  }
  // Its statements are put together out of sight.
  patches.method(original.prototype, 'createTagStore', (run) => refusing(run, patches, gate, 'a tag store of node:sqlite'));
  patches.method(original.prototype, 'loadExtension', (run) => {
    return function (this: unknown, ...args) {
      if (!patches.active) return originals.apply(run, this, args);
      const { path, pass } = takePath(args[0]);
      args[0] = pass;
      if (path !== undefined) gate.check({ kind: 'load', path: gate.paths.follow(path) });
      return originals.apply(run, this, args);
    };
  });
  patches.method(exports, 'backup', (run) => {
    return async function (this: unknown, ...args) {
      if (patches.active) args[1] = judgedDatabase(args[1], gate);
      return originals.apply(run, this, args);
    };
  });
}

function judgedDatabase(given: unknown, gate: Gate): unknown {
  const { path, pass } = takePath(given);
  if (path !== undefined) judgeDatabase(path, gate);
  return pass;
}

/** SQLite takes `file:` URIs as text as well. */
function judgeDatabase(name: string, gate: Gate): void {
  const path = name.startsWith('file:') ? uriPath(name) : name;
  if (path === ':memory:' || path === '') return;
  gate.file('write', path);
  gate.file('read', path);
}

/** file:path, file:/path, file:///path, file://localhost/path, each with ?options or #fragment. */
function uriPath(uri: string): string {
  const rest = uri.slice('file:'.length).replace(/[?#].*$/s, '');
  const path = rest.startsWith('//') ? rest.slice(2).replace(/^[^/]*/, '') : rest;
  const bytes = Buffer.from(path)
    .toString('latin1')
    .replaceAll(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  // SQLite ends a name at a null byte.
  return Buffer.from(bytes.split('\0', 1)[0] as string, 'latin1').toString();
}

function judgeStatements(sql: string, gate: Gate): void {
  for (const file of namedFiles(sql)) {
    if (file !== undefined) {
      judgeDatabase(file, gate);
      continue;
    }
    const refusal = gate.refusal({ kind: 'load', path: 'node:sqlite' }, escape('a statement that works out the name of a database'));
    if (refusal !== undefined) throw refusal;
  }
}

/** What is below a preopened folder is opened by native code: no file of it would be seen. */
export function patchWasi(patches: Patches, gate: Gate, exports: object): void {
  const original = Reflect.get(exports, 'WASI') as NewableFunction & { readonly prototype: object };
  const replacement = new Proxy(original, {
    construct(target, args: unknown[], newTarget: NewableFunction): object {
      if (patches.active) within(() => (args[0] = judgedFolders(args[0], gate)));
      return originals.construct(target, args, newTarget) as object;
    },
  });
  patches.value(exports, 'WASI', replacement);
  patches.value(original.prototype, 'constructor', replacement);
}

function judgedFolders(given: unknown, gate: Gate): unknown {
  const options = takeOptions(given, ['preopens']) as { preopens?: unknown } | undefined;
  if (options?.preopens !== undefined && options.preopens !== null) {
    const refusal = gate.refusal({ kind: 'load', path: 'node:wasi' }, escape('a folder opened for WebAssembly'));
    if (refusal !== undefined) throw refusal;
  }
  return options;
}

function refusing(original: AnyFunction, patches: Patches, gate: Gate, what: string): AnyFunction {
  return function (this: unknown, ...args) {
    const refusal = patches.active ? gate.refusal({ kind: 'load', path: 'node:sqlite' }, escape(what)) : undefined;
    if (refusal !== undefined) throw refusal;
    return originals.apply(original, this, args);
  };
}
