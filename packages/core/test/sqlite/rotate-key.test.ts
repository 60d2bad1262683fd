/** Rotation: one commit hands the log over to another key, and nobody can go on with the old one. */
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Signer } from '../../src/index.ts';
import { parseNote } from '../../src/index.ts';
import { generateKey, signerFromPem } from '../../src/ledger/keys.ts';
import { openStore, rotateKey, type VerifyReport, verifyLedger } from '../../src/sqlite/index.ts';
import { guardOn, LEDGER_PEM, LEDGER_VKEY, ORIGIN, openLedger, tempDirectory } from '../fixtures/ledger.ts';
import { entriesOf, tampered } from '../verify/forge.ts';

const signerOf = (pem: string, name = ORIGIN): Signer => signerFromPem(pem, name);
const OLD = signerOf(LEDGER_PEM);
const fresh = (name = ORIGIN): Signer => signerFromPem(generateKey(name).privatePem, name);
const codeOf = async (action: () => unknown): Promise<string | undefined> => {
  try {
    await action();
    return undefined;
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : String(error);
  }
};
const codes = (report: VerifyReport): readonly string[] => report.problems.map((problem) => problem.code);

async function filled(signer: Signer = OLD, path = join(tempDirectory(), 'ledger.db'), calls = 2): Promise<string> {
  const store = openStore({ path, origin: ORIGIN, signer });
  const guard = guardOn(store);
  for (let i = 0; i < calls; i++) await guard.run({ tool: { name: `read-${i}` }, args: { i } }, () => i);
  await guard.close();
  await store.close();
  return path;
}

const rotated = (path: string, next: Signer, signer = OLD): ReturnType<typeof rotateKey> =>
  rotateKey({ path, origin: ORIGIN, signer, next });

describe('rotateKey', () => {
  it('announces the new key under the old one, in a checkpoint that both signed', async () => {
    const path = await filled();
    const next = fresh();
    const head = rotated(path, next);
    const entries = entriesOf(path);
    expect(entries.at(-1)).toMatchObject({ kind: 'key', event: 'rotated', vkey: next.vkey, from: entries.length - 1 });
    expect(head.size).toBe(entries.length);
    expect(parseNote(head.note).signatures).toHaveLength(2);
    for (const key of [OLD.vkey, next.vkey]) {
      expect(await verifyLedger(path, { publicKeys: [key], against: head.note })).toMatchObject({
        status: 'valid',
        authorship: 'proven',
        end: 'proven',
      });
    }
  });

  it('leaves the new key alone to sign, and refuses the old one by name', async () => {
    const path = await filled();
    const next = fresh();
    rotated(path, next);
    expect(await codeOf(() => openLedger(path))).toBe('KEY_MISMATCH');
    expect(() => openLedger(path)).toThrow(next.vkey);
    await filled(next, path, 1);
    expect(() => openLedger(path)).toThrow(next.vkey);
    const store = openStore({ path, origin: ORIGIN, signer: next });
    expect(parseNote((await store.head()).note).signatures).toHaveLength(1);
    await store.close();
  });

  it('stops a guard that still runs with the old key', async () => {
    const path = await filled();
    const store = openLedger(path);
    const guard = guardOn(store);
    await guard.run({ tool: { name: 'read' }, args: {} }, () => 1);
    rotated(path, fresh());
    const before = entriesOf(path).length;
    const ran: string[] = [];
    for (const name of ['one', 'two'])
      expect(await codeOf(() => guard.run({ tool: { name }, args: {} }, () => ran.push(name)))).toBe('CALL_REFUSED');
    expect(ran).toEqual([]);
    expect(entriesOf(path)).toHaveLength(before);
    await guard.close().catch(() => undefined);
    await store.close().catch(() => undefined);
  });

  it('stops it also after the new key went on', async () => {
    const path = await filled();
    const store = openLedger(path);
    const guard = guardOn(store);
    await guard.run({ tool: { name: 'read' }, args: {} }, () => 1);
    const next = fresh();
    rotated(path, next);
    await filled(next, path, 1);
    const before = entriesOf(path).length;
    expect(await codeOf(() => guard.run({ tool: { name: 'one' }, args: {} }, () => 1))).toBe('CALL_REFUSED');
    expect(entriesOf(path)).toHaveLength(before);
    await guard.close().catch(() => undefined);
    await store.close().catch(() => undefined);
  });

  it('can be done again and again', async () => {
    const path = await filled();
    const keys = [OLD];
    for (let i = 0; i < 3; i++) {
      const next = fresh();
      rotated(path, next, keys.at(-1));
      await filled(next, path, 1);
      keys.push(next);
    }
    expect(await verifyLedger(path, { publicKeys: keys.map(({ vkey }) => vkey), strict: true })).toMatchObject({
      integrity: 'intact',
      authorship: 'proven',
    });
  });

  it.each<[string, () => Signer, string]>([
    ['the same key', () => OLD, 'KEY_INVALID'],
    ['a key of another name', () => fresh('elsewhere.example/log'), 'KEY_INVALID'],
    [
      'a key that throws',
      () => ({
        vkey: fresh().vkey,
        sign: () => {
          throw new Error('no');
        },
      }),
      'Error: no',
    ],
    ['a key that signs too little', () => ({ vkey: fresh().vkey, sign: () => new Uint8Array(3) }), 'NOTE_INVALID'],
  ])('refuses %s, and the old key goes on', async (_name, next, code) => {
    const path = await filled();
    const before = entriesOf(path).length;
    expect(await codeOf(() => rotated(path, next()))).toBe(code);
    expect(entriesOf(path)).toHaveLength(before);
    await filled(OLD, path, 1);
  });

  it('refuses who does not have the key of the ledger', async () => {
    const path = await filled();
    expect(await codeOf(() => rotated(path, fresh(), fresh()))).toBe('KEY_MISMATCH');
    const unsigned = join(tempDirectory(), 'ledger.db');
    const store = openLedger(unsigned, { signer: 'none' });
    await guardOn(store).run({ tool: { name: 'read' }, args: {} }, () => 1);
    await store.close();
    expect(await codeOf(() => rotated(unsigned, fresh()))).toBe('KEY_MISMATCH');
    expect(await codeOf(() => rotated(join(tempDirectory(), 'none.db'), fresh()))).toBe('LEDGER_NOT_FOUND');
  });
});

