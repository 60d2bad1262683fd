import { describe, expect, it } from 'vitest';
import { grantStatement, grantStatementOf } from '../../src/grant/statement.ts';
import type { GrantedBody } from '../../src/ledger/entry.ts';
import { signerFromPem } from '../../src/ledger/keys.ts';
import { verifyLedger } from '../../src/sqlite/index.ts';
import { LEDGER_PEM } from '../fixtures/ledger.ts';
import { goldenFile } from '../formats/golden-file.ts';
import { CHECKPOINT_WITH_GRANTS, WITH_GRANTS } from '../formats/grants.ts';
import { finance, GOLDEN, ORIGIN } from '../formats/ledger.ts';
import { forged, type Loose, noteOf } from './forge.ts';

const path = goldenFile(WITH_GRANTS, CHECKPOINT_WITH_GRANTS);
const APPROVERS = new Map([['finance', finance.vkey]]);
const [ASK, ANSWER, GRANT, USE, REVOKED] = [0, 1, 2, 4, 5].map((more) => GOLDEN.length + more) as [number, number, number, number, number];
const OTHER_ID = 'f'.repeat(32);

/** The codes found, and where, once somebody with the ledger's key changed these entries. */
async function found(change: (entries: Loose[]) => Loose[] | void, approvers = APPROVERS): Promise<readonly (readonly [number, string])[]> {
  const report = await verifyLedger(forged(path, change, { origin: ORIGIN }), approvers.size > 0 ? { approvers } : {});
  return report.problems.map(({ entry, code }) => [entry, code] as const);
}

const at = (index: number): number => index + 1;
const of = (entries: Loose[], index: number): Loose => entries[index] as Loose;

describe('a ledger with a grant', () => {
  it('is valid as it is, and after it was signed anew', async () => {
    expect(await found(() => undefined)).toEqual([]);
  });

  it('whoever took it back claims to be worth no more than their method is', async () => {
    const claim = (entries: Loose[]): void => void (of(entries, REVOKED)['approver'] = { id: 'bob', method: 'page', assurance: 'high' });
    expect(await found(claim)).toEqual([[at(REVOKED), 'APPROVER_ASSURANCE']]);
  });

  it('the signature of whoever gave it or took it back is checked when the key is given, and told of when not', async () => {
    const unsigned = (entries: Loose[]): void => {
      delete of(entries, GRANT)['signature'];
      delete of(entries, REVOKED)['signature'];
    };
    expect(await found(unsigned)).toEqual([
      [at(GRANT), 'GRANT_SIGNATURE'],
      [at(REVOKED), 'GRANT_SIGNATURE'],
    ]);
    expect(await found(unsigned, new Map())).toEqual([
      [at(GRANT), 'GRANT_SIGNATURE'],
      [at(REVOKED), 'GRANT_SIGNATURE'],
    ]);
    const report = await verifyLedger(path, { strict: true });
    expect(report.warnings.filter(({ code }) => code === 'APPROVER_UNCHECKED')).toHaveLength(2);
    expect(report.status).toBe('unproven');
  });

  it.each<[string, Loose]>([
    ['more uses', { uses: 4 }],
    ['more time', { expires_at: 1767229217001 }],
    ['another tool', { tool: { name: 'refund' } }],
    ['a tool with another schema', { tool: { name: 'refund', server: 'bank', schema: 'x' } }],
    ['another rule', { rule: 'other' }],
    ['another policy', { policy: { hash: '0'.repeat(64), id: 'billing', version: '3' } }],
    ['another session', { session: 's2' }],
    ['another principal', { principal: 'eve' }],
    ['another condition', { when_commit: '0'.repeat(64) }],
    ['another reason', { reason_commit: '0'.repeat(64) }],
    ['another id', { grant: OTHER_ID }],
    ['another approval', { approval: { id: OTHER_ID, answer: { of: ANSWER, leaf: WITH_GRANTS[ANSWER]?.leaf ?? '' } } }],
    ['another agent', { agent: 'eve' }],
    ['another name', { approver: { id: 'finance', method: 'key', assurance: 'medium' } }],
  ])('a grant for %s than was signed is noticed', async (_what, change) => {
    const codes = await found((entries) => void Object.assign(of(entries, GRANT), change));
    expect(codes.filter(([entry]) => entry === at(GRANT)).map(([, code]) => code)).toEqual(
      expect.arrayContaining([expect.stringMatching(/^GRANT_(SIGNATURE|MISMATCH)$/)]),
    );
  });

  it('a grant for every session, made of one for one session, is noticed', async () => {
    expect(await found((entries) => void delete of(entries, GRANT)['session'])).toContainEqual([at(GRANT), 'GRANT_SIGNATURE']);
    expect(await found((entries) => void delete of(entries, GRANT)['when_commit'])).toContainEqual([at(GRANT), 'GRANT_SIGNATURE']);
  });
});

