/** Who signed, under keys that count for some sizes only. */

import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { signCheckpoint } from '../../src/ledger/checkpoint.ts';
import { generateKey, signerFromPem } from '../../src/ledger/keys.ts';
import { type VerifyOptions, type VerifyReport, verifyLedger } from '../../src/sqlite/index.ts';
import { LEDGER_PEM, LEDGER_VKEY, ORIGIN, openLedger, tempDirectory } from '../fixtures/ledger.ts';
import { testWitness } from '../fixtures/witness.ts';
import { forged, type Loose, tampered } from './forge.ts';
import { call, guardOn } from './scenario.ts';

const stranger = generateKey(ORIGIN);
const witness = testWitness('witness.example');
const COSIGNED_AT = 1_767_225_600;

let path: string;
let size: number;
let early: { size: number; root: string; note: string };
let head: string;

beforeAll(async () => {
  path = join(tempDirectory(), 'ledger.db');
  const store = openLedger(path);
  const guard = guardOn(store);
  await guard.run(call('read'), () => 1);
  early = await store.head();
  for (let i = 0; i < 3; i++) await guard.run(call(`read-${i}`), () => i);
  await guard.close();
  await store.close();
  const again = openLedger(path);
  ({ size, note: head } = await again.head());
  await again.close();
});

const codes = (report: VerifyReport): readonly string[] => report.problems.map((problem) => problem.code);
const verify = (publicKeys: VerifyOptions['publicKeys'], more: VerifyOptions = {}, file = path): Promise<VerifyReport> =>
  verifyLedger(file, { publicKeys: publicKeys ?? [], ...more });

/** A copy that keeps a checkpoint at the early size. */
const keeping = (note: string): string =>
  tampered(path, (database) => void database.prepare(`INSERT INTO checkpoints VALUES (?, ?, 'anchor')`).run(early.size, note));

describe('the newest checkpoint', () => {
  it('counts within the range of its key', async () => {
    expect(await verify([{ vkey: LEDGER_VKEY, from: size, until: size, revokedFrom: size + 1 }])).toMatchObject({
      status: 'valid',
      authorship: 'proven',
    });
  });

  it.each<[string, Partial<{ from: number; until: number; revokedFrom: number }>, string]>([
    ['before it', { from: 1000 }, 'KEY_OUT_OF_RANGE'],
    ['after it', { until: 3 }, 'KEY_OUT_OF_RANGE'],
    ['revoked', { revokedFrom: 3 }, 'KEY_REVOKED'],
  ])('fails authorship when its key does not count: %s', async (_name, limits, code) => {
    const report = await verify([{ vkey: LEDGER_VKEY, ...limits }]);
    expect(report).toMatchObject({ status: 'invalid', integrity: 'intact', authorship: 'failed' });
    expect(codes(report)).toEqual([code]);
  });

  it('is not saved by another key that did not sign it', async () => {
    expect(codes(await verify([{ vkey: LEDGER_VKEY, revokedFrom: 3 }, stranger.vkey]))).toEqual(['KEY_REVOKED']);
  });
});

describe('kept checkpoints and the one given', () => {
  it('are held to the same rules', async () => {
    const kept = keeping(early.note);
    expect(await verify([LEDGER_VKEY], {}, kept)).toMatchObject({ status: 'valid' });
    expect(codes(await verify([{ vkey: LEDGER_VKEY, from: early.size + 1 }], {}, kept))).toEqual(['KEY_OUT_OF_RANGE']);
    const report = await verify([{ vkey: LEDGER_VKEY, from: early.size + 1 }], { against: early.note });
    expect(codes(report)).toEqual(['AGAINST_SIGNATURE']);
    expect(report.end).toBe('unproven');
  });

  it('signed by a key nobody gave are told, and decide nothing', async () => {
    const report = await verify(
      [LEDGER_VKEY],
      {},
      keeping(signCheckpoint({ origin: ORIGIN, ...early }, signerFromPem(stranger.privatePem, ORIGIN))),
    );
    expect(report).toMatchObject({ status: 'valid', authorship: 'proven', warnings: [{ code: 'SIGNATURE_UNKNOWN' }] });
  });

  it('whose signature does not verify are a problem', async () => {
    const wrong = `${early.note.split('\n\n')[0]}\n\n${head.split('\n\n')[1]}`;
    expect(codes(await verify([LEDGER_VKEY], {}, keeping(wrong)))).toEqual(['SIGNATURE_INVALID']);
    expect(codes(await verify([LEDGER_VKEY], { against: wrong }))).toEqual(['AGAINST_SIGNATURE']);
  });
});