describe('a rotation, read by somebody who', () => {
  it('has only the old key: proven up to the rotation, and told which key to ask for', async () => {
    const path = await filled();
    const next = fresh();
    const { size } = rotated(path, next);
    await filled(next, path, 1);
    const report = await verifyLedger(path, { publicKeys: [LEDGER_VKEY] });
    expect(report).toMatchObject({ status: 'unproven', integrity: 'intact', authorship: 'unchecked', signed_to: size, problems: [] });
    const warning = report.warnings.find(({ code }) => code === 'KEY_ROTATED');
    expect(warning?.message).toContain(next.vkey);
  });

  it('has only the first of three keys', async () => {
    const path = await filled();
    const [second, third] = [fresh(), fresh()];
    const { size } = rotated(path, second);
    await filled(second, path, 1);
    rotated(path, third, second);
    await filled(third, path, 1);
    const report = await verifyLedger(path, { publicKeys: [LEDGER_VKEY] });
    expect(report).toMatchObject({ status: 'unproven', signed_to: size });
    expect(report.warnings.find(({ code }) => code === 'KEY_ROTATED')?.message).toContain(third.vkey);
  });

  it('has both, or the new one', async () => {
    const path = await filled();
    const next = fresh();
    const { size } = rotated(path, next);
    await filled(next, path, 1);
    const keys = [
      { vkey: LEDGER_VKEY, until: size },
      { vkey: next.vkey, from: size },
    ];
    expect(await verifyLedger(path, { publicKeys: keys })).toMatchObject({ status: 'valid', authorship: 'proven', warnings: [] });
    expect(await verifyLedger(path, { publicKeys: [next.vkey] })).toMatchObject({ status: 'valid', authorship: 'proven' });
  });
});

describe('without the key nobody', () => {
  it('forges a rotation: entry and checkpoint by a key of their own', async () => {
    const path = await filled();
    const stolen = fresh();
    const forged = join(tempDirectory(), 'forged.db');
    copyFileSync(path, forged);
    // The attacker has the file, and a ledger of their own that says it was rotated to their key.
    const own = generateKey(ORIGIN);
    const mine = await filled(signerOf(own.privatePem));
    rotated(mine, stolen, signerOf(own.privatePem));
    const report = await verifyLedger(mine, { publicKeys: [LEDGER_VKEY] });
    expect(report).toMatchObject({ status: 'invalid', authorship: 'failed' });
    expect(codes(report)).toContain('SIGNATURE_UNKNOWN');
    expect(await codeOf(() => openLedger(mine))).toBe('KEY_MISMATCH');
  });

  it('adds a key to a rotation by taking the other signature away', async () => {
    const path = await filled();
    const next = fresh();
    const { note, size } = rotated(path, next);
    const lines = note.split('\n');
    const oldOnly = `${[...lines.slice(0, -3), lines.at(-3)].join('\n')}\n`;
    const cut = tampered(path, (database) => void database.prepare('UPDATE checkpoints SET note = ? WHERE size = ?').run(oldOnly, size));
    // The announcement stands in the tree: the old key is refused whatever the row says.
    expect(await codeOf(() => openLedger(cut))).toBe('KEY_MISMATCH');
  });
});
