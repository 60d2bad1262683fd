import { beforeAll, describe, expect, it } from 'vitest';
import type { Json } from '../../src/index.ts';
import type { Entry } from '../../src/ledger/entry.ts';
import type { VerifyCode } from '../../src/sqlite/index.ts';
import { Incidents } from '../../src/verify/incidents.ts';
import { Findings } from '../../src/verify/report.ts';
import { LEDGER_VKEY } from '../fixtures/ledger.ts';
import { verifyLedger } from './both.ts';
import { entriesOf, type Forgery, forged, type Loose, tampered } from './forge.ts';
import { APPROVERS, writeHalted } from './halted-scenario.ts';

const OPTIONS = { publicKeys: [LEDGER_VKEY], approvers: APPROVERS };

let path: string;
beforeAll(async () => {
  path = await writeHalted();
});

type Test = (entry: Loose) => boolean;
type Change = (entries: Loose[]) => Loose[] | void;
const is =
  (kind: string, more: Loose = {}): Test =>
  (entry) =>
    entry['kind'] === kind && Object.entries(more).every(([name, value]) => entry[name] === value);
const session = (event: string, more: Loose = {}): Test => is('session', { event, ...more });
const contained = (event: string): Test => is('containment', { event });
const member = (value: Json | undefined): Loose => value as Loose;
function find(entries: readonly Loose[], test: Test): Loose {
  const found = entries.find(test);
  if (found === undefined) throw new Error('the scenario lacks what this test changes');
  return found;
}
const edit =
  (test: Test, change: Loose | ((entry: Loose, entries: Loose[]) => void)): Change =>
  (entries) => {
    const entry = find(entries, test);
    if (typeof change === 'function') change(entry, entries);
    else Object.assign(entry, change);
  };
const remove =
  (test: Test): Change =>
  (entries) => {
    const gone = find(entries, test);
    return entries.filter((entry) => entry !== gone);
  };
const place = (entries: readonly Loose[], test: Test): Loose => ({ of: entries.indexOf(find(entries, test)), leaf: '0'.repeat(64) });
/** Right behind the first that fits. */
const after =
  (test: Test, entry: (entries: Loose[]) => Loose): Change =>
  (entries) => {
    const at = entries.indexOf(find(entries, test));
    const { at: time, writer } = entries[at] as { at: number; writer: string };
    return [...entries.slice(0, at + 1), { ...entry(entries), at: time, writer }, ...entries.slice(at + 1)];
  };
const halted: Test = is('decision', { reason_code: 'SESSION_HALTED' });
const asked: Test = (entry) => entry['effect'] === 'allow' && 'approval' in entry;
const signed: Test = (entry) => entry['event'] === 'resumed' && 'signature' in entry;

