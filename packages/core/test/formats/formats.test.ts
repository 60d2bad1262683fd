import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { exportHeader, recordLine } from '../../src/export/ndjson.ts';
import { MAX_HEADER_BYTES } from '../../src/jsonl/export-header.ts';
import { MAX_SKIPPED_BYTES } from '../../src/jsonl/lines.ts';
import { MAX_EXPORT_LINE_BYTES } from '../../src/jsonl/shape.ts';
import { canonicalize, parseCanonical } from '../../src/ledger/canonical.ts';
import { ENTRY_KINDS, MAX_ENTRY_BYTES } from '../../src/ledger/entry.ts';
import { leafHash } from '../../src/ledger/merkle.ts';
import { MAX_NOTE_BYTES } from '../../src/ledger/note.ts';
import { VERIFY_CODES, verifyLedger } from '../../src/sqlite/index.ts';
import { expectedSchema } from '../../src/sqlite/schema.ts';
import { tempDirectory } from '../fixtures/ledger.ts';
import { CHECKPOINT_WITH_EDITS, editing, WITH_EDITS } from './edits.ts';
import { CHECKPOINT_WITH_FACTS, WITH_FACTS } from './facts.ts';
import { goldenFile } from './golden-file.ts';
import { CHECKPOINT_WITH_GRANTS, giving, revocation, WITH_GRANTS } from './grants.ts';
import { CHECKPOINT_WITH_HALTS, resuming, WITH_HALTS } from './halts.ts';
import { CHECKPOINT, finance, GOLDEN, ORIGIN, signer, statement } from './ledger.ts';
import { acceptance, CHECKPOINT_WITH_PINS, WITH_PINS } from './pins.ts';
import { CHECKPOINT_WITH_RELEASES, WITH_RELEASES } from './releases.ts';
import { CHECKPOINT_WITH_WAYMARKS, WITH_WAYMARKS } from './waymarks.ts';

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
    expect(new Set(kinds)).toEqual(
      new Set([
        'key',
        'policy',
        'session',
        'decision',
        'outcome',
        'approval',
        'recovery',
        'forget',
        'note',
        'grant',
        'pin',
        'verdict',
        'containment',
      ]),
    );
    expect(kinds.filter((kind) => kind === 'decision')).toHaveLength(7);
    expect(kinds.filter((kind) => kind === 'grant')).toHaveLength(2);
    expect(kinds.filter((kind) => kind === 'pin')).toHaveLength(4);
  });

  it.each(examples)('entry $number is, byte for byte, what the code makes', ({ text, number, leaf }) => {
    expect(text).toBe(WITH_WAYMARKS[number - 1]?.text);
    expect(leaf).toBe(WITH_WAYMARKS[number - 1]?.leaf);
    expect(leafHash(text)).toBe(leaf);
    expect(canonicalize(parseCanonical(text))).toBe(text);
  });

  it('shows the statements an approver signs', () => {
    for (const signed of [statement, giving, revocation, editing, acceptance, resuming])
      expect(entryPage).toContain(`\`\`\`\n${Buffer.from(signed).toString()}\n\`\`\``);
    expect(entryPage).toContain(finance.vkey);
  });

  it('shows the opening of an example', () => {
    const opening = GOLDEN[3]?.opening;
    expect(entryPage).toContain(`\`${opening?.key}\``);
    expect(entryPage).toContain(`\`${canonicalize(opening?.sections)}\``);
    expect(entryPage).toContain(`\`\`\`json\n${canonicalize(WITH_FACTS.at(-1)?.opening?.sections['facts'])}\n\`\`\``);
    const pins = WITH_PINS[WITH_FACTS.length]?.opening;
    expect(entryPage).toContain(`\`${pins?.key}\` and\n\n\`\`\`json\n${canonicalize(pins?.sections)}\n\`\`\``);
    const seen = WITH_HALTS[WITH_PINS.length]?.opening;
    expect(entryPage).toContain(`\`${seen?.key}\` and\n\n\`\`\`json\n${canonicalize(seen?.sections)}\n\`\`\``);
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

describe('docs/formats/jsonl.md', () => {
  const text = page('jsonl.md');
  const blocks = [...text.matchAll(/```\n([\s\S]+?)```/g)].map(([, block = '']) => block);

  it('shows a mirror and its checkpoint, byte for byte, and they verify', async () => {
    const [lines = '', checkpoint = ''] = blocks;
    expect(lines).toBe(
      GOLDEN.slice(0, 2)
        .map((entry) => `${entry.text}\n`)
        .join(''),
    );
    const mirror = join(tempDirectory(), 'mirror.jsonl');
    writeFileSync(mirror, lines);
    writeFileSync(`${mirror}.checkpoint`, checkpoint);
    expect(await verifyLedger(mirror, { publicKeys: [signer.vkey], against: checkpoint, strict: true })).toMatchObject({
      status: 'valid',
      authorship: 'proven',
      end: 'proven',
    });
  });

  it('shows lines of the export of all examples, byte for byte, and it verifies', async () => {
    const header = exportHeader({ origin: ORIGIN, size: GOLDEN.length, checkpoint: CHECKPOINT }, true);
    const lines = GOLDEN.map(({ text: body, leaf, opening }, index) => {
      return recordLine({ index, text: body, ...(opening !== undefined && { opening }) }, leaf, true);
    });
    expect(blocks[2]).toBe(`${[header, lines[0], lines[3]].join('\n')}\n`);
    const file = join(tempDirectory(), 'export.ndjson');
    writeFileSync(file, `${[header, ...lines].join('\n')}\n`);
    const approvers = new Map([['finance', finance.vkey]]);
    expect(await verifyLedger(file, { publicKeys: [signer.vkey], approvers, against: CHECKPOINT, strict: true })).toMatchObject({
      status: 'valid',
      problems: [],
      warnings: [],
    });
  });

  it('names the bounds and the codes', () => {
    for (const bound of [MAX_ENTRY_BYTES, MAX_EXPORT_LINE_BYTES, MAX_HEADER_BYTES, MAX_NOTE_BYTES, MAX_SKIPPED_BYTES])
      expect(text).toContain(bound.toLocaleString('en'));
    for (const code of ['LEDGER_TRUNCATED', 'ENTRY_NOT_COVERED', 'CHECKPOINT_MISSING', 'LINE_TORN', 'FILE_DAMAGED'])
      expect(VERIFY_CODES).toHaveProperty(code);
  });
});

it('docs/formats/sqlite.md lists the schema word for word', () => {
  const text = page('sqlite.md');
  for (const { sql } of expectedSchema()) expect(text).toContain(`${sql};`);
});

it.each([
  ['of the first version', GOLDEN, CHECKPOINT, 1],
  ['with grants', WITH_GRANTS, CHECKPOINT_WITH_GRANTS, 3],
  ['with edits', WITH_EDITS, CHECKPOINT_WITH_EDITS, 4],
  ['with a withheld result', WITH_RELEASES, CHECKPOINT_WITH_RELEASES, 4],
  ['with facts', WITH_FACTS, CHECKPOINT_WITH_FACTS, 5],
  ['with pins', WITH_PINS, CHECKPOINT_WITH_PINS, 5],
  ['with halts', WITH_HALTS, CHECKPOINT_WITH_HALTS, 5],
  ['with a waymark', WITH_WAYMARKS, CHECKPOINT_WITH_WAYMARKS, 5],
])('the examples %s together are a valid ledger', async (_which, entries, checkpoint, open) => {
  const path = goldenFile(entries, checkpoint);
  const approvers = new Map([['finance', finance.vkey]]);
  expect(await verifyLedger(path, { publicKeys: [signer.vkey], approvers, against: checkpoint, strict: true })).toMatchObject({
    status: 'valid',
    authorship: 'proven',
    end: 'proven',
    open_decisions: open,
    forgotten: 1,
    problems: [],
    warnings: [],
  });
});
