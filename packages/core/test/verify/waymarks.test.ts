import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { canonicalize, createGuard, monitorHost } from '../../src/index.ts';
import { leafHash } from '../../src/ledger/merkle.ts';
import { type VerifyCode, type VerifyReport } from '../../src/sqlite/index.ts';
import { LEDGER_VKEY, openLedger, tempDirectory, testPolicy } from '../fixtures/ledger.ts';
import { verifyLedger } from './both.ts';
import { entriesOf, type Forgery, forged, type Loose, noteOf } from './forge.ts';

const OPTIONS = { publicKeys: [LEDGER_VKEY] };
const NOWHERE = '0'.repeat(64);

let path: string;
beforeAll(async () => {
  path = join(tempDirectory(), 'ledger.db');
  const store = openLedger(path);
  const guard = createGuard({ agent: 'tester', policy: testPolicy, store, session: 's1' });
  const host = monitorHost({ store, agent: 'tester', session: 'monitor' });
  const note = async (): Promise<void> => void (await store.commit({ kind: 'record', body: { kind: 'note', topic: 'filler', data: 1 } }));
  await guard.pins.offer({ server: 'files', tools: [{ name: 'one' }] });
  await host.halt('s2', 'X');
  await note();
  await guard.run({ tool: { name: 'read' }, args: {} }, () => 'ok');
  await guard.pins.offer({ server: 'files', tools: [{ name: 'two' }] });
  await host.halt('s3', 'X');
  await note();
  await guard.run({ tool: { name: 'read' }, args: {} }, () => 'ok');
  await guard.close();
  const [entry] = entriesOf(path).flatMap(({ kind }, of) => (kind === 'pin' ? [of] : []));
  await store.commit({ kind: 'forget', entries: [{ of: entry ?? -1, leaf: leafOf(entry ?? -1) }], calls: [], since: 0 });
  await store.close();
});

const leaves: string[] = [];
function leafOf(of: number): string {
  if (leaves.length === 0) leaves.push(...entriesOf(path).map((entry) => leafHash(canonicalize(entry))));
  return leaves[of] ?? '';
}

/** The nth one, from the end when it is negative. */
const place = (entries: readonly Loose[], test: (entry: Loose) => boolean, nth: number): number => {
  const found = entries.flatMap((entry, of) => (test(entry) ? [of] : []));
  return found.at(nth) ?? -1;
};
const halts = ({ event }: Loose): boolean => event === 'halted';
const pins = ({ kind }: Loose): boolean => kind === 'pin';
const kinds =
  (kind: string) =>
  (entry: Loose): boolean =>
    entry['kind'] === kind;
const to = (of: number, leaf = NOWHERE): Loose => ({ of, leaf });

const codesOf = ({ problems }: VerifyReport): readonly string[] => problems.map(({ code }) => code);
const lying = (
  kind: string,
  nth: number,
  newest: (entries: readonly Loose[]) => Loose,
  { more = {}, ...forgery }: Forgery & { readonly more?: Loose } = {},
): { readonly file: string; readonly number: number } => {
  let at = -1;
  const file = forged(
    path,
    (entries) => {
      at = place(entries, kinds(kind), nth);
      Object.assign(entries[at] as Loose, { newest: newest(entries), ...more });
    },
    forgery,
  );
  return { file, number: at + 1 };
};
const honest = (entries: readonly Loose[]): Loose => ({ halt: to(place(entries, halts, -1)), pin: to(place(entries, pins, -1)) });

