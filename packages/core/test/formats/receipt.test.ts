import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { checkReceipt } from '../../src/index.ts';
import { MAX_CANONICAL_CHARS } from '../../src/ledger/canonical.ts';
import { MAX_ENTRY_BYTES } from '../../src/ledger/entry.ts';
import { MAX_TLOG_PROOF_CHARS } from '../../src/ledger/tlog-proof.ts';
import { MAX_DISCLOSED_FIELDS } from '../../src/receipt/format.ts';
import { discloseFields, makeReceipt } from '../../src/sqlite/index.ts';
import { goldenFile } from './golden-file.ts';
import { CHECKPOINT, GOLDEN, signer } from './ledger.ts';

const page = readFileSync(new URL('../../../../docs/formats/receipt.md', import.meta.url), 'utf8');
const blocks = [...page.matchAll(/```(json|text)\n([\s\S]+?)\n```/g)].map(([, , block = '']) => block);
const CALL = '00000000000000000000000000000065';

it('docs/formats/receipt.md shows a receipt, byte for byte what the code makes, and it is valid', () => {
  const { text } = makeReceipt(goldenFile(), { call: CALL });
  expect(blocks[0]).toBe(text);
  expect(checkReceipt(text, { publicKeys: [signer.vkey] })).toMatchObject({
    status: 'valid',
    entry: { entry: 4, leaf: GOLDEN[3]?.leaf, clear_text: 'all' },
    outcome: { entry: 5, clear_text: 'all' },
    warnings: [],
  });
});

it('shows the proof as the text it is', () => {
  const { proof } = JSON.parse(blocks[0] as string) as { proof: string };
  expect(`${blocks[1]}\n`).toBe(proof);
  expect(proof.endsWith(`\n\n${CHECKPOINT}`)).toBe(true);
});

it('shows a disclosure, byte for byte', () => {
  const { text } = discloseFields(goldenFile(), { index: 3 }, ['/args/amount']);
  const { opening } = JSON.parse(text) as { opening: unknown };
  expect(blocks[2]).toBe(JSON.stringify(opening));
  expect(checkReceipt(text, { publicKeys: [signer.vkey] })).toMatchObject({
    status: 'valid',
    entry: { clear_text: 'part', disclosed: [{ pointer: '/args/amount', value: 120 }], withheld_fields: 1 },
    outcome: { clear_text: 'withheld', withheld_sections: ['result'] },
  });
});

it('names the bounds', () => {
  for (const bound of [MAX_CANONICAL_CHARS, MAX_ENTRY_BYTES, MAX_TLOG_PROOF_CHARS, MAX_DISCLOSED_FIELDS])
    expect(page).toContain(bound.toLocaleString('en'));
});
