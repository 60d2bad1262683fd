import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { describe, expect, it } from 'vitest';
import { canonicalize, parseCanonical } from '../../src/ledger/canonical.ts';
import { ENTRY_KINDS } from '../../src/ledger/entry.ts';
import { leafHash } from '../../src/ledger/merkle.ts';
import { verifyLedger } from '../../src/sqlite/index.ts';
import { createSchema, expectedSchema } from '../../src/sqlite/schema.ts';
import { tempDirectory } from '../fixtures/ledger.ts';
import { CHECKPOINT, finance, GOLDEN, ORIGIN, signer, statement } from './ledger.ts';

const page = (name: string): string => readFileSync(new URL(`../../../../docs/formats/${name}`, import.meta.url), 'utf8');
const entryPage = page('entry.md');

describe('docs/formats/entry.md', () => {
  const examples = [...entryPage.matchAll(/```json\n(.+)\n```\n\nentry (\d+), leaf `([0-9a-f]{64})`/g)].map(
    ([, text = '', number, leaf]) => ({
      text,
      number: Number(number),
      leaf,
    }),
  );

  it('has an example of each main kind', () => {
    const kinds = examples.map(({ text }) => (JSON.parse(text) as { kind: string }).kind);
    expect(new Set(kinds)).toEqual(new Set(['key', 'policy', 'session', 'decision', 'outcome', 'approval', 'recovery', 'forget', 'note']));
    expect(kinds.filter((kind) => kind === 'decision')).toHaveLength(4);
  });

  it.each(examples)('entry $number is, byte for byte, what the code makes', ({ text, number, leaf }) => {
    expect(text).toBe(GOLDEN[number - 1]?.text);
    expect(leaf).toBe(GOLDEN[number - 1]?.leaf);
    expect(leafHash(text)).toBe(leaf);
    expect(canonicalize(parseCanonical(text))).toBe(text);
  });

  it('shows the statement an approver signs', () => {
    expect(entryPage).toContain(`\`\`\`\n${Buffer.from(statement).toString()}\n\`\`\``);
    expect(entryPage).toContain(finance.vkey);
  });

  it('shows the opening of an example', () => {
    const opening = GOLDEN[3]?.opening;
    expect(entryPage).toContain(`\`${opening?.key}\``);
    expect(entryPage).toContain(`\`${canonicalize(opening?.sections)}\``);
  });

  it('names every kind of the closed list', () => {
    for (const kind of ENTRY_KINDS) expect(entryPage).toContain(`\`${kind}\``);
  });
});

it('docs/formats/checkpoint.md shows the checkpoint of the examples', () => {
  const text = page('checkpoint.md');
  expect(text).toContain(`\`\`\`\n${CHECKPOINT}\`\`\``);
  expect(text).toContain(signer.vkey);
});

it('docs/formats/sqlite.md lists the schema word for word', () => {
  const text = page('sqlite.md');
  for (const { sql } of expectedSchema()) expect(text).toContain(`${sql};`);
});

it('the examples together are a valid ledger', async () => {
  const path = join(tempDirectory(), 'golden.db');
  const database = new Sqlite(path);
  createSchema(database);
  const meta = database.prepare('INSERT INTO meta VALUES (?, ?)');
  meta.run('format', 'countersign-1');
  meta.run('origin', ORIGIN);
  for (const [seq, { text, leaf, opening }] of GOLDEN.entries()) {
    database.prepare('INSERT INTO entries (seq, leaf, body) VALUES (?, ?, ?)').run(seq, leaf, text);
    if (opening !== undefined)
      database.prepare('INSERT INTO openings VALUES (?, ?, ?)').run(seq, opening.key, canonicalize(opening.sections));
  }
  database.prepare('INSERT INTO checkpoints VALUES (?, ?, NULL)').run(GOLDEN.length, CHECKPOINT);
  database.close();
  const approvers = new Map([['finance', finance.vkey]]);
  expect(await verifyLedger(path, { publicKeys: [signer.vkey], approvers, against: CHECKPOINT, strict: true })).toMatchObject({
    status: 'valid',
    authorship: 'proven',
    end: 'proven',
    open_decisions: 1,
    forgotten: 1,
    problems: [],
    warnings: [],
  });
});
