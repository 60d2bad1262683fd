/**
 * What is known of a file in quarantine, beside it, for example
 *
 *     { "v": 1, "id": "9f86...", "state": "kept", "incident": "1c8a...", "session": "s1", "kind": "file", "path": "/home/ana/.bashrc.d/x",
 *       "mode": 420, "uid": 1000, "gid": 1000, "mtime_ns": "1767323045000000000", "size": 12, "links": 1, "sha256": "2c26...",
 *       "dev": "65024", "ino": "131", "at": 1767323046000, "seq": 42, "by": { "pid": 4711, "start": 1, "exe": "/usr/bin/node" },
 *       "salt": "4a5c..." }
 *
 * `planned` is written before anything is moved, so that after a crash the file can still be put back; `kept` once it lies here;
 * `restored` when it was put back. It is readable by its owner alone, and the path in it is as it was: it has to lead back.
 *
 * Whoever was watched may have the same user and write into it, so the ledger gets a hash of it. The salt keeps that hash from telling
 * a path that was redacted.
 */
import { createHash, randomBytes } from 'node:crypto';
import { type FileHandle, open, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { canonicalize, openFile, strictJson } from '@countersign/core';

export interface Manifest {
  readonly v: 1;
  readonly id: string;
  readonly state: 'planned' | 'kept' | 'restored';
  readonly incident: string;
  readonly session: string;
  readonly kind: 'file' | 'link';
  readonly path: string;
  /** Permission bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtime_ns: string;
  readonly size: number;
  /** Names the content had; more than one: it can still be reached by another. */
  readonly links: number;
  /** Of the content, of a link of where it leads. Absent: over the limit, or it was still written. */
  readonly sha256?: string;
  readonly dev: string;
  readonly ino: string;
  readonly at: number;
  readonly seq: number;
  readonly by?: { readonly pid: number; readonly start: number; readonly exe?: string };
  readonly restored_at?: number;
  /** 128 random bits, hex. Absent: of a version that recorded no hash of it. */
  readonly salt?: string;
}

export const ITEM_ID: RegExp = /^[0-9a-f]{32}$/;
export const MANIFEST_NAME = 'manifest.json';
export const CONTENT_NAME = 'content';
const MAX_MANIFEST_BYTES = 65_536;

/** Of everything but whether it was put back, hex: what the ledger is told. */
export function manifestHash({ state: _state, restored_at: _at, ...manifest }: Manifest): string {
  return createHash('sha256')
    .update(`countersign/quarantine/v1\n${canonicalize(manifest)}`)
    .digest('hex');
}

/** Durable when it resolves. */
export async function writeManifest(folder: string, manifest: Manifest): Promise<void> {
  // Nobody can have laid a link of this name there, to have another file overwritten.
  const fresh = join(folder, `.${MANIFEST_NAME}.${randomBytes(8).toString('hex')}`);
  const file = await open(fresh, 'wx', 0o600);
  try {
    await file.writeFile(`${JSON.stringify(manifest)}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(fresh, join(folder, MANIFEST_NAME));
  await syncFolder(folder);
}

/** Undefined when there is none, or none of ours. */
export async function readManifest(folder: string): Promise<Manifest | undefined> {
  let file: ReturnType<typeof openFile>;
  try {
    // A pipe in its place is not waited for.
    file = openFile(join(folder, MANIFEST_NAME));
  } catch {
    return undefined;
  }
  try {
    if (file.sizeBytes > MAX_MANIFEST_BYTES) return undefined;
    const bytes = Buffer.alloc(file.sizeBytes);
    const value = strictJson(bytes.subarray(0, file.read(bytes, 0)))?.value;
    return isManifest(value) ? value : undefined;
  } catch {
    return undefined;
  } finally {
    file.close();
  }
}

export async function syncFolder(path: string): Promise<void> {
  let folder: FileHandle | undefined;
  try {
    folder = await open(path, 'r');
    await folder.sync();
  } catch {
    // Not every file system can; what was moved is there all the same.
  } finally {
    await folder?.close();
  }
}

function isManifest(value: unknown): value is Manifest {
  if (typeof value !== 'object' || value === null) return false;
  const is = new Map<string, unknown>(Object.entries(value));
  const count = (name: string): boolean => Number.isSafeInteger(is.get(name)) && Number(is.get(name)) >= 0;
  const text = (name: string, shape: RegExp): boolean => {
    const each = is.get(name);
    return typeof each === 'string' && shape.test(each);
  };
  return (
    is.get('v') === 1 &&
    text('id', ITEM_ID) &&
    text('state', /^(?:planned|kept|restored)$/) &&
    text('incident', /^/) &&
    text('session', /^/) &&
    text('kind', /^(?:file|link)$/) &&
    text('path', /^\//) &&
    text('mtime_ns', /^-?\d{1,20}$/) &&
    text('dev', /^\d{1,20}$/) &&
    text('ino', /^\d{1,20}$/) &&
    ['mode', 'uid', 'gid', 'size', 'links', 'at', 'seq'].every(count) &&
    (!is.has('sha256') || text('sha256', /^[0-9a-f]{64}$/)) &&
    (!is.has('salt') || text('salt', /^[0-9a-f]{32}$/))
  );
}
