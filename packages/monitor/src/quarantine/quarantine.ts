/**
 * Where files go that a stopped tree had written outside of its scope:
 *
 *     <folder>/<id>/manifest.json     what it was, where it was, who wrote it
 *     <folder>/<id>/content           the file itself, with the mode and times it had
 *
 * Folders are 0700. A file's own mode is left alone: another name of it may be in use.
 */
import { randomBytes } from 'node:crypto';
import { realpathSync } from 'node:fs';
import { mkdir, readdir, rm } from 'node:fs/promises';
import { basename, dirname, join, sep } from 'node:path';
import { CountersignError, clip, createRedactor, escapeForTerminal, type Redactor } from '@countersign/core';
import { makePrivateFolder } from '../evidence/log-folder.ts';
import { CONTENT_NAME, ITEM_ID, type Manifest, manifestHash, readManifest, writeManifest } from './manifest.ts';
import { type Found, find, Left, look, type MoveLimits, moveInto } from './move.ts';
import { codeOf, type Place, placeOf } from './place.ts';
import { objectionTo, putBackFrom, type RecordedFile, refused } from './restore.ts';
import { MAX_ROLLBACK_ITEMS, type RollbackItem, type RollbackResult } from './rollback.ts';
import { MAX_WRITTEN_FILES, type WrittenFile } from './written-files.ts';

export interface QuarantineOptions {
  /** Absolute; made when it is not there. */
  readonly folder: string;
  /** When the session began, UTC milliseconds: what is older was there before. */
  readonly startedAt: number;
  /** Folders and files of Countersign itself, absolute: never touched. */
  readonly own?: readonly string[];
  /** Larger files are not copied between file systems, and have no hash; default 1 GiB. */
  readonly maxBytes?: number;
  readonly redactor?: Redactor;
  readonly clock?: { nowMs(): number };
}

export interface TakeAbout {
  readonly incident: string;
  readonly session: string;
  /** Counted by `WrittenFiles`. */
  readonly irreversible?: { readonly deletions: number; readonly connections: number };
  /** Files beyond what was noted. */
  readonly missed?: number;
}

export interface Quarantine {
  /** Moves what is surely of this session; the rest is left and told. Rejects only when the folder cannot be used. */
  take(files: readonly WrittenFile[], about: TakeAbout): Promise<RollbackResult>;
  /**
   * Puts it back where it was, with content, mode and modification time, and its owner where this user may.
   *
   * @param recorded - what the ledger says of it; `unrecorded`: whoever asks has looked themselves at what lies there, and where it goes.
   * @throws {CountersignError} `QUARANTINE_REFUSED`: no such id, put back already, something else is there, its folder is gone, or what
   * lies in quarantine is not what was put there
   */
  restore(id: string, recorded: RecordedFile | 'unrecorded'): Promise<Manifest>;
  /** Newest last. As they lie there: whoever was stopped may have edited them. */
  list(): Promise<readonly Manifest[]>;
  /** What speaks against a manifest being what the ledger says; undefined when nothing does. Its content is looked at when it is restored. */
  objection(manifest: Manifest, recorded: RecordedFile): string | undefined;
}

/** In the folder of the log. */
export const QUARANTINE_FOLDER = 'quarantine';
export const DEFAULT_MAX_BYTES: number = 1024 ** 3;
/** File systems stamp births by a clock that lags behind. */
const BIRTH_SLACK_MS = 1_000;
const MAX_SHOWN_PATH_CHARS = 1_024;
const MAX_RAW_PATH_CHARS = 16_384;

/** @throws {CountersignError} `OPTIONS_INVALID` for a folder that others may use */
export function quarantine(options: QuarantineOptions): Quarantine {
  return new FileQuarantine(options);
}

class FileQuarantine implements Quarantine {
  readonly #options: QuarantineOptions;
  /** Without links, as it was when this was made: one that is laid on the way later leads nobody elsewhere. */
  readonly #folder: string;
  readonly #redactor: Redactor;
  readonly #limits: MoveLimits;

