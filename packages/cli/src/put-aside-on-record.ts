/**
 * What the ledger says of files in quarantine, proven: the entry is in the log, the log is signed by the configured key, and the clear
 * text beside the entry is what the entry commits to. Whoever was watched may have written to all of these files.
 */
import { type Config, CountersignError, checkReceipt, clip, escapeForTerminal, readSigner } from '@countersign/core';
import { factsOf, makeReceipt, openRecords, type RecordFacts } from '@countersign/core/sqlite';
import { type RecordedFile, recordedFiles } from '@countersign/monitor';
import type { Io } from './io.ts';
import { passphraseFromFile } from './passphrase.ts';

/** Why nothing is proven of a file. */
export interface Unproven {
  readonly why: string;
}

export interface OnRecord {
  /** That it was put aside. */
  readonly aside: RecordedFile | Unproven;
  /** Number of the entry that says it was put back. */
  readonly back: number | undefined;
}

/** @throws {CountersignError} `QUARANTINE_REFUSED` when the ledger has no such thing, or it cannot be proven; `LEDGER_*`, `KEY_*` */
export function putAsideOnRecord(config: Config, id: string, io: Io): RecordedFile {
  const { aside, back } = allOnRecord(config, [id], io)[0] ?? { aside: NOT_ON_RECORD, back: undefined };
  // Its manifest may have been set back to before.
  if (back !== undefined) throw refused(id, putBackAlready(back));
  if ('why' in aside) throw refused(id, aside.why);
  return aside;
}

export function putBackAlready(entry: number): string {
  return `it was put back already: entry ${entry} of the ledger`;
}

/**
 * Of each id, in one pass over the ledger.
 *
 * @throws {CountersignError} `LEDGER_*`, `KEY_*`
 */
export function allOnRecord(config: Config, ids: readonly string[], io: Io): readonly OnRecord[] {
  const told = toldOf(config.ledger.path, new Set(ids));
  const proven = new Map<number, ReturnType<typeof recordedFiles>>();
  return ids.map((id) => {
    const { entry, back } = told.get(id) ?? {};
    if (entry === undefined) return { aside: NOT_ON_RECORD, back };
    const { index, incident, session } = entry;
    const files = proven.get(index) ?? provenFiles(config, index, io);
    proven.set(index, files);
    const item = files.find((each) => each.id === id);
    return { aside: item === undefined ? UNPROVEN : { incident, session, item }, back };
  });
}

const NOT_ON_RECORD: Unproven = {
  why: 'the ledger does not say that it was put aside, so nothing tells whether its manifest was edited; look at it and where it leads, then pass --unrecorded',
};
const UNPROVEN: Unproven = { why: 'the ledger does not prove what it says of it: run `countersign verify`' };

interface EntryAbout {
  readonly index: number;
  readonly incident: string;
  readonly session: string;
}

interface Told {
  /** The first that says that it was put aside. */
  entry?: EntryAbout | undefined;
  back?: number;
}

function toldOf(path: string, ids: ReadonlySet<string>): ReadonlyMap<string, Told> {
  const all = new Map<string, Told>();
  if (ids.size === 0) return all;
  const reader = openRecords(path);
  try {
    for (const record of reader.records()) {
      const facts = factsOf(record, reader.container);
      if (facts.kind !== 'containment') continue;
      for (const { id } of recordedFiles(facts.shown.get('details'))) {
        if (id === undefined || !ids.has(id)) continue;
        const told = all.get(id) ?? {};
        all.set(id, told);
        if (facts.event === 'restored') told.back ??= facts.index + 1;
        else told.entry ??= entryOf(facts);
      }
    }
  } finally {
    reader.close();
  }
  return all;
}

function entryOf({ index, event, incident, session }: RecordFacts): EntryAbout | undefined {
  return event === 'quarantined' && incident !== undefined && session !== undefined ? { index, incident, session } : undefined;
}

function provenFiles({ ledger }: Config, index: number, io: Io): ReturnType<typeof recordedFiles> {
  const { path, key, origin } = ledger;
  const publicKeys = key === undefined ? [] : [readSigner(key, origin, passphraseOf(io)).vkey];
  const report = checkReceipt(makeReceipt(path, { index }).text, { publicKeys, origin });
  const isProven = key === undefined ? report.status !== 'invalid' && report.inclusion === 'proven' : report.status === 'valid';
  return isProven ? recordedFiles(report.entry?.shown['details']) : [];
}

function passphraseOf({ env, cwd }: Io): string | undefined {
  const file = env['COUNTERSIGN_PASSPHRASE_FILE'];
  return file === undefined || file === '' ? undefined : passphraseFromFile(file, cwd);
}

function refused(id: string, why: string): CountersignError {
  return new CountersignError('QUARANTINE_REFUSED', `quarantine ${clip(escapeForTerminal(id), 64)}: ${why}`);
}