const FORGERIES: readonly [VerifyCode, string, Change, Forgery?][] = [
  ['ALLOW_WHILE_HALTED', 'an allow in a halted session', edit(halted, { effect: 'allow', would: 'allow' })],
  [
    'ALLOW_WHILE_HALTED',
    'an allow while every session was halted',
    edit((entry) => halted(entry) && Number(entry['at']) > 1_767_225_600_000, { effect: 'allow', would: 'allow' }),
  ],
  [
    'ALLOW_WHILE_HALTED',
    'a call of whoever halted everything that is no question',
    (entries) => {
      const denied = find(entries, is('decision', { reason_code: 'APPROVAL_DENIED' }));
      Object.assign(denied, { effect: 'allow', would: 'allow', tool: { name: 'read' } });
      delete denied['approval'];
    },
  ],
  [
    'ALLOW_WHILE_HALTED',
    'a question answered before another halted everything',
    after(is('approval', { answer: 'approve' }), () => ({
      ...find(entriesOf(path), session('halted', { scope: 'ledger' })),
      session: 'x',
    })),
  ],
  [
    'ALLOW_WHILE_HALTED',
    'a question put before another halted everything, and answered after it',
    after(
      (entry) => is('decision', { effect: 'require_approval' })(entry) && member(entry['tool'])['name'] === 'after_halt',
      () => ({ ...find(entriesOf(path), session('halted', { scope: 'ledger' })), session: 'x' }),
    ),
  ],
  ['ALLOW_WHILE_HALTED', 'the end of a halt left out', remove(session('resumed'))],
  ['HALT_ORDER', 'a halt left out of the chain', edit(session('resumed'), (entry) => void delete entry['before'])],
  [
    'HALT_ORDER',
    'a halt that names an older one',
    edit(session('halted', { scope: 'ledger' }), (entry, all) => void (entry['before'] = place(all, session('halted')))),
  ],
  [
    'HALT_ORDER',
    'a start that hides a halt',
    after(session('resumed'), () => ({ ...find(entriesOf(path), session('start')), session: 'later' })),
  ],
  [
    'REFERENCE_MISMATCH',
    'a halt before with another hash',
    edit(session('resumed'), (entry) => void (member(entry['before'])['leaf'] = '1'.repeat(64))),
    { keepReferences: true },
  ],
  ['RESUME_MISMATCH', 'an end of what was not halted', edit(session('resumed'), { session: 'another' })],
  ['RESUME_MISMATCH', 'an end that names no halt', edit(session('resumed'), (entry) => void delete entry['halt'])],
  [
    'RESUME_MISMATCH',
    'an end that names another entry',
    edit(session('resumed'), (entry, all) => void (entry['halt'] = place(all, session('start')))),
  ],
  ['RESUME_MISMATCH', 'the end of all said to be of one', edit(signed, (entry) => void delete entry['scope'])],
  [
    'APPROVER_ASSURANCE',
    'an answer that claims to be worth more than its method is',
    edit(signed, { approver: { id: 'bob', method: 'host', assurance: 'high' } }),
  ],
  ['RESUME_SIGNATURE', 'no signature', edit(signed, (entry) => void delete entry['signature'])],
  [
    'RESUME_SIGNATURE',
    'a signature over another halt',
    edit(signed, (entry) => void (entry['signature'] = Buffer.alloc(64, 1).toString('base64'))),
  ],
  ['RESUME_SIGNATURE', 'a signature about another session', edit(signed, { session: 's1' })],
  [
    'HALT_ANSWER_UNPROVEN',
    'an answer that is none',
    edit(contained('resumed'), (entry, all) => void (member(entry['approval'])['decision'] = place(all, halted))),
  ],
  ['HALT_ANSWER_UNPROVEN', 'an answer that says no', edit(contained('killed'), { event: 'resumed' })],
  [
    'HALT_ANSWER_UNPROVEN',
    'an answer of another approval',
    edit(contained('resumed'), (entry) => void (member(entry['approval'])['id'] = 'ef'.repeat(16))),
  ],
  [
    'HALT_ANSWER_UNPROVEN',
    'an answer about another incident',
    edit(contained('killed'), (entry, all) => void (entry['approval'] = member(find(all, contained('resumed'))['approval']))),
  ],
  [
    'HALT_ANSWER_UNPROVEN',
    'a session that went on by an answer about another incident',
    edit(session('halted', { session: 's1' }), { incident: 'i2' }),
  ],
  [
    'HALT_ANSWER_REUSED',
    'an answer acted on twice',
    (entries) => {
      const [frozen, resumed] = [find(entries, contained('frozen')), find(entries, contained('resumed'))];
      const at = entries.indexOf(resumed);
      const again = (entry: Loose): Loose => ({
        ...structuredClone(entry),
        at: resumed['at'] as number,
        writer: resumed['writer'] as string,
      });
      return [...entries.slice(0, at + 1), again(frozen), again(resumed), ...entries.slice(at + 1)];
    },
  ],
  ['HALT_ANSWER_UNPROVEN', 'an override that names no answer', edit(contained('overridden'), (entry) => void delete entry['approval'])],
  [
    'HALT_ANSWER_UNPROVEN',
    'an override by an answer about another incident',
    edit(
      contained('overridden'),
      (entry, all) => void (entry['approval'] = structuredClone(find(all, contained('resumed'))['approval'] as Json)),
    ),
  ],
  ['VERDICT_INCONSISTENT', 'a HALT without an incident', edit(is('verdict', { level: 'HALT' }), (entry) => void delete entry['incident'])],
  ['VERDICT_INCONSISTENT', 'one call and several', edit(is('verdict', { level: 'HALT' }), { candidates: ['ab'.repeat(16)] })],
  ['VERDICT_INCONSISTENT', 'a KILL in audit mode', edit(is('verdict', { mode: 'audit_only' }), { enforced: 'KILL' })],
  ['VERDICT_INCONSISTENT', 'a KILL where nothing is killed', edit(is('verdict', { mode: 'flag_and_hold' }), { enforced: 'KILL' })],
  ['VERDICT_INCONSISTENT', 'a FLAG enforced as a KILL', edit(is('verdict', { level: 'FLAG' }), { enforced: 'KILL' })],
  [
    'CONTAINMENT_WITHOUT_VERDICT',
    'a verdict that is none',
    edit(contained('frozen'), (entry, all) => void (entry['verdict'] = place(all, session('start')))),
  ],
  [
    'REFERENCE_MISMATCH',
    'a verdict with another hash',
    edit(contained('frozen'), (entry) => void (member(entry['verdict'])['leaf'] = '1'.repeat(64))),
    { keepReferences: true },
  ],
  ['CONTAINMENT_MISMATCH', 'a verdict of another incident', edit(contained('frozen'), { incident: 'i2' })],
  ['CONTAINMENT_MISMATCH', 'a verdict about another agent', edit(is('verdict', { incident: 'i1' }), { agent: 'another' })],
  [
    'CONTAINMENT_MISMATCH',
    'something held up in audit mode',
    after(is('verdict', { mode: 'audit_only' }), (all) => ({
      ...find(all, contained('frozen')),
      incident: 'i3',
      verdict: place(all, is('verdict', { mode: 'audit_only' })),
    })),
  ],
  ['CONTAINMENT_WITHOUT_FREEZE', 'something that went on without being held up', remove(contained('frozen'))],
  ['ENTRY_SHAPE', 'a level that is none', edit(is('verdict'), { level: 'SAFE' })],
  ['ENTRY_SHAPE', 'an event that is none', edit(contained('frozen'), { event: 'thawed' })],
  ['ENTRY_SHAPE', 'calls that were refused, and no number of them', edit(contained('frozen'), { refused: -1 })],
  ['ENTRY_SHAPE', 'a scope that is none', edit(session('halted', { scope: 'ledger' }), { scope: 'host' })],
  ['OPENING_MISMATCH', 'another commitment to what was seen', edit(is('verdict'), { activity_commit: '0'.repeat(64) })],
  ['OPENING_MISMATCH', 'another commitment to what was done', edit(contained('frozen'), { details_commit: '0'.repeat(64) })],
];

