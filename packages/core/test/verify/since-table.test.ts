/** `docs/verify.md`, "What needs the old entries": row by row, what a full check finds and a check from a checkpoint on does not, or does. */
import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { beforeAll, describe, expect, it } from 'vitest';
import { CompactRange, leafHash } from '../../src/ledger/merkle.ts';
import { type VerifyReport, verifyLedger } from '../../src/sqlite/index.ts';
import { LEDGER_VKEY, openLedger, tempDirectory } from '../fixtures/ledger.ts';
import { entriesOf, forged, type Loose, noteOf, tampered } from './forge.ts';
import { APPROVERS, call, guardOn, writeScenario } from './scenario.ts';

const OPTIONS = { publicKeys: [LEDGER_VKEY], approvers: APPROVERS };

let path: string;
beforeAll(async () => {
  path = (await writeScenario()).path;
});

const codes = ({ problems, warnings }: VerifyReport): readonly string[] => [...problems, ...warnings].map(({ code }) => code);
const full = async (file: string): Promise<readonly string[]> => codes(await verifyLedger(file, OPTIONS));

/** Whoever kept the checkpoint of the first `at` entries checks what follows. */
async function since(file: string, at: number): Promise<readonly string[]> {
  const report = await verifyLedger(file, { ...OPTIONS, since: noteOf({ size: at, root: rootOf(file, at) }) });
  expect(report).toMatchObject({ integrity: 'intact', since: { size: at } });
  return codes(report);
}

function rootOf(file: string, size: number): string {
  const database = new Sqlite(file, { readonly: true });
  const tree = new CompactRange();
  for (const body of database.prepare<[number], string>('SELECT body FROM entries WHERE seq < ? ORDER BY seq').pluck().all(size))
    tree.push(leafHash(body));
  database.close();
  return tree.root();
}

type Change = (entries: Loose[]) => Loose[] | void;
const last = (entries: readonly Loose[], test: (entry: Loose) => boolean): Loose => {
  const found = entries.findLast(test);
  if (found === undefined) throw new Error('the scenario has none');
  return found;
};
/** The same once more, as the newest entry. */
const again =
  (test: (entry: Loose) => boolean): Change =>
  (entries) => [...entries, { ...last(entries, test), id: 'ab'.repeat(16), at: last(entries, () => true)['at'] ?? 0 }];
const charged = ({ effect, budgets }: Loose): boolean => effect === 'allow' && Array.isArray(budgets) && budgets.length > 0;
const charge = (entries: Loose[], change: Loose): void => {
  const entry = last(entries, charged);
  const [first, ...others] = entry['budgets'] as Loose[];
  entry['budgets'] = [{ ...first, ...change }, ...others];
};
const allowed = ({ effect, approval }: Loose): boolean => effect === 'allow' && approval === undefined;
const approved = ({ effect, approval }: Loose): boolean => effect === 'allow' && approval !== undefined;

describe('compared with new entries only', () => {
  it.each<readonly [code: string, what: string, change: Change]>([
    ['CALL_ALLOWED_TWICE', 'a call that was allowed before', again(allowed)],
    ['OUTCOME_TWICE', 'a second outcome', again(({ kind }) => kind === 'outcome')],
    ['APPROVAL_REUSED', 'an approval that was used before', again(approved)],
    [
      'APPROVAL_WAS_DENIED',
      'a call that a person denied',
      (entries) => {
        const denial = last(entries, ({ kind, answer }) => kind === 'approval' && answer === 'deny');
        const allow = last(entries, allowed);
        return [...entries, { ...allow, id: 'ab'.repeat(16), call: denial['call'] as string }];
      },
    ],
  ])('%s: %s', async (code, _what, change) => {
    const file = forged(path, change);
    expect(await full(file)).toContain(code);
    const newest = entriesOf(file).length - 1;
    expect(await since(file, newest)).not.toContain(code);
    // Read from before both, it is found.
    expect(await since(file, 1)).toContain(code);
  });

  it('BUDGET_MISMATCH: what is left of a budget; not that it is overspent, or is another’s', async () => {
    const wrong = forged(path, (entries) => charge(entries, { left: 7 }));
    const overspent = forged(path, (entries) => charge(entries, { left: -1 }));
    const other = forged(path, (entries) => charge(entries, { key: 'somebody' }));
    const at = entriesOf(path).findLastIndex((entry) => charged(entry) && entry['mode'] !== 'audit');
    const before = entriesOf(path).findLastIndex(charged);
    expect([await full(wrong), await since(wrong, before)]).toEqual([expect.arrayContaining(['BUDGET_MISMATCH']), []]);
    expect(await since(other, before)).toEqual(['BUDGET_OTHER_KEY']);
    const enforced = forged(path, (entries) => {
      const entry = entries[at] as Loose;
      entry['budgets'] = (entry['budgets'] as Loose[]).map((each) => ({ ...each, left: -1 }));
    });
    expect(await since(enforced, at)).toContain('BUDGET_OVERSPENT');
    expect(await full(overspent)).toContain('BUDGET_MISMATCH');
  });
});

