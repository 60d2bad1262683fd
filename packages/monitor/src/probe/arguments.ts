/**
 * Arguments as code hands them to a built-in, read once: what is judged is what is passed on. Objects can answer differently
 * each time they are asked (getters, proxies), so what goes on to Node is a value that cannot.
 */
import nodeUrl from 'node:url';
import types from 'node:util/types';
import { recheck } from './intrinsics.ts';

const { defineProperty, get } = Reflect;

/** Node rejects it by its type. Without a prototype, so that nothing which was put there makes a URL of it. */
const NOT_A_PATH: object = Object.freeze({ __proto__: null, toString: () => 'not a path' });

export interface TakenPath {
  /** To be judged; undefined for what names no path: a descriptor, a file handle, what Node will reject. */
  readonly path: string | undefined;
  /** To be passed on. */
  readonly pass: unknown;
}

/** @param orHandle - the built-in takes an open file (`FileHandle`) in the place of a path. */
export function takePath(value: unknown, orHandle = false): TakenPath {
  if (typeof value === 'string') return { path: value.includes('\0') ? undefined : value, pass: value };
  if (typeof value !== 'object' || value === null) return { path: undefined, pass: value };
  if (types.isProxy(value)) return takeUrl(value);
  if (types.isUint8Array(value)) return takeBytes(value);
  // A file handle, or nothing at all to Node: without `href` it is no URL, and its reader of options runs no code of theirs.
  if (orHandle && !('href' in value)) return { path: undefined, pass: value };
  return takeUrl(value);
}

/** Bytes can be changed by whoever holds them: they are copied, as text where that is the same. */
function takeBytes(value: Uint8Array): TakenPath {
  const copy = Buffer.from(value);
  const text = copy.toString('utf8');
  if (text.includes('\0')) return { path: undefined, pass: text };
  return { path: text, pass: Buffer.from(text, 'utf8').equals(copy) ? text : copy };
}

/** Node takes whatever has `href` and `protocol` for a URL. */
function takeUrl(value: object): TakenPath {
  const href: unknown = get(value, 'href');
  if (typeof href !== 'string' || href === '' || !get(value, 'protocol')) return { path: undefined, pass: NOT_A_PATH };
  recheck();
  const url = URL.parse(href);
  if (url === null) return { path: undefined, pass: NOT_A_PATH };
  try {
    const path = nodeUrl.fileURLToPath(url);
    return { path: path.includes('\0') ? undefined : path, pass: path };
  } catch {
    // No file URL, an encoded slash ...: a URL of our own making, so that Node says what is wrong with it.
    return { path: undefined, pass: url };
  }
}

/** Options read once. Text and functions are what they are; the names are those that matter although they may not be enumerable. */
export function takeOptions(value: unknown, names: readonly string[]): unknown {
  if (typeof value !== 'object' || value === null) return value;
  const taken: Record<string, unknown> = {};
  for (const key in value) defineProperty(taken, key, { value: get(value, key), enumerable: true, writable: true, configurable: true });
  recheck();
  for (const name of names) if (!Object.hasOwn(taken, name) && name in value) taken[name] = get(value, name);
  recheck();
  return taken;
}

export function option(options: unknown, name: string): unknown {
  return typeof options === 'object' && options !== null ? Reflect.get(options, name) : undefined;
}