describe('a ledger in which sessions were halted', () => {
  it('is valid, and nothing of it is unknown', async () => {
    const report = await verifyLedger(path, OPTIONS);
    expect(report).toMatchObject({ status: 'valid', problems: [], warnings: [] });
    const events = entriesOf(path).flatMap(({ kind, event }) => (kind === 'containment' ? [event] : []));
    expect(events).toEqual([
      'frozen',
      'resumed',
      'frozen',
      'killed',
      'quarantined',
      'restored',
      'frozen',
      'overridden',
      'frozen',
      'denied',
      'failed',
    ]);
    expect(entriesOf(path).filter(asked)).toHaveLength(1);
  });

  it.each(FORGERIES)('%s: %s', async (code, _name, change, forgery) => {
    const report = await verifyLedger(forged(path, change, forgery), OPTIONS);
    expect(report).toMatchObject({ status: 'invalid' });
    expect(report.problems.map((problem) => problem.code)).toContain(code);
  });

  it('what was killed and never frozen on record is a warning: nothing of it runs', async () => {
    const change = (entries: Loose[]): Loose[] => {
      const all = entries.filter(contained('frozen'));
      return entries.filter((entry) => entry !== all[1]);
    };
    const report = await verifyLedger(forged(path, change), OPTIONS);
    expect(report).toMatchObject({ status: 'valid', warnings: [{ code: 'CONTAINMENT_WITHOUT_FREEZE' }] });
  });

  it('what a person let go on though not all of it could be frozen is a warning', async () => {
    const report = await verifyLedger(forged(path, edit(contained('frozen'), { event: 'failed' })), OPTIONS);
    expect(report).toMatchObject({ status: 'valid', problems: [], warnings: [{ code: 'CONTAINMENT_WITHOUT_FREEZE' }] });
  });

  it('says whose signatures it could not check', async () => {
    const report = await verifyLedger(path, { publicKeys: [LEDGER_VKEY] });
    expect(report).toMatchObject({ status: 'valid', warnings: [{ code: 'APPROVER_UNCHECKED' }] });
    const keyless = edit(signed, (entry) => {
      entry['approver'] = { id: 'finance', method: 'host', assurance: 'medium' };
      delete entry['signature'];
    });
    const without = await verifyLedger(forged(path, keyless), OPTIONS);
    expect(without.warnings.map(({ code }) => code)).toEqual(['APPROVER_METHOD']);
  });

  it('from every size on, nothing seems wrong that is not', async () => {
    const { size } = { size: entriesOf(path).length };
    const notes = await notesOf(size);
    for (const note of notes) {
      const report = await verifyLedger(path, { ...OPTIONS, since: note });
      expect([report.status, report.problems]).toEqual(['valid', []]);
    }
  });

  it('what was seen can be erased, and the entry stays', async () => {
    const gone = tampered(path, (database) => database.exec(`DELETE FROM openings WHERE sections LIKE '%activity%'`));
    const report = await verifyLedger(gone, OPTIONS);
    expect(report.problems).toEqual([]);
    expect(report.warnings.map(({ code }) => code)).toEqual(['OPENING_MISSING']);
  });
});

