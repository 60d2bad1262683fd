import { describe, expect, it } from 'vitest';
import { CompactRange } from '../../src/ledger/merkle.ts';
import { digestOf } from '../../src/pin/declaration.ts';
import { pinStatement } from '../../src/pin/statement.ts';
import { readLedger, verifyLedger } from '../../src/sqlite/index.ts';
import { WITH_FACTS } from '../formats/facts.ts';
import { goldenFile } from '../formats/golden-file.ts';
import { finance, ORIGIN } from '../formats/ledger.ts';
import { CHECKPOINT_WITH_PINS, readFile, WITH_PINS } from '../formats/pins.ts';
import { edited, forged, type Loose, noteOf } from './forge.ts';

const path = goldenFile(WITH_PINS, CHECKPOINT_WITH_PINS);
const APPROVERS = new Map([['finance', finance.vkey]]);
const [FIRST, CHANGED, ACCEPTED, REVOKED] = [0, 1, 2, 3].map((more) => WITH_FACTS.length + more) as [number, number, number, number];
const OTHER_ID = 'f'.repeat(32);

const at = (index: number): number => index + 1;
const of = (entries: Loose[], index: number): Loose => entries[index] as Loose;
const pinOf = (entry: Loose): Loose => (entry['pins'] as unknown as Loose[])[0] as Loose;

/** The codes found, and where, once somebody with the ledger's key changed these entries. */
async function found(change: (entries: Loose[]) => Loose[] | void, approvers = APPROVERS): Promise<readonly (readonly [number, string])[]> {
  // References are followed; what was signed over them is signed anew by whoever has that key as well.
  const report = await verifyLedger(forged(path, change, { origin: ORIGIN }), { approvers });
  return report.problems.map(({ entry, code }) => [entry, code] as const);
}

