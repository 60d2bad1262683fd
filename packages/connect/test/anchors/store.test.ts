/** A store, a guard and a witness on the network, end to end. */
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { allowAll, checkReceipt, createGuard, generateKey, signerFromPem } from '@countersign/core';
import { makeReceipt, openStore, type SqliteStore, verifyLedger } from '@countersign/core/sqlite';
import { expect, it, onTestFinished } from 'vitest';
import { witnessAnchor } from '../../src/index.ts';
import { type TestWitness, testWitness } from './witness-server.ts';

const ORIGIN = 'log.example/a';
const { privatePem, vkey: LOG } = generateKey(ORIGIN);
const read = { tool: { name: 'read' }, args: {} };

function opened(path: string, witness: TestWitness): { readonly store: SqliteStore; readonly call: (n: number) => Promise<void> } {
  const anchors = { anchors: [witnessAnchor(witness)], everyMs: 3_600_000 };
  const store = openStore({ path, origin: ORIGIN, signer: signerFromPem(privatePem, ORIGIN), anchors });
  const guard = createGuard({ agent: 'a', policy: allowAll(), store });
  onTestFinished(() => store.close());
  const call = async (n: number): Promise<void> => {
    for (let i = 0; i < n; i++) expect(await guard.run(read, () => 'ran')).toBe('ran');
  };
  return { store, call };
}

it('a witness follows a growing ledger across restarts, and receipts show that it saw it', async () => {
  const witness = await testWitness('w.example', [LOG]);
  const path = join(mkdtempSync(join(tmpdir(), 'countersign-connect-')), 'ledger.db');
  const keys = { publicKeys: [LOG, witness.vkey] };
  const sizes: number[] = [];
  for (const counts of [[1, 3, 300], [2]]) {
    const { store, call } = opened(path, witness);
    for (const count of counts) {
      await call(count);
      const [result] = await store.publishAnchors();
      expect(result?.error).toBeUndefined();
      sizes.push(result?.size ?? 0);
    }
    await store.close();
  }
  expect(witness.heads.get(ORIGIN)?.size).toBeGreaterThan(sizes.at(-2) ?? 0);
  const report = await verifyLedger(path, keys);
  expect(report).toMatchObject({ status: 'valid', authorship: 'proven', witnesses: [{ name: 'w.example' }], warnings: [] });
  const receipt = makeReceipt(path, { index: 1 }).text;
  expect(checkReceipt(receipt, keys)).toMatchObject({ view: 'witnessed', witnesses: [{ name: 'w.example' }] });
  expect(checkReceipt(receipt, { publicKeys: [LOG] })).toMatchObject({ view: 'unwitnessed' });
});

it('a ledger that was rewritten under its own key is not cosigned', async () => {
  const witness = await testWitness('w.example', [LOG]);
  const folder = mkdtempSync(join(tmpdir(), 'countersign-connect-'));
  const first = opened(join(folder, 'one.db'), witness);
  await first.call(2);
  expect((await first.store.publishAnchors())[0]?.error).toBeUndefined();
  await first.store.close();
  const second = opened(join(folder, 'two.db'), witness);
  await second.call(20);
  const [result] = await second.store.publishAnchors();
  expect(result?.error?.message).toMatch(/history was rewritten/);
});
