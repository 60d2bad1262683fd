/** The labels of a session follow from entries: whoever edits tables takes none away and adds none. */
import { describe, expect, it, vi } from 'vitest';
import { createGuard, definePolicy, type Guard } from '../../src/index.ts';
import { forgetClearText, type SqliteStore, verifyLedger } from '../../src/sqlite/index.ts';
import { Log } from '../../src/sqlite/log.ts';
import { memoryStore } from '../../src/testing/index.ts';
import { closing, edit, fateOf, guarded, newPath, opening } from '../fixtures/labelled.ts';
import { LEDGER_VKEY, openLedger, testPolicy } from '../fixtures/ledger.ts';
import { forged } from '../verify/forge.ts';

const EDITS: readonly (readonly [what: string, sql: string])[] = [
  ['its labels taken away', `UPDATE sessions SET labels = '[]' WHERE id = 's1'`],
  ['its labels replaced', `UPDATE sessions SET labels = '["harmless"]' WHERE id = 's1'`],
  ['its labels taken away and its version put back', `UPDATE sessions SET labels = '[]', version = 0 WHERE id = 's1'`],
  ['it taken away', `DELETE FROM sessions WHERE id = 's1'`],
  ['all rows taken away', 'DELETE FROM sessions'],
  [
    'that of another session copied over it',
    `DELETE FROM sessions WHERE id = 's1'; INSERT INTO sessions SELECT 's1', agent, labels, version, halted, started_at FROM sessions WHERE id = 's2'`,
  ],
  ['its labels and every mark taken away', `UPDATE sessions SET labels = '[]'; DELETE FROM marks`],
];

describe('a session whose row was edited between two calls', () => {
  it.each(EDITS)('denies what it denied before, with %s', async (_what, sql) => {
    const path = newPath();
    const guard = guarded(opening(path));
    expect(await fateOf(guarded(opening(path), 's2'), 'plain')).toBe('ran');
    expect(await fateOf(guard, 'label')).toBe('ran');
    expect(await fateOf(guard)).toBe('seen');
    edit(path, sql);
    expect(await fateOf(guard)).toBe('seen');
    // The row is as the entries say again.
    expect(await fateOf(guard)).toBe('seen');
  });

  it.each(EDITS)('denies it in another process too, with %s', async (_what, sql) => {
    const path = newPath();
    const first = opening(path);
    expect(await fateOf(guarded(first, 's2'), 'plain')).toBe('ran');
    expect(await fateOf(guarded(first), 'label')).toBe('ran');
    await first.close();
    edit(path, sql);
    expect(await fateOf(guarded(opening(path)))).toBe('seen');
    const report = await verifyLedger(path, { publicKeys: [LEDGER_VKEY] });
    expect(report).toMatchObject({ status: 'valid', problems: [] });
  });
});