describe('a ledger with pins', () => {
  it('is valid as it is, and after it was signed anew', async () => {
    expect(await found(() => undefined)).toEqual([]);
  });

  it.each<[string, string, number, (entries: Loose[]) => Loose[] | void]>([
    [
      'a change is left out, so that the next one seems to go on from what is trusted',
      'PIN_ORDER',
      CHANGED,
      (entries) => entries.toSpliced(CHANGED, 1),
    ],
    [
      'an entry goes on from an older one, as if a row had been put back',
      'PIN_ORDER',
      ACCEPTED,
      (entries) => void (of(entries, ACCEPTED)['before'] = of(entries, CHANGED)['before'] as Loose),
    ],
    ['an entry that is not the first says it is', 'PIN_ORDER', CHANGED, (entries) => void delete of(entries, CHANGED)['before']],
    ['a changed tool is trusted as if it were new', 'PIN_REPEATED', CHANGED, (entries) => void (of(entries, CHANGED)['event'] = 'first')],
    [
      'one entry pins a tool twice',
      'PIN_REPEATED',
      FIRST,
      (entries) => void (of(entries, FIRST)['pins'] = [pinOf(of(entries, FIRST)), pinOf(of(entries, FIRST))]),
    ],
    ['a tool changed that never was', 'PIN_WITHOUT_FIRST', FIRST, (entries) => void (of(entries, FIRST)['event'] = 'changed')],
    ['a tool of another server changed', 'PIN_WITHOUT_FIRST', CHANGED, (entries) => void (of(entries, CHANGED)['server'] = 'mail')],
    [
      'a declaration is accepted that was never recorded',
      'PIN_UNPROVEN',
      ACCEPTED,
      (entries) => void (pinOf(of(entries, ACCEPTED))['digest'] = '0'.repeat(64)),
    ],
    [
      'the declaration of one tool is accepted for another',
      'PIN_UNPROVEN',
      ACCEPTED,
      (entries) => void (pinOf(of(entries, ACCEPTED))['name'] = 'write_file'),
    ],
    ['that of one server is accepted for another', 'PIN_UNPROVEN', ACCEPTED, (entries) => void (of(entries, ACCEPTED)['server'] = 'mail')],
    ['that of no server', 'PIN_UNPROVEN', ACCEPTED, (entries) => void delete of(entries, ACCEPTED)['server']],
    [
      'trust is taken from what nobody recorded',
      'PIN_UNPROVEN',
      REVOKED,
      (entries) => void (pinOf(of(entries, REVOKED))['digest'] = '0'.repeat(64)),
    ],
    [
      'an answer names another entry than the one that recorded it',
      'REFERENCE_MISMATCH',
      ACCEPTED,
      (entries) => void (pinOf(of(entries, ACCEPTED))['entry'] = of(entries, CHANGED)['before'] as Loose),
    ],
    [
      'a digest is of another declaration than lies beside it',
      'PIN_DIGEST',
      FIRST,
      (entries) => void (pinOf(of(entries, FIRST))['digest'] = '0'.repeat(64)),
    ],
    [
      'a declaration lies beside it that the entry does not name',
      'PIN_DIGEST',
      FIRST,
      (entries) => void (of(entries, FIRST)['pins'] = [pinOf(of(entries, FIRST))]),
    ],
    ['the person did not sign', 'PIN_SIGNATURE', ACCEPTED, (entries) => void delete of(entries, ACCEPTED)['signature']],
    [
      'the person signed something else',
      'PIN_SIGNATURE',
      REVOKED,
      (entries) => void (of(entries, REVOKED)['signature'] = of(entries, ACCEPTED)['signature'] as string),
    ],
    [
      'the signature is of another time: what was taken back is accepted again',
      'PIN_SIGNATURE',
      REVOKED + 1,
      (entries) => [
        ...entries,
        {
          ...of(entries, ACCEPTED),
          id: OTHER_ID,
          at: of(entries, REVOKED)['at'] as number,
          before: { of: REVOKED, leaf: WITH_PINS[REVOKED]?.leaf ?? '' },
        },
      ],
    ],
    [
      'an answer claims to be worth more than its method is',
      'APPROVER_ASSURANCE',
      REVOKED,
      (entries) => void (of(entries, REVOKED)['approver'] = { id: 'bob', method: 'elicitation', assurance: 'medium' }),
    ],
    ['an unknown flag', 'ENTRY_SHAPE', CHANGED, (entries) => void (pinOf(of(entries, CHANGED))['flags'] = ['fine'])],
    ['no pins', 'ENTRY_SHAPE', CHANGED, (entries) => void (of(entries, CHANGED)['pins'] = [])],
    ['nobody who accepted', 'ENTRY_SHAPE', ACCEPTED, (entries) => void delete of(entries, ACCEPTED)['approver']],
  ])('%s: %s', async (_what, code, index, change) => {
    expect(await found(change)).toContainEqual([at(index), code]);
  });

  it.each([
    ['first', FIRST],
    ['changed', CHANGED],
  ])('a declaration (%s) in which an approver is named is one all the same, and looked at like others', async (_event, index) => {
    const name = (entries: Loose[]): void => void (of(entries, index)['approver'] = { id: 'finance', method: 'key', assurance: 'high' });
    // Without the keys: what was signed over the entries that follow names their hashes.
    const report = await verifyLedger(forged(path, name, { origin: ORIGIN }));
    expect(report.warnings).toContainEqual(expect.objectContaining({ entry: at(index), code: 'UNKNOWN_FIELD' }));
    expect(report.problems).toEqual([]);
    const other = (entries: Loose[]): void => {
      name(entries);
      pinOf(of(entries, index))['digest'] = '0'.repeat(64);
    };
    expect(await found(other)).toContainEqual([at(index), 'PIN_DIGEST']);
  });

  it('whoever reads the ledger trusts no changed tool for an approver that is named in its declaration', () => {
    const unanswered = (entries: Loose[]): Loose[] => entries.slice(0, ACCEPTED);
    const named = (entries: Loose[]): Loose[] => {
      of(entries, CHANGED)['approver'] = { id: 'finance', method: 'key', assurance: 'high' };
      // Whatever else an answer has.
      pinOf(of(entries, CHANGED))['entry'] = of(entries, CHANGED)['before'] as Loose;
      return unanswered(entries);
    };
    const trusted = [unanswered, named].map((change) => {
      const reader = readLedger(forged(path, change, { origin: ORIGIN }));
      const states = reader.pins().map(({ name, pinned, offered }) => [name, pinned?.digest, offered.length]);
      reader.close();
      return states;
    });
    expect(trusted[1]).toEqual(trusted[0]);
    expect(trusted[0]).toContainEqual(['read_file', digestOf(readFile).digest, 1]);
  });

  it('whoever has a key and answers without it, or under a name that imitates theirs, is told of', async () => {
    for (const id of ['finance', 'Finance']) {
      const keyless = forged(path, (entries) => void (of(entries, ACCEPTED)['approver'] = { id, method: 'host', assurance: 'medium' }), {
        origin: ORIGIN,
      });
      const report = await verifyLedger(keyless, { approvers: APPROVERS, strict: true });
      expect(report.warnings).toContainEqual(expect.objectContaining({ code: 'APPROVER_METHOD' }));
      expect(report.status).not.toBe('valid');
    }
  });

  it('and so is an answer by another key under such a name', async () => {
    const imitated = forged(
      path,
      (entries) => void (of(entries, ACCEPTED)['approver'] = { id: 'Finance', method: 'key', assurance: 'high' }),
      { origin: ORIGIN },
    );
    const { warnings } = await verifyLedger(imitated, { approvers: APPROVERS });
    expect(warnings.map(({ code }) => code)).toEqual(expect.arrayContaining(['APPROVER_METHOD', 'APPROVER_UNCHECKED']));
  });

  it('a signature by a key that was not given is told of, not taken for good', async () => {
    const report = await verifyLedger(path, { strict: true });
    expect(report.warnings.filter(({ code, message }) => code === 'APPROVER_UNCHECKED' && message.includes('about tools'))).toHaveLength(1);
    expect(report.status).toBe('unproven');
  });

  it('rows that lead to entries are no evidence: what they say changes no verdict', async () => {
    const report = await verifyLedger(edited(path, `INSERT INTO marks VALUES ('waymark', 3, '${'0'.repeat(64)}')`), {
      approvers: APPROVERS,
    });
    expect(report.problems).toEqual([]);
  });

  it('a declaration that was changed beside its entry is found', async () => {
    const report = await verifyLedger(
      edited(path, `UPDATE openings SET sections = replace(sections, 'Reads a file.', 'Reads any file.')`),
      { approvers: APPROVERS },
    );
    expect(report.problems.map(({ code }) => code)).toContain('OPENING_MISMATCH');
  });

  it('a secret in a declaration is replaced beside it, and the entry says so: its digest cannot follow', async () => {
    const report = await verifyLedger(
      forged(
        path,
        (entries) => {
          Object.assign(pinOf(of(entries, FIRST)), { digest: '0'.repeat(64), redacted: true });
        },
        { origin: ORIGIN },
      ),
      { approvers: APPROVERS },
    );
    // Of the entries after it the signatures fall: they name what stood before them.
    expect(report.problems.map(({ code }) => code)).toEqual(['PIN_SIGNATURE', 'PIN_SIGNATURE']);
  });

  it('reading from a checkpoint on knows the pins before it', async () => {
    for (const size of [CHANGED, ACCEPTED, REVOKED]) {
      const since = await noteAt(size);
      expect(await verifyLedger(path, { approvers: APPROVERS, since })).toMatchObject({ problems: [] });
    }
    const since = await noteAt(REVOKED);
    const again = forged(
      path,
      (entries) => void Object.assign(of(entries, REVOKED), { pins: [{ ...pinOf(of(entries, REVOKED)), digest: '0'.repeat(64) }] }),
      { origin: ORIGIN },
    );
    const report = await verifyLedger(again, { approvers: APPROVERS, since });
    expect(report.problems.map(({ code }) => code)).toContain('PIN_UNPROVEN');
  });
});

async function noteAt(size: number): Promise<string> {
  const range = new CompactRange();
  for (const { leaf } of WITH_PINS.slice(0, size)) range.push(leaf);
  return noteOf({ size, root: range.root() }, { origin: ORIGIN });
}

/** So that a statement with another `before` is seen to be another statement. */
it('an answer is signed for one place', () => {
  const said = { event: 'accepted', server: 'files', pins: [{ name: 'a', digest: '0'.repeat(64) }] } as const;
  const [here, there] = [1, 2].map((of) => pinStatement({ ...said, before: { of, leaf: '0'.repeat(64) } }, 'finance'));
  expect(here).not.toEqual(there);
});