/** Whoever holds the approver's key as well signs what was changed. */
function signedAnew(entries: Loose[], change: Loose): void {
  Object.assign(of(entries, GRANT), change);
  const body = of(entries, GRANT) as unknown as GrantedBody;
  of(entries, GRANT)['signature'] = Buffer.from(finance.sign(grantStatement(grantStatementOf(body)))).toString('base64');
}

describe('what a grant must follow from', () => {
  it.each<[string, string, (entries: Loose[]) => Loose[] | void]>([
    ['its answer is not there', 'GRANT_WITHOUT_APPROVAL', (entries) => entries.filter((_, index) => index !== ANSWER)],
    [
      'its answer does not stand before it',
      'GRANT_WITHOUT_APPROVAL',
      (entries) => entries.toSpliced(GRANT, 0, { ...of(entries, 13), id: OTHER_ID, at: of(entries, GRANT)['at'] as number }),
    ],
    ['its answer is a deny', 'GRANT_WITHOUT_APPROVAL', (entries) => void (of(entries, ANSWER)['answer'] = 'deny')],
    [
      'the approval gave another one',
      'GRANT_WITHOUT_APPROVAL',
      (entries) => entries.toSpliced(GRANT + 1, 0, { ...of(entries, GRANT), id: OTHER_ID, grant: OTHER_ID }),
    ],
    [
      'two must approve',
      'GRANT_TERMS',
      (entries) => void (of(entries, ASK)['approval'] = { ...(of(entries, ASK)['approval'] as Loose), quorum: 2 }),
    ],
    ['it is good for more than a thousand uses', 'GRANT_TERMS', (entries) => signedAnew(entries, { uses: 1001 })],
    ['it expired before it was given', 'GRANT_TERMS', (entries) => signedAnew(entries, { expires_at: 1767225617000 })],
    [
      'it was given by elicitation',
      'GRANT_TERMS',
      (entries) => {
        for (const index of [ANSWER, GRANT]) of(entries, index)['approver'] = { id: 'finance', method: 'elicitation', assurance: 'high' };
      },
    ],
    ['it is for another tool than the ask', 'GRANT_MISMATCH', (entries) => signedAnew(entries, { tool: { name: 'refund' } })],
    ['it is for another rule than the ask', 'GRANT_MISMATCH', (entries) => signedAnew(entries, { rule: 'other' })],
    ['it is for another session than the ask', 'GRANT_MISMATCH', (entries) => signedAnew(entries, { session: 's2' })],
    [
      'it was given by somebody else than the answer',
      'GRANT_MISMATCH',
      (entries) => void (of(entries, GRANT)['approver'] = { id: 'alice', method: 'host', assurance: 'medium' }),
    ],
    ['its id was given before', 'GRANT_ID_REUSED', (entries) => entries.toSpliced(GRANT + 1, 0, { ...of(entries, GRANT), id: OTHER_ID })],
  ])('%s: %s', async (_what, code, change) => {
    expect((await found(change)).map(([, each]) => each)).toContain(code);
  });
});

