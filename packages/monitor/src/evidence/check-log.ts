/** Whether the files of a log folder are those the ledger was told of. */
import { createHash } from 'node:crypto';
import { lstatSync } from 'node:fs';
import { basename, join, relative } from 'node:path';
import { openFile } from '@countersign/core';
import { incidentIds } from './incident-files.ts';
import { INCIDENT_FOLDER, namesIn, segmentName, segmentNumbers, sessionFolder } from './log-folder.ts';
import { INCIDENT_TOPIC, REMOVED_TOPIC, SEGMENT_TOPIC, SESSION_TOPIC } from './note-queue.ts';
import { SESSION_FILE } from './session-file.ts';

/**
 * `matches`: the ledger has this hash. `changed`: it has another one. `not-recorded`: it has none, as of a segment that is still
 * written, or was when its writer died. `missing`: it has one, and there is no file. `removed`: there is none, and the ledger says why.
 */
export type FileStatus = 'matches' | 'changed' | 'not-recorded' | 'missing' | 'removed' | 'unreadable';

export interface CheckedFile {
  /** From the log folder. */
  readonly path: string;
  readonly status: FileStatus;
  readonly bytes?: number;
  /** Of what is there now, hex. */
  readonly sha256?: string;
}

/** What notes of a ledger say, collected note by note. */
export class RecordedFiles {
  /** Hashes by path from the log folder; more than one where a session of the same name ran again, or a file was written anew. */
  readonly hashes: Map<string, Set<string>> = new Map();
  readonly removed: Set<string> = new Set();

  /** Told of every note there is; those of others are passed over. `data` may be anything. */
  add(topic: unknown, data: unknown): void {
    if (typeof data !== 'object' || data === null) return;
    const { session, segment, segments, sha256, incident, incidents } = data as Readonly<Record<string, unknown>>;
    switch (topic) {
      case SEGMENT_TOPIC:
        if (typeof session === 'string' && isNumber(segment)) this.#hash(join(folderOf(session), segmentName(segment)), sha256);
        return;
      case SESSION_TOPIC:
        if (typeof session === 'string') this.#hash(join(folderOf(session), SESSION_FILE), sha256);
        return;
      case INCIDENT_TOPIC:
        if (typeof incident === 'string') this.#hash(join(INCIDENT_FOLDER, `${incident}.json`), sha256);
        return;
      case REMOVED_TOPIC:
        if (typeof session === 'string') {
          for (const number of listOf(segments).filter(isNumber)) this.removed.add(join(folderOf(session), segmentName(number)));
          this.removed.add(join(folderOf(session), SESSION_FILE));
        }
        for (const id of listOf(incidents)) if (typeof id === 'string') this.removed.add(join(INCIDENT_FOLDER, `${id}.json`));
        return;
    }
  }

  #hash(path: string, sha256: unknown): void {
    if (typeof sha256 !== 'string' || !/^[0-9a-f]{64}$/.test(sha256)) return;
    const known = this.hashes.get(path);
    if (known === undefined) this.hashes.set(path, new Set([sha256]));
    else known.add(sha256);
  }
}

/**
 * Every file of the log folder, and every one there should be.
 *
 * @param isMeant - by path from the log folder; default all.
 * @throws system errors when the folder cannot be read.
 */
export function checkActivityLog(
  dir: string,
  recorded: RecordedFiles,
  isMeant: (path: string) => boolean = () => true,
): readonly CheckedFile[] {
  const found = filesOf(dir).filter(isMeant);
  const there = found.map((path) => checkFile(dir, path, recorded));
  const known = new Set(found);
  const gone = [...recorded.hashes.keys()]
    .filter((path) => !known.has(path) && isMeant(path))
    .map((path): CheckedFile => ({ path, status: recorded.removed.has(path) ? 'removed' : 'missing' }));
  return [...there, ...gone];
}

/** Names of sessions' folders, as the notes' sessions lead to them. */
function folderOf(session: string): string {
  return basename(sessionFolder('.', session));
}

function filesOf(dir: string): readonly string[] {
  const sessions = namesIn(dir)
    .filter((name) => name !== INCIDENT_FOLDER && lstatSync(join(dir, name), { throwIfNoEntry: false })?.isDirectory() === true)
    .flatMap((name) => {
      const facts = join(name, SESSION_FILE);
      const hasFacts = lstatSync(join(dir, facts), { throwIfNoEntry: false })?.isFile() === true;
      return [...segmentNumbers(join(dir, name)).map((number) => join(name, segmentName(number))), ...(hasFacts ? [facts] : [])];
    });
  return [...sessions, ...incidentIds(dir).map(({ path }) => relative(dir, path))];
}

function checkFile(dir: string, path: string, { hashes }: RecordedFiles): CheckedFile {
  const read = hashFile(join(dir, path));
  if (read === undefined) return { path, status: 'unreadable' };
  const known = hashes.get(path);
  return { path, status: known === undefined ? 'not-recorded' : known.has(read.sha256) ? 'matches' : 'changed', ...read };
}

const CHUNK_BYTES = 1_048_576;
/** Nothing we write is that large; a hole costs nobody anything to make, and would be read for hours. */
const MAX_FILE_BYTES = 4_294_967_296;

/** Undefined when it cannot be read, or is larger than anything of ours. As far as it reached when it was opened. */
export function hashFile(path: string): { readonly bytes: number; readonly sha256: string } | undefined {
  try {
    const file = openFile(path);
    try {
      if (file.sizeBytes > MAX_FILE_BYTES) return undefined;
      const hash = createHash('sha256');
      const chunk = Buffer.alloc(CHUNK_BYTES);
      for (let position = 0; position < file.sizeBytes; ) {
        const read = file.read(chunk, position);
        if (read === 0) return undefined;
        hash.update(chunk.subarray(0, read));
        position += read;
      }
      return { bytes: file.sizeBytes, sha256: hash.digest('hex') };
    } finally {
      file.close();
    }
  } catch {
    return undefined;
  }
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function isNumber(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) > 0;
}
