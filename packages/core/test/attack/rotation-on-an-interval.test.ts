/** After a rotation nobody goes on with the old key, whatever the newest checkpoint looks like. */
import { join } from 'node:path';
import { expect, it } from 'vitest';
import type { RemoteSigner } from '../../src/index.ts';
import { generateKey, signerFromPem } from '../../src/ledger/keys.ts';
import { openStore, rotateKey, verifyLedger } from '../../src/sqlite/index.ts';
import { guardOn, LEDGER_PEM, LEDGER_VKEY, ORIGIN, tempDirectory } from '../fixtures/ledger.ts';

const OLD = signerFromPem(LEDGER_PEM, ORIGIN);
const NEXT = signerFromPem(generateKey(ORIGIN).privatePem, ORIGIN);
const silent = (vkey: string): RemoteSigner => ({ vkey, sign: () => new Promise(() => {}) });
const call = { tool: { name: 'read' }, args: {} };

it('an old guard does not go on under an end that the new key has not signed yet', async () => {
  const path = join(tempDirectory(), 'ledger.db');
  const open = (remote: RemoteSigner) => openStore({ path, origin: ORIGIN, signer: { remote, everyMs: 1, timeoutMs: 50 } });
  const old = open({ vkey: OLD.vkey, sign: async (message) => OLD.sign(message) });
  const oldGuard = guardOn(old);
  expect(await oldGuard.run(call, () => 'ran')).toBe('ran');

  rotateKey({ path, origin: ORIGIN, signer: OLD, next: NEXT, isInterval: true });
  const fresh = open(silent(NEXT.vkey));
  expect(await guardOn(fresh).run(call, () => 'ran')).toBe('ran');

  let ran = false;
  await expect(oldGuard.run(call, () => (ran = true))).rejects.toMatchObject({ code: 'CALL_REFUSED' });
  expect(ran).toBe(false);
  expect(() => open(silent(OLD.vkey))).toThrow(NEXT.vkey);
  expect(await guardOn(fresh).run(call, () => 'ran')).toBe('ran');
  for (const store of [old, fresh]) await store.close();
  const report = await verifyLedger(path, { publicKeys: [LEDGER_VKEY, NEXT.vkey] });
  expect(report).toMatchObject({ problems: [] });
  expect(report.warnings.map(({ code }) => code)).toContain('TAIL_UNSIGNED');
});