describe('how a grant is used', () => {
  const use = (entries: Loose[]): Loose => of(entries, USE);
  const numbered = (entries: Loose[], number: number): void => {
    use(entries)['grant'] = { ...(use(entries)['grant'] as Loose), use: number };
  };
  const again = (entries: Loose[], number: number, more: Loose = {}): Loose => ({
    ...use(entries),
    id: number.toString(16).padStart(32, 'e'),
    call: number.toString(16).padStart(32, 'd'),
    grant: { ...(use(entries)['grant'] as Loose), use: number },
    ...more,
  });

  it('as often as it is good for, without a gap: nothing is wrong', async () => {
    expect(await found((entries) => entries.toSpliced(REVOKED, 0, again(entries, 2), again(entries, 3)))).toEqual([]);
  });

  it.each<[string, string, number, (entries: Loose[]) => Loose[] | void]>([
    [
      'once more than it is good for',
      'GRANT_OVERUSED',
      USE + 3,
      (entries) => entries.toSpliced(REVOKED, 0, again(entries, 2), again(entries, 3), again(entries, 4)),
    ],
    ['with a number twice', 'GRANT_USE_NUMBER', USE + 1, (entries) => entries.toSpliced(REVOKED, 0, again(entries, 1))],
    ['with a number left out', 'GRANT_USE_NUMBER', USE, (entries) => numbered(entries, 2)],
    [
      'after it was taken back',
      'GRANT_REVOKED',
      USE + 1,
      (entries) => [
        ...entries.slice(0, USE),
        of(entries, REVOKED),
        { ...use(entries), at: of(entries, REVOKED)['at'] as number },
        ...entries.slice(REVOKED + 1),
      ],
    ],
    [
      'after its approval was taken back',
      'GRANT_REVOKED',
      USE + 1,
      (entries) => [
        ...entries.slice(0, USE),
        { ...of(entries, ANSWER), id: OTHER_ID, answer: 'deny', at: use(entries)['at'] as number },
        ...entries.slice(USE),
      ],
    ],
    [
      'after it had expired',
      'GRANT_EXPIRED',
      USE,
      (entries) => {
        for (const entry of entries.slice(USE)) entry['at'] = 1767229217000;
      },
    ],
    ['without there being one', 'ALLOW_WITHOUT_GRANT', USE, (entries) => numberedAs(entries, OTHER_ID)],
    ['for another tool', 'GRANT_MISMATCH', USE, (entries) => void (use(entries)['tool'] = { name: 'drop', server: 'bank' })],
    ['for the same tool of another server', 'GRANT_MISMATCH', USE, (entries) => void (use(entries)['tool'] = { name: 'refund' })],
    [
      'for a tool whose schema changed',
      'GRANT_MISMATCH',
      USE,
      (entries) => void (use(entries)['tool'] = { name: 'refund', server: 'bank', schema: 'new' }),
    ],
    ['by another agent', 'GRANT_MISMATCH', USE, (entries) => void (use(entries)['agent'] = 'eve')],
    ['for another principal', 'GRANT_MISMATCH', USE, (entries) => void (use(entries)['principal'] = 'eve')],
    ['under another rule', 'GRANT_MISMATCH', USE, (entries) => void (use(entries)['rule'] = 'other')],
    ['under another policy', 'GRANT_MISMATCH', USE, (entries) => void (use(entries)['policy'] = { id: 'billing', hash: '1'.repeat(64) })],
    [
      'in another session',
      'GRANT_MISMATCH',
      USE + 1,
      (entries) =>
        entries.toSpliced(
          USE,
          1,
          { ...of(entries, 2), id: OTHER_ID, session: 's2', at: use(entries)['at'] as number },
          { ...use(entries), session: 's2' },
        ),
    ],
  ])('%s: %s', async (_what, code, index, change) => {
    expect(await found(change)).toContainEqual([at(index), code]);
  });

  it('an override that hides behind another reason code is told of', async () => {
    expect(await found((entries) => void (use(entries)['reason_code'] = 'POLICY_ALLOW_LOW_RISK'))).toContainEqual([
      at(USE),
      'GRANT_MISMATCH',
    ]);
  });

  it('a deny is never made an allow by a grant', async () => {
    expect(await found((entries) => void (use(entries)['would'] = 'deny'))).toContainEqual([at(USE), 'ALLOW_WITHOUT_APPROVAL']);
  });

  it('a grant that is named with another hash, and one that is taken back and was never given', async () => {
    const elsewhere = { of: GRANT, leaf: '2'.repeat(64) };
    const wrong = forged(path, (entries) => void (use(entries)['grant'] = { ...(use(entries)['grant'] as Loose), entry: elsewhere }), {
      origin: ORIGIN,
      keepReferences: true,
    });
    expect((await verifyLedger(wrong)).problems.map(({ code }) => code)).toContain('REFERENCE_MISMATCH');
    expect(await found((entries) => void (of(entries, REVOKED)['grant'] = OTHER_ID))).toContainEqual([
      at(REVOKED),
      'REVOKED_WITHOUT_GRANT',
    ]);
    expect(await found((entries) => void (of(entries, REVOKED)['agent'] = 'eve'))).toContainEqual([at(REVOKED), 'GRANT_MISMATCH']);
  });
});

