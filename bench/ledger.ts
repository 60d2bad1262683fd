/**
 * Appending to the ledger, unsigned.
 *
 * "append alone": one decision after the other, each awaited, through the SQLite store. That is the whole commit of an
 * allowed call: session and version checked, entry serialised, hashed and inserted, its opening, the call's row, the tree,
 * the checkpoint, one durable commit, and the look whether the file is still the same. Against it stands one durable
 * insert of a ready string of the same size.
 *
 * "64 callers": 64 loops append at once, so that commits are shared. Against them stands a plain loop without queue, tree
 * or promises that serialises, hashes and inserts the same bodies in transactions of 64. The bounded figure appends notes,
 * one row each on both sides; a decision writes three rows where the loop writes one, and is printed only.
 */
import { entryText } from '../packages/core/src/ledger/body.ts';
import type { EntryBody, NoteBody } from '../packages/core/src/ledger/entry.ts';
import { leafHash } from '../packages/core/src/ledger/merkle.ts';
import type { Unit } from '../packages/core/src/store.ts';
import { ARGS, DECISION, decideUnit } from './calls.ts';
import { atLeast, atMost, type Claim, printed } from './figure.ts';
import { benchStore, rawTable } from './fixtures.ts';
import { timeRatio } from './measure.ts';

const CALLERS = 64;
const alone = 'append alone, unsigned / raw durable insert';
const notes = '64 callers, unsigned appends / plain loop in batches of 64, rows per second';
const decisions = '64 callers, unsigned decisions / plain loop in batches of 64, rows per second';

export const ledgerClaims: readonly Claim[] = [
  { name: alone, measure: async () => atMost(alone, await appendAlone(), 1.7) },
  { name: notes, measure: async () => atLeast(notes, await crowd(noteUnit, noteBody), 0.8) },
  { name: decisions, measure: async () => printed(decisions, await crowd(decideUnit, () => DECISION)) },
];

async function appendAlone(): Promise<number> {
  const store = benchStore('none');
  const raw = rawTable();
  const ready = entryText(DECISION, { atMs: Date.now(), writer: store.writer });
  const ratio = await timeRatio(
    async (count) => {
      for (let i = 0; i < count; i++) await store.commit(decideUnit());
    },
    (count) => {
      for (let i = 0; i < count; i++) raw.insert(ready);
    },
    { count: 20 },
  );
  raw.database.close();
  await store.close();
  return ratio;
}

/** Rows per second of 64 callers over rows per second of the loop. */
async function crowd(unit: () => Unit, body: () => EntryBody): Promise<number> {
  const store = benchStore('none');
  const { database } = rawTable();
  database.exec('CREATE TABLE hashed (leaf TEXT NOT NULL, body TEXT NOT NULL) STRICT');
  const insert = database.prepare<[string, string]>('INSERT INTO hashed (leaf, body) VALUES (?, ?)');
  const stamp = { atMs: Date.now(), writer: store.writer };
  const loopMsOverStoreMs = await timeRatio(
    (batches) => {
      for (let batch = 0; batch < batches; batch++) {
        database.exec('BEGIN IMMEDIATE');
        for (let i = 0; i < CALLERS; i++) {
          const text = entryText(body(), stamp);
          insert.run(leafHash(text), text);
        }
        database.exec('COMMIT');
      }
    },
    async (batches) => {
      const caller = async (): Promise<void> => {
        for (let i = 0; i < batches; i++) await store.commit(unit());
      };
      await Promise.all(Array.from({ length: CALLERS }, caller));
    },
    { count: 10 },
  );
  database.close();
  await store.close();
  return loopMsOverStoreMs;
}

/** About as large as a decision. */
function noteBody(): NoteBody {
  return { kind: 'note', topic: 'bench', data: { args: ARGS, of: DECISION.policy } };
}

function noteUnit(): Unit {
  return { kind: 'record', body: noteBody() };
}
