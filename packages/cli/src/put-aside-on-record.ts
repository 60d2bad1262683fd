/**
 * What the ledger says of a file in quarantine, proven: its entry is in the log, the log is signed by the configured key, and the clear
 * text beside the entry is what the entry commits to. Whoever was watched may have written to all of these files.
 */
import { type Config, CountersignError, checkReceipt, clip, escapeForTerminal, readSigner } from '@countersign/core';
import { factsOf, makeReceipt, openRecords, type RecordFacts } from '@countersign/core/sqlite';
import { type RecordedFile, recordedFiles } from '@countersign/monitor';
import type { Io } from './io.ts';
import { passphraseFromFile } from './passphrase.ts';

/** @throws {CountersignError} `QUARANTINE_REFUSED` when the ledger has no such thing, or it cannot be proven; `LEDGER_*`, `KEY_*` */
export function putAsideOnRecord(config: Config, id: string, io: Io): RecordedFile {
  const { incident, session, index } = entryAbout(config.ledger.path, id);
  const item = provenFiles(config, index, io).find((each) => each.id === id);
  if (item === undefined) throw refused(id, 'the ledger does not prove what it says of it: run `countersign verify`');
  return { incident, session, item };
}

interface EntryAbout {
  readonly index: number;
  readonly incident: string;
  readonly session: string;
}

function entryAbout(path: string, id: string): EntryAbout {
  const reader = openRecords(path);
  let found: EntryAbout | undefined;
  try {
    for (const record of reader.records()) {
      const facts = factsOf(record, reader.container);
      if (facts.kind !== 'containment' || !recordedFiles(facts.shown.get('details')).some((item) => item.id === id)) continue;
      // Its manifest may have been set back to before.
      if (facts.event === 'restored') throw refused(id, `it was put back already: entry ${facts.index + 1} of the ledger`);
      found ??= entryOf(facts);
    }
  } finally {
    reader.close();
  }
  if (found !== undefined) return found;
  throw refused(
    id,
    'the ledger does not say that it was put aside, so nothing tells whether its manifest was edited; look at it and where it leads, then pass --unrecorded',
  );
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