describe('witnesses', () => {
  it('are told by name, size and time, in a kept checkpoint or the one given', async () => {
    const cosigned = early.note + witness.line(early.note, COSIGNED_AT);
    const seen = [{ name: 'witness.example', vkey: witness.vkey, size: early.size, at: '2026-01-01T00:00:00.000Z' }];
    expect(await verify([LEDGER_VKEY, witness.vkey], {}, keeping(cosigned))).toMatchObject({ status: 'valid', witnesses: seen });
    expect(await verify([LEDGER_VKEY, witness.vkey], { against: cosigned })).toMatchObject({ status: 'valid', witnesses: seen });
  });

  it('prove nothing about who wrote it', async () => {
    const cosigned = early.note + witness.line(early.note, COSIGNED_AT);
    expect(await verify([witness.vkey], {}, keeping(cosigned))).toMatchObject({ status: 'valid', authorship: 'unchecked' });
    expect(await verify([witness.vkey], { strict: true }, keeping(cosigned))).toMatchObject({
      status: 'unproven',
      authorship: 'unchecked',
    });
  });

  it('that were asked for and saw nothing leave it unproven', async () => {
    const report = await verify([LEDGER_VKEY, witness.vkey]);
    expect(report).toMatchObject({ status: 'unproven', authorship: 'proven', warnings: [{ code: 'COSIGNATURE_MISSING' }] });
    expect(report.witnesses).toBeUndefined();
  });

  it('of another tree are not told', async () => {
    const other = signCheckpoint({ origin: ORIGIN, size: early.size, root: 'ab'.repeat(32) }, signerFromPem(LEDGER_PEM, ORIGIN));
    const report = await verify([LEDGER_VKEY, witness.vkey], { against: other + witness.line(other, COSIGNED_AT) });
    expect(codes(report)).toEqual(['AGAINST_FORKED']);
    expect(report.witnesses).toBeUndefined();
  });

  it('whose line does not verify make the checkpoint wrong', async () => {
    const cosigned = early.note + witness.line(head, COSIGNED_AT);
    expect(codes(await verify([LEDGER_VKEY, witness.vkey], {}, keeping(cosigned)))).toEqual(['SIGNATURE_INVALID']);
  });
});

describe('an entry that tells of an unsigned tail', () => {
  const told = (range: { from?: number; to?: number }): Promise<VerifyReport> =>
    verify(
      [LEDGER_VKEY],
      {},
      forged(path, (entries) => [...entries, { ...stampOf(entries), kind: 'recovery', event: 'unsigned-tail', ...range }]),
    );
  const stampOf = (entries: readonly Loose[]): Loose => ({
    v: 1,
    id: 'ab'.repeat(16),
    at: entries.at(-1)?.['at'] ?? 0,
    writer: 'cd'.repeat(16),
  });

  it('is told for ever, and leaves the ledger unproven under --strict', async () => {
    expect(await told({ from: 1, to: 3 })).toMatchObject({ status: 'valid', authorship: 'proven', warnings: [{ code: 'TAIL_ADOPTED' }] });
  });

  it.each([[{}], [{ from: 1 }], [{ from: 3, to: 3 }], [{ from: 3, to: 1 }], [{ from: 0, to: 1000 }]])(
    'must name entries before it: %j',
    async (range) => {
      expect(codes(await told(range))).toEqual(['RECOVERY_MISMATCH']);
    },
  );
});