describe('an entry of any kind that names the newest entries before it', () => {
  it.each(['note', 'decision', 'outcome', 'forget'])('is right in a %s', async (kind) => {
    expect(await verifyLedger(lying(kind, -1, honest).file, OPTIONS)).toMatchObject({ status: 'valid', problems: [], warnings: [] });
  });

  it('is right where there is none of them, and in one that is itself the next', async () => {
    expect(codesOf(await verifyLedger(lying('key', 0, () => ({})).file, OPTIONS))).toEqual([]);
    const first = (entries: readonly Loose[]): Loose => ({ halt: to(place(entries, halts, 0)), pin: to(place(entries, pins, 0)) });
    expect(codesOf(await verifyLedger(lying('pin', 1, first).file, OPTIONS))).toEqual([]);
  });

  const LIES: readonly [VerifyCode, string, (entries: readonly Loose[]) => Loose, Forgery?][] = [
    ['WAYMARK_MISMATCH', 'no halt', (entries) => ({ pin: to(place(entries, pins, -1)) })],
    ['WAYMARK_MISMATCH', 'no pin', (entries) => ({ halt: to(place(entries, halts, -1)) })],
    ['WAYMARK_MISMATCH', 'neither', () => ({})],
    ['WAYMARK_MISMATCH', 'an older halt', (entries) => ({ ...honest(entries), halt: to(place(entries, halts, 0)) })],
    ['WAYMARK_MISMATCH', 'an older pin', (entries) => ({ ...honest(entries), pin: to(place(entries, pins, 0)) })],
    ['WAYMARK_MISMATCH', 'something else', (entries) => ({ ...honest(entries), halt: to(place(entries, kinds('note'), 0)) })],
    ['WAYMARK_MISMATCH', 'a later entry', (entries) => ({ ...honest(entries), pin: to(entries.length) })],
    [
      'REFERENCE_MISMATCH',
      'another hash',
      (entries) => ({ halt: to(place(entries, halts, -1)), pin: to(place(entries, pins, -1), leafOf(place(entries, pins, -1))) }),
      { keepReferences: true },
    ],
    ['ENTRY_SHAPE', 'a text', () => 'x' as unknown as Loose],
    ['ENTRY_SHAPE', 'a place without a hash', () => ({ halt: { of: 1 } })],
    ['ENTRY_SHAPE', 'a place that is none', (entries) => ({ ...honest(entries), halt: { of: -1, leaf: NOWHERE } })],
  ];
  it.each(LIES)('%s: names %s', async (code, _what, newest, forgery = {}) => {
    for (const kind of ['note', 'outcome', 'forget']) {
      const { file, number } = lying(kind, -1, newest, forgery);
      const report = await verifyLedger(file, OPTIONS);
      expect(report.status).toBe('invalid');
      expect(report.problems).toContainEqual(expect.objectContaining({ code, entry: number }));
    }
  });

  it('is checked in an entry of a kind this version does not know, and what it holds besides is told', async () => {
    const more = { kind: 'weather' };
    const { file, number } = lying('note', -1, () => ({}), { more });
    expect((await verifyLedger(file, OPTIONS)).problems).toContainEqual(
      expect.objectContaining({ code: 'WAYMARK_MISMATCH', entry: number }),
    );
    const known = await verifyLedger(lying('note', -1, honest, { more }).file, OPTIONS);
    expect([known.status, codesOf(known)]).toEqual(['valid', []]);
    const wider = await verifyLedger(lying('note', -1, (entries) => ({ ...honest(entries), grant: to(0) })).file, OPTIONS);
    expect(wider).toMatchObject({ status: 'valid', problems: [], warnings: [{ code: 'UNKNOWN_FIELD' }] });
  });

  it('is checked where only what follows a checkpoint is read', async () => {
    const size = place(entriesOf(path), pins, -1);
    for (const [newest, expected] of [
      [honest, []],
      [(entries: readonly Loose[]) => ({ ...honest(entries), pin: to(place(entries, pins, 0)) }), ['WAYMARK_MISMATCH']],
      [() => ({}), ['WAYMARK_MISMATCH', 'WAYMARK_MISMATCH']],
    ] as const) {
      const { file } = lying('outcome', -1, newest);
      const { root = '' } = await verifyLedger(forged(file, (entries) => entries.slice(0, size)));
      const report = await verifyLedger(file, { ...OPTIONS, since: noteOf({ size, root }) });
      expect(report.since).toMatchObject({ size });
      expect(codesOf(report)).toEqual(expected);
    }
    // What it names stands before the start, and is looked up.
    const from = place(entriesOf(path), kinds('note'), -1);
    const { file } = lying('note', -1, honest);
    const { root = '' } = await verifyLedger(forged(file, (entries) => entries.slice(0, from)));
    expect(codesOf(await verifyLedger(file, { ...OPTIONS, since: noteOf({ size: from, root }) }))).toEqual([]);
  });
});