/** Notes for every size of the ledger, signed by its key. */
async function notesOf(size: number): Promise<readonly string[]> {
  const { CompactRange, leafHash } = await import('../../src/ledger/merkle.ts');
  const { canonicalize } = await import('../../src/ledger/canonical.ts');
  const { noteOf } = await import('./forge.ts');
  const range = new CompactRange();
  return entriesOf(path)
    .slice(0, size - 1)
    .map((entry) => {
      range.push(leafHash(canonicalize(entry)));
      return noteOf({ size: range.size, root: range.root() });
    });
}

describe('more incidents than are remembered', () => {
  const entry = (more: Loose): Entry => ({ v: 1, id: '0', at: 1, writer: '0', agent: 'a', session: 's', ...more }) as unknown as Entry;
  const placed = (index: number) => ({ index, number: index + 1, leaf: 'l' });

  it('are told, and nothing is said to be wrong', () => {
    const findings = new Findings();
    const incidents = new Incidents(findings, () => undefined, 2);
    const verdict = (i: number) =>
      entry({ kind: 'verdict', level: 'HALT', enforced: 'HALT', mode: 'enforce_kill', incident: `i${i}` }) as Parameters<
        Incidents['verdict']
      >[1];
    const containment = (event: string, i: number) =>
      entry({ kind: 'containment', event, incident: `i${i}`, verdict: { of: i, leaf: 'l' } }) as Parameters<Incidents['containment']>[1];
    const all = { hasUnread: false, gaps: false };
    for (const i of [0, 1, 2]) incidents.verdict(placed(i), verdict(i));
    for (const i of [0, 1, 2]) incidents.containment(placed(3 + i), containment('frozen', i), all);
    for (const i of [0, 1, 2]) incidents.containment(placed(6 + i), containment('resumed', i), all);
    incidents.finish();
    expect(findings.problems()).toEqual([]);
    expect(findings.warnings()).toMatchObject([{ entry: 0, code: 'INCIDENTS_UNCHECKED' }]);
  });
});
