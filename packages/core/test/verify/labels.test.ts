import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { createGuard, signerFromPem } from '../../src/index.ts';
import { openStore, type SqliteStore, type VerifyCode, type VerifyReport } from '../../src/sqlite/index.ts';
import { LEDGER_PEM, LEDGER_VKEY, ORIGIN, openLedger, tempDirectory, testPolicy } from '../fixtures/ledger.ts';
import { exported, exportLines, headerOf, linesOf, mirror, partsOf } from '../jsonl/made.ts';
import { verifyLedger } from './both.ts';
import { entriesOf, type Forgery, forged, type Loose, noteOf } from './forge.ts';

const OPTIONS = { publicKeys: [LEDGER_VKEY] };
const SESSIONS = ['s1', 's2', 's3', 's4', 's5'];

let path: string;
beforeAll(async () => {
  path = join(tempDirectory(), 'ledger.db');
  const store = openLedger(path);
  for (const round of ['read', 'label', 'read', 'no']) {
    for (const session of SESSIONS) {
      const guard = createGuard({ agent: 'tester', policy: testPolicy, store, session });
      // `no` is refused; what is asked for is what then stands in the ledger.
      await guard.run({ tool: { name: round }, args: {} }, () => 'ok').catch(() => undefined);
      await guard.close();
    }
  }
  await store.commit({ kind: 'record', body: { kind: 'session', agent: 'tester', session: 's2', event: 'labels', labels: ['more'] } });
  await store.close();
});

const codesOf = ({ problems }: VerifyReport): readonly string[] => problems.map(({ code }) => code);
const isLabelled = ({ labelled }: Loose): boolean => labelled !== undefined;
const sees = ({ session_labels: seen }: Loose): boolean => seen !== undefined;
const isFirst = ({ kind }: Loose): boolean => kind === 'decision';
const lying = (test: (entry: Loose) => boolean, nth: number, change: Loose, forgery: Forgery = {}): { file: string; number: number } => {
  let at = -1;
  const file = forged(
    path,
    (entries) => {
      at = entries.flatMap((entry, of) => (test(entry) ? [of] : [])).at(nth) ?? -1;
      const entry = entries[at] as Loose;
      Object.assign(entry, change);
      for (const [name, value] of Object.entries(change)) if (value === undefined) delete entry[name];
    },
    forgery,
  );
  return { file, number: at + 1 };
};

/** The same as a mirror and as an export. */
function asLines(ledger: string): readonly string[] {
  const parts = partsOf(ledger);
  return [mirror(linesOf(parts.bodies), parts.note), exported([headerOf(parts), ...exportLines(parts)])];
}

