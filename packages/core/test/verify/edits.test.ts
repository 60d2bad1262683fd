import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  approvalStatement,
  commitSection,
  definePolicy,
  type Guard,
  generateKey,
  type Json,
  newOpeningKey,
  signerFromPem,
  statementOf,
} from '../../src/index.ts';
import type { VerifyCode } from '../../src/sqlite/index.ts';
import { LEDGER_VKEY, openLedger, tempDirectory } from '../fixtures/ledger.ts';
import { verifyLedger } from './both.ts';
import { forged, type Loose, tampered } from './forge.ts';
import { askAndRun, call, guardOn, host } from './scenario.ts';

const finance = generateKey('finance');
const signer = signerFromPem(finance.privatePem, 'finance');
const APPROVERS = new Map([['finance', finance.vkey]]);
const OPTIONS = { publicKeys: [LEDGER_VKEY], approvers: APPROVERS };

const policy = definePolicy({
  id: 'edits',
  evaluate: ({ args }) => {
    const { amount } = args as { readonly amount: number };
    if (amount > 1000) return { effect: 'deny' };
    return amount > 100 ? { effect: 'require_approval', terms: { assurance: 'medium' } } : { effect: 'allow' };
  },
});

async function signedEdit(guard: Guard, id: string, args: Json): Promise<void> {
  const row = await guard.approvals.get(id);
  if (row === undefined) throw new Error('the approval is gone');
  const openingKey = newOpeningKey();
  const statement = statementOf(row, { answer: 'deny', argsCommit: commitSection(openingKey, 'args', args) }, 'finance');
  const signature = Buffer.from(signer.sign(approvalStatement(statement))).toString('base64');
  await guard.approvals.resolve(id, { decision: 'edit', args, openingKey }, { id: 'finance', method: 'key', signature });
}

let path: string;
beforeAll(async () => {
  path = join(tempDirectory(), 'ledger.db');
  const store = openLedger(path);
  const guard = guardOn(store, { policy, budgets: [], approvals: { approvers: APPROVERS } });
  const edit = (args: Json) => (id: string) => guard.approvals.resolve(id, { decision: 'edit', args }, host('alice'));
  // Allowed at once; asked about again and approved; by key; edited twice; denied by policy; left alone.
  await askAndRun(guard, call('pay', { amount: 700 }, { id: 'a' }), edit({ amount: 70 }));
  await askAndRun(guard, call('pay', { amount: 701 }, { id: 'b' }), edit({ amount: 201 }));
  await askAndRun(guard, call('pay', { amount: 701 }, { id: 'b' }), (id) =>
    guard.approvals.resolve(id, { decision: 'approve' }, host('alice')),
  );
  await askAndRun(guard, call('pay', { amount: 702 }, { id: 'c' }), (id) => signedEdit(guard, id, { amount: 72 }));
  await askAndRun(guard, call('pay', { amount: 703 }, { id: 'd' }), edit({ amount: 203 }));
  await askAndRun(guard, call('pay', { amount: 703 }, { id: 'd' }), edit({ amount: 73 }));
  await askAndRun(guard, call('pay', { amount: 704 }, { id: 'e' }), edit({ amount: 9999 }));
  await askAndRun(guard, call('pay', { amount: 705 }, { id: 'f' }), (id) =>
    guard.approvals.resolve(id, { decision: 'deny' }, host('alice')),
  );
  await guard.close();
  await store.close();
});

const isEdit = (entry: Loose): boolean => entry['kind'] === 'approval' && 'args_commit' in entry;
const isMade = (entry: Loose): boolean => entry['kind'] === 'decision' && 'edited' in entry;
const isMadeAllow = (entry: Loose): boolean => isMade(entry) && entry['effect'] === 'allow';
const isAsk = (entry: Loose): boolean => entry['effect'] === 'require_approval';
const isApproved = (entry: Loose): boolean => entry['effect'] === 'allow' && 'approval' in entry;

function find(entries: readonly Loose[], test: (entry: Loose) => boolean, nth = 0): Loose {
  const found = entries.filter(test)[nth];
  if (found === undefined) throw new Error('the ledger lacks what this test changes');
  return found;
}
const refTo = (entries: readonly Loose[], entry: Loose): Loose => ({ of: entries.indexOf(entry), leaf: '0'.repeat(64) });
const editedOf = (entry: Loose): Loose => entry['edited'] as Loose;

async function codesOf(changed: string): Promise<readonly string[]> {
  const report = await verifyLedger(changed, OPTIONS);
  expect(report).toMatchObject({ integrity: 'intact' });
  return report.problems.map(({ code }) => code);
}