describe('what else somebody may try', () => {
  it('a label that a row has and no entry gave opens nothing, in this process or another', async () => {
    const path = newPath();
    const store = opening(path);
    const policy = definePolicy({
      id: 'trusting',
      version: '1',
      evaluate: ({ session }) => ({ effect: session.labels.includes('vetted') ? 'allow' : 'deny', rule: 'vetted' }),
    });
    const trusting = (on: SqliteStore): Guard => createGuard({ agent: 'tester', policy, store: on, session: 's1' });
    expect(await fateOf(trusting(store))).toBe('vetted');
    edit(path, `UPDATE sessions SET labels = '["vetted"]'`);
    expect(await fateOf(trusting(store))).toBe('vetted');
    edit(path, `UPDATE sessions SET labels = '["vetted"]'`);
    expect(await fateOf(trusting(opening(path)))).toBe('vetted');
  });

  it('a label given in another process counts at once, whatever the row says', async () => {
    const path = newPath();
    const [one, other] = [opening(path), opening(path)];
    expect(await fateOf(guarded(one))).toBe('ran');
    for (const session of ['a', 'b', 's1', 'c']) expect(await fateOf(guarded(other, session), 'label')).toBe('ran');
    edit(path, `UPDATE sessions SET labels = '[]', version = 0`);
    expect(await fateOf(guarded(one))).toBe('seen');
  });

  it('drafts that bring the fields of the store are stripped of them, and what is forgotten keeps its labels', async () => {
    const path = newPath();
    const store = opening(path);
    const body = { kind: 'session', agent: 'tester', session: 's9', event: 'labels', labelled: { all: ['x'], others: [] } } as const;
    await store.commit({ kind: 'record', body: { ...body, event: 'start' } });
    await store.commit({ kind: 'record', body });
    expect((await store.session('s9')).labels).toEqual([]);
    expect(await fateOf(guarded(store), 'label')).toBe('ran');
    await forgetClearText(store, { sessions: ['s1'] });
    edit(path, 'DELETE FROM sessions');
    expect(await fateOf(guarded(opening(path)))).toBe('seen');
    expect(await verifyLedger(path, { publicKeys: [LEDGER_VKEY] })).toMatchObject({ status: 'valid', problems: [] });
  });

  it('a session is found among hundreds, or shown to have none, and few entries are read for it', async () => {
    const path = newPath();
    const store = opening(path);
    const name = (i: number): string => `session ${i}`;
    const label = (session: string, event: 'start' | 'labels', labels: readonly string[]): Promise<unknown> =>
      store.commit({ kind: 'record', body: { kind: 'session', agent: 'tester', session, event, labels } });
    await Promise.all(Array.from({ length: 700 }, (_, i) => label(name(i), 'start', ['seen'])));
    await Promise.all(Array.from({ length: 700 }, (_, i) => label(name(i), 'labels', i % 7 === 0 ? ['more'] : ['seen'])));
    await store.close();
    edit(path, 'DELETE FROM sessions');
    const reads = vi.spyOn(Log.prototype, 'provenAt');
    const since = vi.spyOn(Log.prototype, 'provenSince');
    const again = closing(openLedger(path, { writer: 'inline' }));
    // What stands since the waymark is read once, and what it repeats is looked up: at most 512 entries.
    expect(await fateOf(guarded(again, name(0)))).toBe('seen');
    expect(reads.mock.calls.length).toBeLessThan(512);
    reads.mockClear();
    for (const i of [1, 350, 699]) expect(await fateOf(guarded(again, name(i)))).toBe('seen');
    for (const i of [700, 701]) expect(await fateOf(guarded(again, name(i)))).toBe('ran');
    expect(reads.mock.calls.length).toBeLessThan(5 * 20);
    // None of them everything.
    expect(Math.min(...since.mock.calls.map(([of]) => of))).toBeGreaterThan(700);
    vi.restoreAllMocks();
    expect(await verifyLedger(path, { publicKeys: [LEDGER_VKEY] })).toMatchObject({ status: 'valid', problems: [] });
  });

  it('labels that an earlier version gave, outside of the index, count all the same', async () => {
    const path = newPath();
    const store = opening(path);
    expect(await fateOf(guarded(store), 'label')).toBe('ran');
    await store.close();
    const old = forged(path, (entries) => {
      for (const entry of entries) delete entry['labelled'];
    });
    edit(old, 'DELETE FROM sessions');
    const again = opening(old);
    expect(await fateOf(guarded(again))).toBe('seen');
    expect(await fateOf(guarded(again, 's2'), 'label')).toBe('ran');
    expect(await fateOf(guarded(again, 's2'))).toBe('seen');
    expect(await verifyLedger(old, { publicKeys: [LEDGER_VKEY] })).toMatchObject({ status: 'valid', problems: [] });
  });

  it('the store in memory knows them from entries too', async () => {
    const store = memoryStore();
    expect(await fateOf(createGuard({ agent: 'tester', policy: testPolicy, store, session: 's1' }), 'label')).toBe('ran');
    (store as unknown as { rows: { sessions: Map<string, unknown> } }).rows.sessions.clear();
    expect(await fateOf(createGuard({ agent: 'tester', policy: testPolicy, store, session: 's1' }))).toBe('seen');
    expect(store.entries().at(-1)).toMatchObject({ kind: 'decision', effect: 'deny', session_labels: ['seen'] });
  });
});