  constructor(options: QuarantineOptions) {
    const { maxBytes = DEFAULT_MAX_BYTES, folder } = options;
    if (!folder.startsWith('/') || !Number.isSafeInteger(maxBytes) || maxBytes < 0)
      throw new CountersignError('OPTIONS_INVALID', 'a quarantine takes an absolute folder, and a limit of whole bytes');
    this.#options = options;
    this.#folder = withoutLinks(folder);
    this.#redactor = options.redactor ?? createRedactor();
    this.#limits = { maxCopyBytes: maxBytes, maxHashBytes: maxBytes };
  }

  async take(files: readonly WrittenFile[], about: TakeAbout): Promise<RollbackResult> {
    const startedAt = this.#now();
    const items = files.length === 0 ? [] : await this.#takeAll(files.slice(0, MAX_WRITTEN_FILES), about);
    const moved = items.filter(({ id }) => id !== undefined);
    const left = items.filter(({ id }) => id === undefined);
    const missed = (about.missed ?? 0) + Math.max(0, files.length - MAX_WRITTEN_FILES);
    return {
      quarantined: moved.length,
      left: left.length + missed,
      items: [...moved, ...left].slice(0, MAX_ROLLBACK_ITEMS),
      deletions: about.irreversible?.deletions ?? 0,
      connections: about.irreversible?.connections ?? 0,
      duration_ms: Math.max(0, this.#now() - startedAt),
    };
  }

  async restore(id: string, recorded: RecordedFile | 'unrecorded'): Promise<Manifest> {
    const held = await this.#held(id);
    if (held === undefined) throw unknown(id);
    try {
      const manifest = await readManifest(held.folder);
      if (manifest === undefined || manifest.id !== id) throw unknown(id);
      if (manifest.state === 'restored') throw refused(manifest, 'it was put back already');
      const objection = recorded === 'unrecorded' ? undefined : this.objection(manifest, recorded);
      if (objection !== undefined) throw refused(manifest, objection);
      await putBackFrom(held.folder, manifest, this.#limits);
      const restored: Manifest = { ...manifest, state: 'restored', restored_at: this.#now() };
      await writeManifest(held.folder, restored);
      return restored;
    } finally {
      await held.close();
    }
  }

  /** A link in its place would have us write and remove where it leads. */
  async #held(id: string): Promise<Place | undefined> {
    if (!ITEM_ID.test(id)) return undefined;
    try {
      const place = await placeOf(join(this.#folder, id, CONTENT_NAME));
      return typeof place === 'string' ? undefined : place;
    } catch {
      return undefined;
    }
  }

  async list(): Promise<readonly Manifest[]> {
    const names = await readdir(this.#folder).catch((error: unknown) => {
      if (codeOf(error) === 'ENOENT') return [];
      throw error;
    });
    const manifests = await Promise.all(names.filter((name) => ITEM_ID.test(name)).map((name) => readManifest(join(this.#folder, name))));
    return manifests.filter((each) => each !== undefined).toSorted((a, b) => a.at - b.at || a.seq - b.seq);
  }

  objection(manifest: Manifest, recorded: RecordedFile): string | undefined {
    return objectionTo(manifest, this.#shown(manifest.path), recorded);
  }

  async #takeAll(files: readonly WrittenFile[], about: TakeAbout): Promise<readonly RollbackItem[]> {
    makePrivateFolder(this.#folder, 'quarantine');
    const into = await placeOf(join(this.#folder, CONTENT_NAME));
    if (typeof into === 'string') {
      const why = 'a link was laid on the way to it, or it went, since the session began: look who did that';
      throw new CountersignError('OPTIONS_INVALID', `nothing is put into the quarantine folder ${this.#shown(this.#folder)}: ${why}`);
    }
    try {
      const items: RollbackItem[] = [];
      // One after the other: a thousand open files would be another trouble.
      for (const file of files) items.push(await this.#take(file, about, into));
      return items;
    } finally {
      await into.close();
    }
  }

  async #take(file: WrittenFile, about: TakeAbout, into: Place): Promise<RollbackItem> {
    const path = this.#shown(file.path);
    try {
      const kept = await this.#moved(file, about, into);
      const { id, sha256, size } = kept;
      return { path, id, size, ...(sha256 !== undefined && { sha256 }), manifest: manifestHash(kept) };
    } catch (error) {
      return { path, left: error instanceof Left ? error.reason : 'failed' };
    }
  }

  /** @throws {Left}, or an error of the system */
  async #moved(file: WrittenFile, about: TakeAbout, into: Place): Promise<Manifest> {
    // What may have been there before is nobody's to take away.
    if (file.existed === true || file.renamed === true) throw new Left('existed');
    if (this.#isOwn(file.path)) throw new Left('own');
    const place = await placeOf(file.path);
    if (typeof place === 'string') throw new Left(place);
    let found: Found | undefined;
    try {
      found = await find(place);
      if (!this.#isNew(found, file)) throw new Left('existed');
      return await this.#kept(this.#manifestOf(file, about, found), place, found, into);
    } finally {
      await found?.file?.close();
      await place.close();
    }
  }

  /** When nobody saw it made, its birth has to be in the session for sure. Not every file system tells: then it is 0. */
  #isNew({ stats }: Found, { existed }: WrittenFile): boolean {
    const birthMs = Number(stats.birthtimeNs / 1_000_000n);
    if (existed === undefined) return birthMs >= this.#options.startedAt;
    return birthMs === 0 || birthMs >= this.#options.startedAt - BIRTH_SLACK_MS;
  }

  /** @param into - our folder, held open. */
  async #kept(planned: Manifest, place: Place, found: Found, into: Place): Promise<Manifest> {
    await mkdir(into.beside(planned.id), { mode: 0o700 });
    const own = await this.#held(planned.id);
    // Somebody put something else in its place at once.
    if (own === undefined) throw new Left('failed');
    try {
      await writeManifest(own.folder, planned);
      const kept: Manifest = { ...planned, ...(await moveInto(own.folder, place, found, this.#limits)), state: 'kept' };
      await writeManifest(own.folder, kept);
      return kept;
    } catch (error) {
      // Where something lies, its manifest stays.
      if ((await look(own.path)) === undefined) await rm(into.beside(planned.id), { recursive: true, force: true });
      throw error;
    } finally {
      await own.close();
    }
  }

  #manifestOf({ path, seq, by }: WrittenFile, { incident, session }: TakeAbout, { kind, stats }: Found): Manifest {
    return {
      v: 1,
      id: randomBytes(16).toString('hex'),
      state: 'planned',
      incident,
      session,
      kind,
      path,
      mode: Number(stats.mode & 0o7777n),
      uid: Number(stats.uid),
      gid: Number(stats.gid),
      mtime_ns: String(stats.mtimeNs),
      size: Number(stats.size),
      links: Number(stats.nlink),
      dev: String(stats.dev),
      ino: String(stats.ino),
      at: this.#now(),
      seq,
      salt: randomBytes(16).toString('hex'),
      ...(by !== undefined && {
        by: { ...by, ...(by.exe !== undefined && { exe: this.#redactor.text(by.exe.slice(0, MAX_RAW_PATH_CHARS)) }) },
      }),
    };
  }

  #shown(path: string): string {
    return clip(escapeForTerminal(this.#redactor.text(path.slice(0, MAX_RAW_PATH_CHARS))), MAX_SHOWN_PATH_CHARS);
  }

  #isOwn(path: string): boolean {
    return [this.#options.folder, this.#folder, ...(this.#options.own ?? [])].some(
      (own) => path === own || path.startsWith(own.endsWith(sep) ? own : `${own}${sep}`),
    );
  }

  #now(): number {
    return this.#options.clock?.nowMs() ?? Date.now();
  }
}

/** Of what is not there yet: of the folder it will be made in. */
function withoutLinks(path: string): string {
  try {
    return realpathSync.native(path);
  } catch (error) {
    // Whatever else is wrong with it, whoever uses it is told.
    return codeOf(error) === 'ENOENT' && dirname(path) !== path ? join(withoutLinks(dirname(path)), basename(path)) : path;
  }
}

function unknown(id: string): CountersignError {
  return refused({ id: ITEM_ID.test(id) ? id : 'of that id' }, 'there is nothing of that name; `list` shows what there is');
}
