/** What an outcome may claim became of its result. The bytes are in order and signed; only the story is wrong. */
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { allowAll, createGuard } from '../../src/index.ts';
import type { VerifyCode } from '../../src/sqlite/index.ts';
import { LEDGER_VKEY, openLedger, tempDirectory } from '../fixtures/ledger.ts';
import { verifyLedger } from './both.ts';
import { forged, type Loose } from './forge.ts';

const OPTIONS = { publicKeys: [LEDGER_VKEY], strict: true };

let path: string;
beforeAll(async () => {
  path = join(tempDirectory(), 'ledger.db');
  const store = openLedger(path);
  const guard = createGuard({ agent: 'a', session: 's', policy: allowAll(), store });
  await guard.run({ tool: { name: 'read' }, args: {} }, () => 'text');
  await guard.close();
  await store.close();
});

/** The ledger with this said in its outcome. */
function saying(said: Loose): string {
  return forged(path, (entries) => entries.map((entry) => (entry['kind'] === 'outcome' ? { ...entry, ...said } : entry)));
}

it.each<[string, Loose]>([
  ['a label', { labels: ['untrusted'], released: { action: 'label', rule: 'web' } }],
  ['a mask', { released: { action: 'mask', rule: 'no-secrets' } }],
  ['a cut with a label', { labels: ['long'], released: { action: 'truncate', rule: 'short', reason_code: 'TOO_LONG' } }],
  ['a failure', { released: { action: 'withhold', reason_code: 'POLICY_EVALUATION_FAILED' } }],
  ['what audit mode let through', { released: { action: 'release', would: 'withhold', rule: 'no-orders' } }],
  ['a label beside it', { labels: ['x'], released: { action: 'label', would: 'mask', rule: 'no-secrets' } }],
])('a ledger may tell of %s', async (_what, said) => {
  const copy = saying(said);
  expect((await verifyLedger(copy, OPTIONS)).problems).toEqual([]);
  expect(await verifyLedger(copy, { ...OPTIONS, strict: false })).toMatchObject({ status: 'valid', problems: [] });
});

describe('finds', () => {
  it.each<[VerifyCode, string, Loose]>([
    ['RELEASE_MISMATCH', 'a label that is not named', { released: { action: 'label', rule: 'web' } }],
    ['RELEASE_MISMATCH', 'a label out of none', { labels: [], released: { action: 'label', rule: 'web' } }],
    ['RELEASE_MISMATCH', 'less than was done', { released: { action: 'withhold', would: 'mask' } }],
    ['RELEASE_MISMATCH', 'as much as was done', { released: { action: 'mask', would: 'mask' } }],
    ['RELEASE_MISMATCH', 'nothing at all', { released: { action: 'release', rule: 'web' } }],
    ['ENTRY_SHAPE', 'an action nobody knows', { released: { action: 'hide' } }],
    ['ENTRY_SHAPE', 'a name that objects have', { released: { action: 'constructor' } }],
    ['ENTRY_SHAPE', 'no action', { released: {} }],
    ['ENTRY_SHAPE', 'a text', { released: 'withhold' }],
    ['ENTRY_SHAPE', 'an empty rule', { released: { action: 'mask', rule: '' } }],
    ['UNKNOWN_FIELD', 'a field nobody knows', { released: { action: 'mask', text: 'x' } }],
  ])('%s: %s', async (code, _what, said) => {
    const report = await verifyLedger(saying(said), OPTIONS);
    expect(report.problems.map((problem) => problem.code)).toEqual([code]);
  });
});
