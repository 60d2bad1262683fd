/**
 * How low the figures of a guarded call could go: nothing but the work of `needed.ts` and, where it is durable, the same rows
 * in the same tables through plain prepared statements. No guard, no queue, no promise, no session, no tree: what stands
 * between these and a guard's figures is the guard's; what stands between these and the baseline, DESIGN asks of any guard.
 *
 * Only printed. A bound below its floor cannot be kept by anything that writes what we write.
 */
import type { Signer } from '@countersign/core';
import { memoryStore } from '@countersign/core/testing';
import type { Database } from 'better-sqlite3';
import { canonicalize } from '../packages/core/src/ledger/canonical.ts';
import { formatCheckpoint, signCheckpoint } from '../packages/core/src/ledger/checkpoint.ts';
import { createSchema } from '../packages/core/src/sqlite/schema.ts';
import { AGENT, POLICY, SESSION } from './calls.ts';
import { benchSigner, durableDatabase, freshPath, ORIGIN, rawTable } from './fixtures.ts';
import { ONE_BY_ONE, timeRatio } from './measure.ts';
import { type Decided, type NeededWork, neededWork, type ReadyEntry } from './needed.ts';

export const signedFloor = 'floor: needed work of a call, signature and its rows in one commit / raw durable commit';
export const durableFloor = 'floor: needed work of a call and its rows in two commits, unsigned / two raw durable commits';

/** The decision is durable with its signature; the outcome of the call before rides with it. */
export async function signedRowsOverRaw(): Promise<number> {
  const signer = benchSigner();
  const rows = bareRows(signedBy(signer));
  return overRaw(rows, 1, (needed) => {
    let settle: (() => void) | undefined;
    return () => {
      const decision = needed.decide();
      rows.commit(() => {
        settle?.();
        rows.decide(decision);
      });
      const outcome = needed.settle(decision.call, { of: 0, leaf: decision.leaf });
      settle = () => rows.settle(decision.call, outcome);
    };
  });
}

/** Each commit has a signed checkpoint. */
export function signedBy(signer: Signer): (size: number, root: string) => string {
  return (size, root) => signCheckpoint({ origin: ORIGIN, size, root }, signer);
}

export async function durableRowsOverRaw(): Promise<number> {
  const rows = bareRows((size, root) => formatCheckpoint({ origin: ORIGIN, size, root }));
  return overRaw(rows, 2, (needed) => () => {
    const decision = needed.decide();
    rows.commit(() => rows.decide(decision));
    const outcome = needed.settle(decision.call, { of: 0, leaf: decision.leaf });
    rows.commit(() => rows.settle(decision.call, outcome));
  });
}

async function overRaw(rows: BareRows, commits: number, prepare: (needed: NeededWork) => () => void): Promise<number> {
  const store = memoryStore();
  const once = prepare(neededWork(POLICY, store));
  const raw = rawTable();
  const ready = neededWork(POLICY, store).decide().text;
  const ratio = await timeRatio(
    (count) => {
      for (let i = 0; i < count; i++) once();
    },
    (count) => {
      for (let i = 0; i < commits * count; i++) raw.insert(ready);
    },
    ONE_BY_ONE,
  );
  raw.database.close();
  rows.database.close();
  await store.close();
  return ratio;
}

export interface BareRows {
  readonly database: Database;
  /** One transaction, with the checkpoint that each has. */
  commit(write: () => void): void;
  decide(decision: Decided): void;
  settle(call: string, outcome: ReadyEntry): void;
}

/** @param checkpoint - what each commit says of the log. */
export function bareRows(checkpoint: (size: number, root: string) => string, path: string = freshPath('floor.db')): BareRows {
  const database = durableDatabase(path);
  createSchema(database);
  const begin = database.prepare('BEGIN IMMEDIATE');
  const end = database.prepare('COMMIT');
  const insertEntry = database.prepare('INSERT INTO entries (seq, leaf, body) VALUES (?, ?, ?)');
  const insertOpening = database.prepare('INSERT INTO openings (seq, key, sections) VALUES (?, ?, ?)');
  const insertCall = database.prepare(
    'INSERT INTO calls (id, match, state, session, agent, writer, decision_of, decision_leaf, reason_code) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)',
  );
  const settleCall = database.prepare('UPDATE calls SET state = ?, status = ?, outcome_of = ?, outcome_leaf = ? WHERE id = ?');
  const putCheckpoint = database.prepare('UPDATE checkpoints SET size = ?, note = ? WHERE size = ?');
  database.prepare('INSERT INTO checkpoints (size, note) VALUES (0, ?)').run('none');
  let [size, sealed, newest] = [0, 0, ''];
  const append = ({ text, leaf, opening }: ReadyEntry): number => {
    insertEntry.run(size, leaf, text);
    insertOpening.run(size, opening.key, canonicalize(opening.sections));
    newest = leaf;
    return size++;
  };
  return {
    database,
    commit(write) {
      begin.run();
      write();
      putCheckpoint.run(size, checkpoint(size, newest), sealed);
      sealed = size;
      end.run();
    },
    decide(decision) {
      const { call, match, leaf } = decision;
      const of = append(decision);
      insertCall.run(call, match, 'allowed', SESSION, AGENT, 'w'.repeat(32), of, leaf, 'POLICY_ALLOW_LOW_RISK');
    },
    settle(call, outcome) {
      const of = append(outcome);
      settleCall.run('settled', 'success', of, outcome.leaf, call);
    },
  };
}
