/** A store, a guard and a timestamp authority on the network, end to end. */
import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { allowAll, checkReceipt, createGuard, generateKey, signerFromPem } from '@countersign/core';
import { makeReceipt, openStore, readLedger, type SqliteStore, verifyLedger } from '@countersign/core/sqlite';
import { beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { hasOpenssl, TestTsa } from '../../../core/test/fixtures/tsa.ts';
import { timestampAnchor } from '../../src/index.ts';
import { type TsaServer, tsaServer } from './tsa-server.ts';

const ORIGIN = 'log.example/a';
const { privatePem, vkey: LOG } = generateKey(ORIGIN);
const read = { tool: { name: 'read' }, args: {} };

describe.skipIf(!hasOpenssl)('timestamps of a ledger', { timeout: 60_000 }, () => {
  let tsa: TestTsa;
  beforeAll(() => {
    tsa = new TestTsa();
    tsa.issue('other-root', { as: 'authority' });
  });
  const pem = (name: string): string => readFileSync(tsa.of(name).file, 'utf8');

  function opened(
    path: string,
    { url }: TsaServer,
    more: object = {},
  ): { readonly store: SqliteStore; readonly call: () => Promise<unknown> } {
    const anchors = { anchors: [timestampAnchor({ url, certificates: tsa.of('root').file })], everyMs: 3_600_000, ...more };
    const store = openStore({ path, origin: ORIGIN, signer: signerFromPem(privatePem, ORIGIN), anchors });
    const guard = createGuard({ agent: 'a', policy: allowAll(), store });
    onTestFinished(() => store.close());
    return { store, call: () => guard.run(read, () => 'ran') };
  }
  const ledger = (): string => join(mkdtempSync(join(tmpdir(), 'countersign-connect-')), 'ledger.db');

  async function stamped(): Promise<string> {
    const path = ledger();
    const { store, call } = opened(path, await tsaServer(tsa));
    for (let i = 0; i < 3; i++) {
      await call();
      expect((await store.publishAnchors())[0]?.error).toBeUndefined();
    }
    await store.close();
    return path;
  }

  it('are proven by verify and by receipts, with the certificate of who vouches for them, and unchecked without', async () => {
    const path = await stamped();
    const keys = { publicKeys: [LOG] };
    const { entries, timestamps, ...report } = await verifyLedger(path, { ...keys, tsaCertificates: [pem('root')], strict: false });
    expect(report).toMatchObject({ status: 'valid', authorship: 'proven', warnings: [] });
    expect(timestamps).toEqual([{ tsa: 'CN=tsa', size: entries, before: expect.stringMatching(/^20\d\d-/) as string }]);
    expect(Math.abs(Date.parse(timestamps?.[0]?.before ?? '') - Date.now())).toBeLessThan(60_000);
    const unchecked = await verifyLedger(path, keys);
    expect(unchecked).toMatchObject({ status: 'valid', warnings: [] });
    // The last one on closing, if that had anything to copy.
    expect(unchecked.timestamps_unchecked).toBeGreaterThanOrEqual(3);
    expect(unchecked).not.toHaveProperty('timestamps');

    const receipt = makeReceipt(path, { index: 1 }).text;
    expect(checkReceipt(receipt, { ...keys, tsaCertificates: [pem('tsa')] })).toMatchObject({
      status: 'valid',
      timestamps: [{ tsa: 'CN=tsa' }],
    });
    expect(checkReceipt(receipt, keys)).toMatchObject({ status: 'valid', timestamps_unchecked: 1 });
    const other = checkReceipt(receipt, { ...keys, tsaCertificates: [pem('other-root')] });
    expect(other.warnings.map(({ code }) => code)).toEqual(['TIMESTAMP_UNKNOWN', 'TIMESTAMP_MISSING']);
    expect(other).not.toHaveProperty('timestamps');
  });

  it('are asked for when a certificate is given: another authority proves nothing', async () => {
    const report = await verifyLedger(await stamped(), { publicKeys: [LOG], tsaCertificates: [pem('other-root')] });
    expect(report).toMatchObject({ status: 'unproven', authorship: 'proven' });
    expect(new Set(report.warnings.map(({ code }) => code))).toEqual(new Set(['TIMESTAMP_UNKNOWN', 'TIMESTAMP_MISSING']));
    await expect(verifyLedger(ledger(), { tsaCertificates: ['nothing'] })).rejects.toMatchObject({ code: 'OPTIONS_INVALID' });
  });

  it('prove nothing of a ledger that does not begin with what was stamped', async () => {
    const reader = readLedger(await stamped());
    const against = reader.head()?.note ?? '';
    reader.close();
    // Another one under the same key.
    const second = ledger();
    const store = openStore({ path: second, origin: ORIGIN, signer: signerFromPem(privatePem, ORIGIN) });
    const guard = createGuard({ agent: 'a', policy: allowAll(), store });
    for (let i = 0; i < 9; i++) await guard.run(read, () => 'ran');
    await store.close();
    const report = await verifyLedger(second, { publicKeys: [LOG], tsaCertificates: [pem('root')], against });
    expect(report).toMatchObject({ status: 'invalid', end: 'contradicted' });
    expect(report).not.toHaveProperty('timestamps');
  });

  it('that do not come are missed where they are required, and calls go on when they do', async () => {
    const server = await tsaServer(tsa);
    const { call, store } = opened(ledger(), server, { everyMs: 1, required: { maxAgeMs: 300 } });
    const broken = Array.from(
      { length: 10_000 },
      () => (response: Parameters<(typeof server.instead)[number]>[0]) => void response.writeHead(500).end(),
    );
    server.instead.push(...broken);
    expect(await call()).toBe('ran');
    await vi.waitFor(() => expect(call()).rejects.toMatchObject({ code: 'CALL_REFUSED' }), 20_000);
    server.instead.length = 0;
    await vi.waitFor(async () => expect((await store.publishAnchors()).every(({ error }) => error === undefined)).toBe(true), 20_000);
    expect(await call()).toBe('ran');
  });
});
