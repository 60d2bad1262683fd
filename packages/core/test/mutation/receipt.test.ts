/** Changed receipts: none is taken for the original unless all it shows is the original's. */
import { beforeAll, describe, expect, it } from 'vitest';
import { checkReceipt, type Json } from '../../src/index.ts';
import { discloseFields } from '../../src/receipt/disclose.ts';
import { makeReceipt } from '../../src/receipt/make.ts';
import { readLedger } from '../../src/sqlite/index.ts';
import { LEDGER_VKEY } from '../fixtures/ledger.ts';
import { mutantCount, smallLedger } from './ledger.ts';
import { mutateText } from './mutators.ts';
import { Random } from './random.ts';

const TIMEOUT_MS = 1_800_000;

let whole: string;
let disclosed: string;
beforeAll(async () => {
  const path = await smallLedger();
  const reader = readLedger(path);
  const allowed = [...reader.entries()].find(({ text }) => text.includes('"effect":"allow"') && text.includes('"name":"refund"'));
  reader.close();
  const { call } = JSON.parse(allowed?.text ?? '{}') as { call: string };
  whole = makeReceipt(path, { call }).text;
  disclosed = discloseFields(path, { call }, ['/args/amount']).text;
});

describe.each<[string, () => string]>([
  ['receipt', () => whole],
  ['receipt that discloses one field', () => disclosed],
])('a changed %s', (name, text) => {
  it(
    'is valid only when what it shows is the original',
    () => {
      const bytes = Buffer.from(text());
      const original = JSON.parse(text()) as Record<string, Json>;
      expect(checkReceipt(bytes, { publicKeys: [LEDGER_VKEY] }).status).toBe('valid');
      const statuses = new Map<string, number>();
      const count = mutantCount(0.2);
      for (let seed = 1; seed <= count; seed++) {
        const mutant = mutateText(bytes, new Random(seed));
        const { status } = checkReceipt(mutant.bytes, { publicKeys: [LEDGER_VKEY] });
        statuses.set(status, (statuses.get(status) ?? 0) + 1);
        if (status !== 'valid') continue;
        // Members may be withheld, never changed.
        const shown = JSON.parse(mutant.bytes.toString('utf8')) as Record<string, Json>;
        for (const [member, value] of Object.entries(shown))
          expect(value, `seed ${seed}: ${mutant.what}: ${member}`).toEqual(original[member]);
      }
      console.log(`${count} mutants of a ${name}:`, Object.fromEntries(statuses));
      for (const status of statuses.keys()) expect(['valid', 'invalid', 'unproven']).toContain(status);
      expect(statuses.get('invalid')).toBeGreaterThan(0);
    },
    TIMEOUT_MS,
  );
});
