/**
 * Appending to the ledger, unsigned.
 *
 * "append alone": one append after the other, each awaited, through the SQLite store: stamped, serialised, hashed, inserted
 * and joined to the tree, a new checkpoint, one durable commit, and the look whether the file is still the same. Against
 * it stands one durable insert of the ready text. Bounded is a note of about 1 KB, the ledger's part alone. A decision is
 * printed beside it: it also reads its session and writes an opening and a call row, which are the guard's, not the log's.
 *
 * "64 callers": 64 loops append at once and share commits. Against them stands a plain loop without queue, promises, tree
 * or checkpoint that serialises, hashes and inserts the same bodies in transactions of 64. Here too a note is bounded, one
 * row on both sides; for decisions the loop writes the same three rows.
 *
 * "64 callers / one caller" is rows per second of the same store with the same notes; it tells how much of a commit the
 * callers share. "raw batches of ready strings" is one prepared insert of the ready text, in transactions of 64.
 */
import { canonicalize, type Json } from '@countersign/core';
import type { Database } from 'better-sqlite3';
import { entryText } from '../packages/core/src/ledger/body.ts';
import type { EntryBody, NoteBody } from '../packages/core/src/ledger/entry.ts';
import { leafHash } from '../packages/core/src/ledger/merkle.ts';
import type { Unit } from '../packages/core/src/store-units.ts';
import { ARGS, DECISION, decideUnit, RESULT } from './calls.ts';
import { bareLog } from './crowd-floor.ts';
import { atLeast, atMost, type Claim, printed } from './figure.ts';
import { benchStore, rawTable } from './fixtures.ts';
import { ONE_BY_ONE, timeRatio } from './measure.ts';

const CALLERS = 64;
export const alone = 'append alone, unsigned / raw durable insert';
export const overOne = '64 callers / one caller, unsigned appends, rows per second';
export const overReady = '64 callers, unsigned appends / raw batches of 64 ready strings, rows per second';
const decisionAlone = 'append of a decision alone, unsigned / raw durable insert';
const notes = '64 callers, unsigned appends / plain loop in batches of 64, rows per second';
const notesFloor = 'floor: 64 callers, rows with their tree, tiles, checkpoint and promise / plain loop in batches of 64, rows per second';
const decisions = '64 callers, unsigned decisions / plain loop in batches of 64, rows per second';

export const ledgerClaims: readonly Claim[] = [
  { name: alone, measure: async () => atMost(alone, await noteAlone(), 1.7) },
  { name: decisionAlone, measure: async () => printed(decisionAlone, await appendAlone(decideUnit, DECISION)) },
  { name: notes, measure: async () => atLeast(notes, await crowd(noteUnit, noteLoop), 0.8) },
  { name: notesFloor, measure: async () => printed(notesFloor, await crowdOnBareLog()) },
  { name: decisions, measure: async () => printed(decisions, await crowd(decideUnit, decisionLoop)) },
  { name: overOne, measure: async () => atLeast(overOne, await crowdOverOne(), 5) },
  { name: overReady, measure: async () => atLeast(overReady, await crowdOverReady(), 0.25) },
];

export function noteAlone(): Promise<number> {
  return appendAlone(noteUnit, noteBody());
}

async function appendAlone(unit: () => Unit, body: EntryBody): Promise<number> {
  const store = benchStore('none');
  const raw = rawTable();
  const ready = entryText(body, { atMs: Date.now(), writer: store.writer });
  const ratio = await timeRatio(
    async (count) => {
      for (let i = 0; i < count; i++) await store.commit(unit());
    },
    (count) => {
      for (let i = 0; i < count; i++) raw.insert(ready);
    },
    ONE_BY_ONE,
  );
  raw.database.close();
  await store.close();
  return ratio;
}

type PrepareLoop = (database: Database) => (stamp: Stamp) => void;

/** Rows per second of 64 callers over rows per second of the loop. */
async function crowd(unit: () => Unit, prepareLoop: PrepareLoop): Promise<number> {
  const store = benchStore('none');
  const ratio = await loopOver(prepareLoop, store.writer, (batches) => callAtOnce(() => store.commit(unit()), batches));
  await store.close();
  return ratio;
}

