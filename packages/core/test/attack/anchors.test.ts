/** Anchors: what `required` promises holds, and an honest ledger is never locked out. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it, vi } from 'vitest';
import { type Anchor, fileAnchor, loadConfig, type RemoteSigner } from '../../src/index.ts';
import { parseCheckpoint, signCheckpoint } from '../../src/ledger/checkpoint.ts';
import { signerFromPem } from '../../src/ledger/keys.ts';
import { verifyConsistency } from '../../src/ledger/merkle.ts';
import { parseNote } from '../../src/ledger/note.ts';
import { openStore, storeFromConfig } from '../../src/sqlite/index.ts';
import { guardOn, LEDGER_PEM, LEDGER_VKEY, ORIGIN, openLedger, tempDirectory } from '../fixtures/ledger.ts';

const call = { tool: { name: 'read' }, args: {} };
const headOf = (note: string) => parseCheckpoint(parseNote(note).text);

it.each(['inline', 'worker'] as const)('a witness is shown how the log grew (%s)', async (writer) => {
  const seen: string[] = [];
  const proven: boolean[] = [];
  const witness: Anchor = {
    name: 'witness',
    async publish(note, growth) {
      const [before, now] = [seen.at(-1), headOf(note)];
      if (before !== undefined) {
        const old = headOf(before);
        const proof = await growth.consistencyProof(old.size, now.size);
        proven.push(verifyConsistency({ size1: old.size, size2: now.size, root1: old.root, root2: now.root, proof }));
      }
      seen.push(note);
    },
  };
  const store = openLedger(join(tempDirectory(), 'ledger.db'), { writer, anchors: { anchors: [witness], everyMs: 60_000 } });
  const guard = guardOn(store);
  for (let i = 0; i < 3; i++) {
    for (let j = 0; j < 3; j++) await guard.run({ ...call, args: { i, j } }, () => j);
    expect(await store.publishAnchors()).toMatchObject([{ anchor: 'witness' }]);
  }
  await store.close();
  expect(proven.length).toBeGreaterThanOrEqual(2);
  expect(proven).not.toContain(false);
});

it('entries that wait for a signature wait for their copy too', async () => {
  const remote: RemoteSigner = { vkey: LEDGER_VKEY, sign: () => new Promise(() => {}) };
  const kept: Anchor = { name: 'kept', publish: async () => {} };
  const store = openStore({
    path: join(tempDirectory(), 'ledger.db'),
    origin: ORIGIN,
    signer: { remote, timeoutMs: 20 },
    anchors: { anchors: [kept], everyMs: 1, required: { maxAgeMs: 1_000 } },
  });
  const guard = guardOn(store);
  expect(await guard.run(call, () => 'ran')).toBe('ran');
  await vi.waitFor(() => expect(guard.run(call, () => 'ran')).rejects.toMatchObject({ code: 'CALL_REFUSED' }), 20_000);
  await store.close();
});

it('a file anchor goes on after a crash that left its new file behind', async () => {
  const file = join(tempDirectory(), 'head.note');
  writeFileSync(`${file}.${process.pid}.new`, 'half');
  const note = signCheckpoint({ origin: ORIGIN, size: 5, root: 'ab'.repeat(32) }, signerFromPem(LEDGER_PEM, ORIGIN));
  const context = { signal: new AbortController().signal, consistencyProof: async () => [] };
  await fileAnchor(file).publish(note, context);
});

it('a key that was rotated away is a file of our own', async () => {
  const folder = tempDirectory();
  const key = join(folder, 'ledger.key');
  writeFileSync(key, LEDGER_PEM, { mode: 0o600 });
  const retired = `${key}.retired-0a1b2c3d`;
  writeFileSync(retired, LEDGER_PEM, { mode: 0o600 });
  writeFileSync(
    join(folder, 'countersign.yaml'),
    `version: 1\nagent: a\npolicy: { id: p, rules: [{ id: all, tools: ["*"], effect: allow }] }\nledger: { path: ledger.db, key: ledger.key, origin: ${ORIGIN} }\n`,
  );
  const config = loadConfig(join(folder, 'countersign.yaml'));
  const store = storeFromConfig(config);
  const refusal = await guardOn(store).authorize({ tool: { name: 'read' }, args: { path: retired } });
  expect(refusal).toMatchObject({ kind: 'refusal', decision: { reasonCode: 'POLICY_DENY_OWN_FILES' } });
  await store.close();
});