describe('edits', () => {
  it('of an honest ledger have nothing wrong', async () => {
    const report = await verifyLedger(path, OPTIONS);
    expect(report).toMatchObject({ status: 'valid', problems: [], warnings: [] });
    expect(await verifyLedger(path, { ...OPTIONS, strict: true, expectHead: report.root ?? '' })).toMatchObject({ status: 'valid' });
  });

  it.each<[VerifyCode, string, (entries: Loose[]) => Loose[] | void]>([
    ['EDIT_UNPROVEN', 'of nothing', (all) => void (editedOf(find(all, isMade))['answer'] = refTo(all, find(all, isAsk)))],
    [
      'EDIT_UNPROVEN',
      'that comes later',
      (all) => {
        const made = find(all, isMadeAllow);
        const answer = find(all, isEdit);
        const rest = all.filter((entry) => entry !== answer);
        return rest.toSpliced(rest.indexOf(made) + 1, 0, answer);
      },
    ],
    ['EDIT_UNPROVEN', 'that is a plain no', (all) => void delete find(all, isEdit)['args_commit']],
    ['EDIT_MISMATCH', 'that approves as well', (all) => void (find(all, isEdit)['answer'] = 'approve')],
    ['EDIT_MISMATCH', 'of another call', (all) => void (editedOf(find(all, isMade))['call'] = find(all, isAsk, 1)['call'] ?? null)],
    ['EDIT_MISMATCH', 'for another tool', (all) => void ((find(all, isMadeAllow)['tool'] as Loose)['name'] = 'other')],
    ['EDIT_MISMATCH', 'for another principal', (all) => void (find(all, isMadeAllow)['principal'] = 'eve')],
    [
      'EDIT_MISMATCH',
      'that makes the call itself',
      (all) => {
        const made = find(all, isMadeAllow);
        made['call'] = editedOf(made)['call'] ?? null;
      },
    ],
    [
      'EDIT_REUSED',
      'that makes two calls',
      (all) => void (find(all, isMadeAllow, 1)['edited'] = structuredClone(find(all, isMadeAllow)['edited'] ?? null)),
    ],
    [
      'EDIT_ARGUMENTS',
      'with other arguments than were proposed',
      (all) => void (find(all, isMadeAllow, 1)['edited'] = structuredClone(find(all, isMadeAllow)['edited'] ?? null)),
    ],
    [
      'APPROVAL_SIGNATURE',
      'that was signed without what it proposes',
      (all) => void delete find(all, (entry) => isEdit(entry) && 'signature' in entry)['args_commit'],
    ],
    [
      'APPROVAL_WAS_DENIED',
      'whose original runs',
      (all) =>
        void Object.assign(
          find(all, (entry) => entry['reason_code'] === 'APPROVAL_EDITED'),
          { effect: 'allow', would: 'allow' },
        ),
    ],
    [
      'APPROVAL_WAS_DENIED',
      'or a no that is not kept',
      (all) =>
        void Object.assign(
          find(all, (entry) => entry['reason_code'] === 'APPROVAL_DENIED'),
          { effect: 'allow', would: 'allow' },
        ),
    ],
    [
      'APPROVER_ASSURANCE',
      'an answer that claims to be worth more',
      (all) => void ((find(all, isEdit)['approver'] as Loose)['assurance'] = 'high'),
    ],
    [
      'APPROVER_ASSURANCE',
      'an answer that is worth too little',
      (all) => {
        const [answer] = (find(all, isApproved)['approval'] as Loose)['answers'] as Loose[];
        Object.assign((all[Number(answer?.['of'])] as Loose)['approver'] as Loose, { method: 'elicitation', assurance: 'low' });
      },
    ],
    [
      'APPROVER_ASSURANCE',
      'a proposal by somebody who may not propose',
      (all) => {
        const { call: named } = find(all, isEdit);
        const asked = find(all, (entry) => isAsk(entry) && entry['call'] === named);
        asked['approval'] = { ...(asked['approval'] as Loose), assurance: 'high' };
      },
    ],
    [
      'QUORUM_NOT_MET',
      'and counts for nothing',
      (all) => {
        const [answer] = (find(all, isApproved)['approval'] as Loose)['answers'] as Loose[];
        Object.assign((all[Number(answer?.['of'])] as Loose)['approver'] as Loose, { method: 'elicitation', assurance: 'low' });
      },
    ],
  ])('%s: %s', async (code, _name, change) => {
    expect(await codesOf(forged(path, change))).toContain(code);
  });

  it('that are named with another hash are told', async () => {
    const changed = forged(path, (all) => void ((editedOf(find(all, isMadeAllow))['answer'] as Loose)['leaf'] = 'f'.repeat(64)), {
      keepReferences: true,
    });
    expect(await codesOf(changed)).toContain('REFERENCE_MISMATCH');
  });

  it('whose clear text is another do not match their commitment', async () => {
    const changed = tampered(path, (database) =>
      database.exec(`UPDATE openings SET sections = replace(sections, '{"amount":70}', '{"amount":71}')`),
    );
    expect(await codesOf(changed)).toEqual(['OPENING_MISMATCH', 'OPENING_MISMATCH']);
  });
});