describe('taken as recorded', () => {
  it.each<readonly [code: string, kind: string, change: Change]>([
    ['SESSION_NOT_STARTED', 'a session', (entries) => entries.filter(({ kind, session }) => kind !== 'session' || session !== 's5')],
    ['POLICY_UNRECORDED', 'a policy', (entries) => entries.filter(({ kind }) => kind !== 'policy')],
    ['KEY_NOT_ANNOUNCED', 'a key', (entries) => entries.filter(({ kind }) => kind !== 'key')],
  ])('%s: %s that was never announced', async (code, _kind, change) => {
    const file = forged(path, change);
    expect(await full(file)).toContain(code);
    const at = entriesOf(file).findLastIndex(({ session, kind }) => session === 's5' && kind === 'decision');
    expect(await since(file, at)).not.toContain(code);
  });

  it('ALLOW_WHILE_HALTED: a halt from before, until an entry leads to it', async () => {
    const halt = (entries: readonly Loose[]): number => entries.findIndex(({ event }) => event === 'halted');
    const file = forged(path, (entries) => {
      const allow = {
        ...last(entries, (entry) => allowed(entry) && entry['session'] === 's3'),
        id: 'ab'.repeat(16),
        call: 'cd'.repeat(16),
      };
      const start = entries.find(({ event, session }) => event === 'start' && session === 's4') as Loose;
      const before = { of: halt(entries), leaf: '' };
      const at = halt(entries);
      // In its session: once before and once behind an entry that leads to the halt.
      const other = { ...allow, id: 'ef'.repeat(16), call: '12'.repeat(16) };
      return [...entries.slice(0, at + 1), allow, { ...start, session: 's9', before }, other];
    });
    const at = entriesOf(file).findIndex(({ event }) => event === 'halted');
    expect((await full(file)).filter((code) => code === 'ALLOW_WHILE_HALTED')).toHaveLength(2);
    expect((await since(file, at + 1)).filter((code) => code === 'ALLOW_WHILE_HALTED')).toHaveLength(1);
  });

  it('LABELS_MISMATCH: what labels a session had, unless an entry leads to the index', async () => {
    const entries = entriesOf(path);
    const label = entries.findIndex(({ labels }) => labels !== undefined);
    const next = entries.findIndex(({ kind, session }, of) => of > label && kind === 'decision' && session === 's1');
    const file = forged(path, (all) => void delete (all[next] as Loose)['session_labels']);
    expect(await full(file)).toContain('LABELS_MISMATCH');
    // Read with the entry that gave it; otherwise the first decision is believed (and `labels.test.ts` leads to the index).
    expect(await since(file, label)).toContain('LABELS_MISMATCH');
    expect(await since(file, next)).toEqual([]);
  });
});

describe('not read', () => {
  it('OPENING_MISSING, OPENING_MISMATCH: clear text from before', async () => {
    const at = entriesOf(path).length - 4;
    const seq = entriesOf(path).findIndex((entry) => 'args_commit' in entry);
    for (const [sql, code] of [
      [`DELETE FROM openings WHERE seq = ${seq}`, 'OPENING_MISSING'],
      [`UPDATE openings SET sections = '{"args":{}}' WHERE seq = ${seq}`, 'OPENING_MISMATCH'],
    ] as const) {
      const file = tampered(path, (database) => database.exec(sql));
      expect(await full(file)).toContain(code);
      expect(await since(file, at)).toEqual([]);
    }
  });

  it('ENTRY_CHANGED, LEAF_MISMATCH: entries that no new one names, under a full tile', async () => {
    const large = join(tempDirectory(), 'large.db');
    const store = openLedger(large);
    const guard = guardOn(store, { budgets: [] });
    await Promise.all(Array.from({ length: 150 }, (_, i) => guard.run(call('read', { i }), () => i)));
    await guard.close();
    await store.close();
    const size = entriesOf(large).length;
    const note = noteOf({ size, root: rootOf(large, size) });
    const told = async (sql: string): Promise<readonly [readonly string[], readonly string[]]> => {
      const file = tampered(large, (database) => database.exec(sql));
      return [await full(file), codes(await verifyLedger(file, { ...OPTIONS, since: note }))];
    };
    const body = (seq: number): string => `UPDATE entries SET body = '{}' WHERE seq = ${seq}`;
    expect(await told(body(8))).toEqual([expect.arrayContaining(['ENTRY_CHANGED']), []]);
    expect(await told(`UPDATE entries SET leaf = '${'0'.repeat(64)}' WHERE seq = 8`)).toEqual([['LEAF_MISMATCH'], []]);
    // What no full tile holds is hashed for the tree: it does not give the root, and everything is read.
    expect((await told(body(size - 2)))[1]).toEqual(expect.arrayContaining(['ENTRY_CHANGED', 'SINCE_READ_ALL']));
  });

  it('CHECKPOINT_FORKED: kept checkpoints from before', async () => {
    const fork = noteOf({ size: 5, root: 'ab'.repeat(32) });
    const file = tampered(path, (database) => {
      database.prepare(`INSERT INTO checkpoints VALUES (5, ?, 'anchor')`).run(fork);
    });
    expect(await full(file)).toContain('CHECKPOINT_FORKED');
    expect(await since(file, entriesOf(path).length - 2)).toEqual([]);
  });
});
