/** Whether the newest entries are covered by a copy elsewhere, as far as the ledger itself tells. Asks nobody. */
import { existsSync } from 'node:fs';
import { timestampAnchor, witnessAnchor } from '@countersign/connect';
import {
  addCosignature,
  CountersignError,
  type LedgerConfig,
  parseNote,
  parseVerifierKey,
  type TimestampConfig,
  timestampsOf,
} from '@countersign/core';
import { readLedger } from '@countersign/core/sqlite';
import type { Verdict } from './finding.ts';

const NEXT = 'run `countersign anchor`, which says what keeps a copy from arriving';

export function anchors({ anchors: configured, path }: LedgerConfig): Verdict {
  const witnesses = configured.flatMap((anchor) => ('witness' in anchor ? [anchor.witness] : []));
  // A witness that could not be asked at all should be told of before the first call is refused.
  for (const witness of witnesses) witnessAnchor(witness);
  const authorities = configured.flatMap((anchor) => ('rfc3161' in anchor ? [anchor.rfc3161] : []));
  const stamping = authorities.map((each) => ({ ...each, name: timestampAnchor(each).name }));
  const count = `${configured.length} ${configured.length === 1 ? 'anchor' : 'anchors'}`;
  if (!existsSync(path)) return { status: 'ok', message: `${count} will get copies once there is a ledger` };
  const reader = readLedger(path);
  try {
    const entries = reader.head()?.size ?? 0;
    const copied = reader.copied();
    if (entries === 0) return { status: 'ok', message: `${count} will get copies once there are entries` };
    if (copied === undefined) return { status: 'warn', message: `nothing was copied to the ${count} yet`, next: NEXT };
    const missing = witnesses.filter(({ vkey }) => !isCosigned(copied.note, vkey)).map(({ vkey }) => parseVerifierKey(vkey).name);
    const covers = `the newest copy covers ${copied.size} of ${entries} entries`;
    if (missing.length > 0) return { status: 'warn', message: `${covers}; not cosigned by ${missing.join(', ')}`, next: NEXT };
    const unstamped = stamping.filter((each) => !isStamped(copied.note, each)).map(({ name }) => name);
    if (unstamped.length > 0) return { status: 'warn', message: `${covers}; no timestamp of ${unstamped.join(', ')}`, next: NEXT };
    // While a guard runs, the last minute is on its way.
    if (copied.size < entries) return { status: 'warn', message: covers, next: NEXT };
    const cosigned =
      witnesses.length === 0 ? '' : `, cosigned by ${witnesses.length === 1 ? 'the witness' : `all ${witnesses.length} witnesses`}`;
    const stamped =
      stamping.length === 0 ? '' : `, timestamped by ${stamping.length === 1 ? 'the authority' : `all ${stamping.length} authorities`}`;
    return { status: 'ok', message: `${covers}${cosigned}${stamped}; at which of the anchors is not looked at here` };
  } finally {
    reader.close();
  }
}

/** Under the certificates configured for it: by which of several authorities that these vouch for is not looked at. */
function isStamped(note: string, { certificates }: TimestampConfig): boolean {
  try {
    return timestampsOf(note, certificates).length > 0;
  } catch (error) {
    if (CountersignError.is(error) && error.code === 'NOTE_INVALID') return false;
    throw error;
  }
}

/** Looks at stored text that anybody may have written: what does not verify is not there. */
function isCosigned(note: string, vkey: string): boolean {
  try {
    const { text } = parseNote(note);
    addCosignature(note, note.slice(text.length + 1), parseVerifierKey(vkey));
    return true;
  } catch (error) {
    if (CountersignError.is(error)) return false;
    throw error;
  }
}
