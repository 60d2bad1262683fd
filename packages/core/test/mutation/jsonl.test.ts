/** Changed exports and mirrors: none is taken for the original unless it says the same. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { signerFromPem } from '../../src/index.ts';
import { signCheckpoint } from '../../src/ledger/checkpoint.ts';
import { CompactRange, leafHash } from '../../src/ledger/merkle.ts';
import { verifyLedger } from '../../src/sqlite/index.ts';
import { LEDGER_PEM, LEDGER_VKEY, ORIGIN, tempDirectory } from '../fixtures/ledger.ts';
import { exportLines, headerOf, linesOf, type Parts, partsOf } from '../jsonl/made.ts';
import { APPROVERS } from '../verify/scenario.ts';
import { mutantCount, smallLedger } from './ledger.ts';
import { type Mutant, mutateText } from './mutators.ts';
import { Random } from './random.ts';

const OPTIONS = { publicKeys: [LEDGER_VKEY], approvers: APPROVERS };
const STATUSES = ['valid', 'invalid', 'unproven', 'unreadable'];
const TIMEOUT_MS = 1_800_000;

let parts: Parts;
beforeAll(async () => {
  parts = partsOf(await smallLedger());
});

/** Writes a mutant, verifies it, and hands over those that passed. */
async function judge(
  count: number,
  write: (seed: number) => { readonly file: string; readonly what: string },
  accepted: (file: string, where: string, warnings: readonly string[]) => Promise<void> | void,
): Promise<ReadonlyMap<string, number>> {
  const statuses = new Map<string, number>();
  for (let seed = 1; seed <= count; seed++) {
    const { file, what } = write(seed);
    const report = await verifyLedger(file, OPTIONS);
    statuses.set(report.status, (statuses.get(report.status) ?? 0) + 1);
    if (report.status !== 'valid') continue;
    await accepted(
      file,
      `seed ${seed}: ${what}`,
      report.warnings.map(({ code }) => code),
    );
  }
  for (const status of statuses.keys()) expect(STATUSES).toContain(status);
  expect(statuses.get('invalid')).toBeGreaterThan(0);
  return statuses;
}

describe('a changed export', () => {
  it(
    'is valid only when every entry, checkpoint and opening is the original',
    async () => {
      const file = join(tempDirectory(), 'mutant.ndjson');
      const lines = [headerOf(parts), ...exportLines(parts)];
      const bytes = Buffer.from(`${lines.join('\n')}\n`);
      const withheld = new Set(exportLines(parts, false));
      const count = mutantCount(0.2);
      const statuses = await judge(
        count,
        (seed) => {
          const mutant = mutateText(bytes, new Random(seed));
          writeFileSync(file, mutant.bytes);
          return { file, what: mutant.what };
        },
        async (accepted, where, warnings) => {
          const found = linesIn(accepted);
          expect(found.length, where).toBe(lines.length);
          // Taking an opening away is withholding it, and is told.
          const changed = found.filter((line, at) => line !== lines[at]);
          expect(
            changed.filter((line) => !withheld.has(line)).map((line) => line.slice(0, 200)),
            where,
          ).toEqual([]);
          if (changed.length === 0) return;
          expect(warnings, where).toContain('OPENING_MISSING');
          expect((await verifyLedger(accepted, { ...OPTIONS, strict: true })).status, where).not.toBe('valid');
        },
      );
      console.log(`${count} mutants of an export:`, Object.fromEntries(statuses));
    },
    TIMEOUT_MS,
  );
});

/** A missing last line feed changes no entry. */
function linesIn(file: string): readonly string[] {
  return readFileSync(file, 'latin1')
    .replace(/\n$/, '')
    .split('\n')
    .map((line) => Buffer.from(line, 'latin1').toString('utf8'));
}

describe('a changed mirror', () => {
  it(
    'is valid only when every entry is the original',
    async () => {
      const file = join(tempDirectory(), 'mutant.jsonl');
      const bodies = Buffer.from(linesOf(parts.bodies));
      const note = Buffer.from(parts.note);
      const count = mutantCount(0.2);
      const statuses = await judge(
        count,
        (seed) => {
          const random = new Random(seed);
          const isNote = random.below(5) === 0;
          const mutant: Mutant = mutateText(isNote ? note : bodies, random);
          writeFileSync(file, isNote ? bodies : mutant.bytes);
          writeFileSync(`${file}.checkpoint`, isNote ? mutant.bytes : note);
          return { file, what: `${isNote ? 'the checkpoint: ' : ''}${mutant.what}` };
        },
        (accepted, where) => {
          expect(linesIn(accepted).join('\n'), where).toBe(parts.bodies.join('\n'));
          const checkpoint = readFileSync(`${accepted}.checkpoint`, 'utf8');
          // Signature lines by nobody we know may come along; the signed text may not change.
          expect(checkpoint.slice(0, checkpoint.lastIndexOf('\n\n')), where).toBe(parts.note.slice(0, parts.note.lastIndexOf('\n\n')));
        },
      );
      console.log(`${count} mutants of a mirror:`, Object.fromEntries(statuses));
    },
    TIMEOUT_MS,
  );

  it('cut together with its checkpoint is at most valid with its end unproven, and the newest checkpoint tells', async () => {
    const file = join(tempDirectory(), 'cut.jsonl');
    const tree = new CompactRange();
    const signer = signerFromPem(LEDGER_PEM, ORIGIN);
    for (const [index, body] of parts.bodies.slice(0, -1).entries()) {
      tree.push(leafHash(body));
      const size = index + 1;
      writeFileSync(file, linesOf(parts.bodies.slice(0, size)));
      writeFileSync(`${file}.checkpoint`, signCheckpoint({ origin: ORIGIN, size, root: tree.root() }, signer));
      expect(await verifyLedger(file, OPTIONS)).toMatchObject({ status: 'valid', end: 'unproven' });
      expect((await verifyLedger(file, { ...OPTIONS, strict: true })).status).toBe('unproven');
      const told = await verifyLedger(file, { ...OPTIONS, against: parts.note });
      expect(told).toMatchObject({ status: 'invalid', end: 'contradicted' });
      expect(told.problems.map(({ code }) => code)).toContain('AGAINST_TRUNCATED');
    }
  });
});