describe('labels of sessions', () => {
  it('are what entries before gave, and lead to one another', async () => {
    const entries = entriesOf(path);
    expect(entries.filter(isLabelled)).toHaveLength(SESSIONS.length + 1);
    expect(entries.filter(sees)).toHaveLength(2 * SESSIONS.length);
    expect(entries.at(-1)).toMatchObject({ session: 's2', labelled: { all: ['more', 'seen'] } });
    expect(await verifyLedger(path, OPTIONS)).toMatchObject({ status: 'valid', problems: [], warnings: [] });
  });

  const gone = undefined as unknown as string;
  const others = (entries: readonly Loose[], nth: number): readonly (readonly number[])[] =>
    (entries.filter(isLabelled).at(nth)?.['labelled'] as { others: number[][] } | undefined)?.others ?? [];
  const LIES: readonly [VerifyCode, string, (entry: Loose) => boolean, number, () => Loose][] = [
    ['LABELS_MISMATCH', 'a decision saw none', sees, -1, () => ({ session_labels: gone })],
    ['LABELS_MISMATCH', 'a decision saw another', sees, -1, () => ({ session_labels: ['other'] })],
    ['LABELS_MISMATCH', 'a decision saw one more', sees, 0, () => ({ session_labels: ['more', 'seen'] })],
    ['LABELS_MISMATCH', 'a decision saw one in a session that has none', isFirst, 0, () => ({ session_labels: ['seen'] })],
    ['LABELS_MISMATCH', 'a call gave none', isLabelled, 0, () => ({ labels: ['other'], labelled: { all: ['other'], others: [] } })],
    [
      'LABEL_INDEX_MISMATCH',
      'it has fewer',
      isLabelled,
      -1,
      () => ({ labelled: { all: ['more'], others: others(entriesOf(path), -1) as never } }),
    ],
    [
      'LABEL_INDEX_MISMATCH',
      'it has more',
      isLabelled,
      1,
      () => ({ labelled: { all: ['seen', 'x'], others: others(entriesOf(path), 1) as never } }),
    ],
    ['LABEL_INDEX_MISMATCH', 'it leads nowhere', isLabelled, -1, () => ({ labelled: { all: ['more', 'seen'], others: [] } })],
    [
      'LABEL_INDEX_MISMATCH',
      'it leads elsewhere',
      isLabelled,
      1,
      () => ({ labelled: { all: ['seen'], others: [[others(entriesOf(path), 1)[0]?.[0] ?? 0, 1]] } }),
    ],
    ['LABEL_INDEX_MISMATCH', 'it gives none', isFirst, 0, () => ({ labelled: { all: ['seen'], others: [] } })],
    ['LABEL_INDEX_MISMATCH', 'one before is not in there', isLabelled, 0, () => ({ labelled: gone })],
    ['ENTRY_SHAPE', 'it names no label', isLabelled, 0, () => ({ labelled: { all: [], others: [] } })],
    ['ENTRY_SHAPE', 'it has no other shape', isLabelled, 0, () => ({ labelled: { all: ['seen'], others: [[256, 1]] } })],
    ['WAYMARK_MISMATCH', 'a waymark names none', isFirst, -1, () => ({ newest: { labelled: [] } })],
    ['ENTRY_SHAPE', 'a waymark names null', isFirst, -1, () => ({ newest: { labelled: null } })],
  ];
  it.each(LIES)('%s: %s', async (code, _what, test, nth, change) => {
    const { file } = lying(test, nth, change());
    const report = await verifyLedger(file, OPTIONS);
    expect(report.status).toBe('invalid');
    expect(codesOf(report)).toContain(code);
    for (const lines of asLines(file)) expect(codesOf(await verifyLedger(lines, OPTIONS))).toContain(code);
  });

  it('are told of by a mirror and an export as they are by the ledger', async () => {
    for (const lines of asLines(path)) expect(await verifyLedger(lines, OPTIONS)).toMatchObject({ status: 'valid', problems: [] });
  });

  it.each([
    ['left out', gone],
    ['another', ['other']],
  ])('that decisions saw are compared from lines too where only what follows a checkpoint is read: %s', async (_what, seen) => {
    const { file } = lying(sees, -1, { session_labels: seen });
    const size = 2 * SESSIONS.length;
    const { root = '' } = await verifyLedger(forged(path, (all) => all.slice(0, size)));
    const since = noteOf({ size, root });
    for (const lines of asLines(path)) expect(codesOf(await verifyLedger(lines, { ...OPTIONS, since }))).toEqual([]);
    for (const lines of asLines(file)) expect(codesOf(await verifyLedger(lines, { ...OPTIONS, since }))).toContain('LABELS_MISMATCH');
  });

  it('that stood unsigned count, and nothing is asked of the index from there on', async () => {
    const file = join(tempDirectory(), 'ledger.db');
    const [first, ...more] = SESSIONS as [string, ...string[]];
    const label = async (store: SqliteStore, session: string): Promise<void> => {
      const guard = createGuard({ agent: 'tester', policy: testPolicy, store, session });
      for (const name of ['label', 'read']) await guard.run({ tool: { name }, args: {} }, () => 'ok');
      await guard.close();
    };
    const signed = openLedger(file);
    await label(signed, first);
    await signed.close();
    const remote = (sign: (message: Uint8Array) => Promise<Uint8Array>): SqliteStore =>
      openStore({ path: file, origin: ORIGIN, signer: { remote: { vkey: LEDGER_VKEY, sign }, everyMs: 1 } });
    // Its signer never answers, and it is not closed: as if its process had died.
    const silent = remote(() => new Promise(() => undefined));
    await label(silent, more[0] ?? '');
    const key = signerFromPem(LEDGER_PEM, ORIGIN);
    const reopened = remote(async (message) => key.sign(message));
    for (const session of [...more.slice(1), first]) await label(reopened, session);
    await reopened.close();
    const entries = entriesOf(file);
    const tail = entries.findIndex(({ event }) => event === 'unsigned-tail');
    expect(entries.flatMap((entry, of) => (isLabelled(entry) ? [of < tail] : []))).toEqual([true, true]);
    expect(entries.filter(sees)).toHaveLength(SESSIONS.length + 2);
    for (const each of [file, ...asLines(file)]) expect(await verifyLedger(each, OPTIONS)).toMatchObject({ status: 'valid', problems: [] });
    const lies = forged(file, (all) => {
      delete all.findLast(sees)?.['session_labels'];
    });
    for (const each of [lies, ...asLines(lies)]) expect(codesOf(await verifyLedger(each, OPTIONS))).toEqual(['LABELS_MISMATCH']);
  });

  it('are not asked of writers that never recorded them', async () => {
    const file = forged(path, (entries) => {
      for (const entry of entries) {
        delete entry['labelled'];
        delete entry['session_labels'];
      }
    });
    expect(await verifyLedger(file, OPTIONS)).toMatchObject({ status: 'valid', problems: [], warnings: [] });
  });

  it('are checked where only what follows a checkpoint is read, from each entry on', async () => {
    const entries = entriesOf(path);
    const last = entries.flatMap((entry, of) => (sees(entry) ? [of] : [])).at(-1) ?? 0;
    const { file } = lying(sees, -1, { session_labels: ['other'] });
    for (let size = 1; size < entries.length; size++) {
      const { root = '' } = await verifyLedger(forged(path, (all) => all.slice(0, size)));
      const since = noteOf({ size, root });
      expect(codesOf(await verifyLedger(path, { ...OPTIONS, since }))).toEqual([]);
      if (size < last - SESSIONS.length * 2) expect(codesOf(await verifyLedger(file, { ...OPTIONS, since }))).toContain('LABELS_MISMATCH');
    }
  });
});