describe('read from a checkpoint on', () => {
  const noteAt = async (size: number): Promise<string> => {
    const { root = '' } = await verifyLedger(forged(path, (entries) => entries.slice(0, size), { origin: ORIGIN }));
    return noteOf({ size, root }, { origin: ORIGIN });
  };
  const options = { publicKeys: [signerFromPem(LEDGER_PEM, ORIGIN).vkey], approvers: APPROVERS };

  it('an honest ledger stays valid, wherever one starts: grants and answers from before are looked up', async () => {
    const signed = forged(path, () => undefined, { origin: ORIGIN });
    for (let size = 1; size <= WITH_GRANTS.length; size++) {
      const report = await verifyLedger(signed, { ...options, since: await noteAt(size) });
      expect([size, report.status, report.problems]).toEqual([size, 'valid', []]);
    }
  });

  it('a use of an older grant that was not given, or after its end, is found', async () => {
    const since = await noteAt(USE);
    const codes = async (change: (entries: Loose[]) => Loose[] | void): Promise<readonly string[]> => {
      const report = await verifyLedger(forged(path, change, { origin: ORIGIN }), { ...options, since });
      return report.problems.map(({ code }) => code);
    };
    expect(await codes((entries) => numberedAs(entries, OTHER_ID))).toContain('ALLOW_WITHOUT_GRANT');
    expect(await codes((entries) => void (of(entries, USE)['grant'] = { ...(of(entries, USE)['grant'] as Loose), use: 4 }))).toContain(
      'GRANT_OVERUSED',
    );
    expect(await codes((entries) => void (of(entries, USE)['tool'] = { name: 'drop' }))).toContain('GRANT_MISMATCH');
  });

  it('that it was used before, or taken back, is not seen', async () => {
    const again = (entries: Loose[]): Loose[] => [
      ...entries,
      { ...of(entries, USE), id: OTHER_ID, call: OTHER_ID, at: of(entries, WITH_GRANTS.length - 1)['at'] ?? 0 },
    ];
    const codes = (await found(again)).filter(([entry]) => entry === at(WITH_GRANTS.length)).map(([, code]) => code);
    expect(codes).toEqual(expect.arrayContaining(['GRANT_REVOKED', 'GRANT_USE_NUMBER']));
    const file = forged(path, again, { origin: ORIGIN });
    expect((await verifyLedger(file, { ...options, since: await noteAt(WITH_GRANTS.length) })).problems).toEqual([]);
  });
});

function numberedAs(entries: Loose[], id: string): void {
  of(entries, USE)['grant'] = { ...(of(entries, USE)['grant'] as Loose), id };
}