async function crowdOnBareLog(): Promise<number> {
  const writer = 'w'.repeat(32);
  const log = bareLog(writer);
  const ratio = await loopOver(noteLoop, writer, (batches) => callAtOnce(() => log.commit(noteBody()), batches));
  log.close();
  return ratio;
}

/** The time of a loop over the same number of rows / that of `work`. */
async function loopOver(prepareLoop: PrepareLoop, writer: string, work: (batches: number) => Promise<void>): Promise<number> {
  const { database } = rawTable();
  const append = prepareLoop(database);
  const stamp = { atMs: Date.now(), writer };
  const ratio = await timeRatio(
    (batches) => {
      for (let batch = 0; batch < batches; batch++) {
        database.exec('BEGIN IMMEDIATE');
        for (let i = 0; i < CALLERS; i++) append(stamp);
        database.exec('COMMIT');
      }
    },
    work,
    { count: 10, rounds: 15 },
  );
  database.close();
  return ratio;
}

async function callAtOnce(call: () => Promise<unknown>, each: number): Promise<void> {
  const caller = async (): Promise<void> => {
    for (let i = 0; i < each; i++) await call();
  };
  await Promise.all(Array.from({ length: CALLERS }, caller));
}

export async function crowdOverOne(): Promise<number> {
  const store = benchStore('none');
  const oneMsOverCrowdMs = await timeRatio(
    async (batches) => {
      for (let i = 0; i < batches * CALLERS; i++) await store.commit(noteUnit());
    },
    (batches) => callAtOnce(() => store.commit(noteUnit()), batches),
    { count: 2, slices: 3, rounds: 7 },
  );
  await store.close();
  return oneMsOverCrowdMs;
}

export async function crowdOverReady(): Promise<number> {
  const store = benchStore('none');
  const raw = rawTable();
  const ready = entryText(noteBody(), { atMs: Date.now(), writer: store.writer });
  const rawMsOverCrowdMs = await timeRatio(
    (batches) => {
      for (let batch = 0; batch < batches; batch++) {
        raw.database.exec('BEGIN IMMEDIATE');
        for (let i = 0; i < CALLERS; i++) raw.insert(ready);
        raw.database.exec('COMMIT');
      }
    },
    (batches) => callAtOnce(() => store.commit(noteUnit()), batches),
    { count: 10 },
  );
  raw.database.close();
  await store.close();
  return rawMsOverCrowdMs;
}

type Stamp = Parameters<typeof entryText>[1];

function noteLoop(database: Database): (stamp: Stamp) => void {
  const insert = prepareEntries(database);
  return (stamp) => insert(noteBody(), stamp);
}

function prepareEntries(database: Database): (body: EntryBody, stamp: Stamp) => void {
  database.exec('CREATE TABLE hashed (leaf TEXT NOT NULL, body TEXT NOT NULL) STRICT');
  const insert = database.prepare<[string, string]>('INSERT INTO hashed (leaf, body) VALUES (?, ?)');
  return (body, stamp) => {
    const text = entryText(body, stamp);
    insert.run(leafHash(text), text);
  };
}

/** The three rows of a decision, each in a table without further indexes. */
function decisionLoop(database: Database): (stamp: Stamp) => void {
  const insert = prepareEntries(database);
  database.exec('CREATE TABLE openings (key TEXT NOT NULL, sections TEXT NOT NULL) STRICT');
  database.exec('CREATE TABLE calls (id TEXT PRIMARY KEY, match TEXT NOT NULL, row TEXT NOT NULL) STRICT, WITHOUT ROWID');
  const open = database.prepare<[string, string]>('INSERT INTO openings (key, sections) VALUES (?, ?)');
  const call = database.prepare<[string, string, string]>('INSERT INTO calls (id, match, row) VALUES (?, ?, ?)');
  return (stamp) => {
    const unit = decideUnit();
    insert(unit.body, stamp);
    open.run(unit.opening?.key ?? '', canonicalize(unit.opening?.sections));
    call.run(
      unit.body.call,
      unit.call.match,
      unit.body.policy.hash + unit.body.reason_code + stamp.writer + unit.body.agent + unit.body.session,
    );
  };
}

/** An entry of about 1 KB. */
function noteBody(): NoteBody {
  return { kind: 'note', topic: 'bench', data: { args: ARGS, result: RESULT, decision: { ...DECISION } as unknown as Json } };
}

function noteUnit(): Unit {
  return { kind: 'record', body: noteBody() };
}
