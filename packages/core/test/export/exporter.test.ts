import { describe, expect, it } from 'vitest';
import { factsOf } from '../../src/container/facts.ts';
import type { LedgerRecord } from '../../src/container/records.ts';
import { selection } from '../../src/container/selection.ts';
import { Decisions } from '../../src/export/decisions.ts';
import { EXPORT_FORMATS, Export } from '../../src/export/exporter.ts';
import { CHECKPOINT, ORIGIN } from '../formats/ledger.ts';
import { entryRecord, exported, RECORDS, readerOf, SIGNER } from './ledger.ts';

const header = (text: string): Record<string, unknown> => JSON.parse(text.split('\n')[0] ?? '') as Record<string, unknown>;

describe('an export', () => {
  it('of all entries can be verified, and one with a filter or a limit says that it cannot', () => {
    expect(header(exported('ndjson'))).toEqual({
      countersign: 'export',
      version: 1,
      origin: ORIGIN,
      size: RECORDS.length,
      checkpoint: CHECKPOINT,
    });
    for (const options of [{ isMeant: selection({ kind: 'decision' }) }, { isMeant: () => true }, { limit: 3 }, { limit: 1000 }]) {
      expect(header(exported('ndjson', options))).toMatchObject({ countersign: 'selection' });
      expect(JSON.parse(exported('json', options))).toMatchObject({ countersign: 'selection' });
    }
    const predecessor = new Export(readerOf([], { container: 'sudoagent-jsonl' }), 'ndjson', { withOpenings: true });
    expect(header([...predecessor].join(''))).toMatchObject({ countersign: 'selection' });
    const unsized = new Export({ ...readerOf([], { container: 'sudoagent-jsonl' }), size: undefined }, 'ndjson', { withOpenings: true });
    expect(header([...unsized].join(''))).toMatchObject({ size: null });
  });

  it('does not make up a size for a checkpoint that is malformed, nor for a ledger without one', () => {
    const { checkpoint: _none, ...bare } = readerOf([]);
    const text = (reader: typeof bare): string => [...new Export(reader, 'ndjson', { withOpenings: true })].join('');
    expect(header(text({ ...bare, size: undefined }))).toMatchObject({ size: 0, checkpoint: null });
    expect(header(text({ ...readerOf([], { checkpoint: 'x' }), size: undefined }))).toMatchObject({ size: null, checkpoint: 'x' });
  });

  it.each(EXPORT_FORMATS)('as %s stops at its limit and says so', (format) => {
    const one = new Export(readerOf(RECORDS), format, { withOpenings: true, limit: 2, signer: SIGNER });
    const text = [...one].join('');
    expect([one.entries, one.wasCut]).toEqual([2, true]);
    if (format === 'json') expect((JSON.parse(text) as { entries: unknown[] }).entries).toHaveLength(2);
    const all = new Export(readerOf(RECORDS), format, { withOpenings: true, limit: 1000, signer: SIGNER });
    expect([...all].length).toBeGreaterThan(2);
    expect(all.wasCut).toBe(false);
  });

  it.each(EXPORT_FORMATS)('as %s survives whatever a ledger holds', (format) => {
    const deep = `${'['.repeat(50_000)}${']'.repeat(50_000)}`;
    let nested: LedgerRecord['opening'] = { key: '', sections: { args: 1 } };
    for (let depth = 0; depth < 20_000; depth++) nested = { key: '', sections: { args: nested.sections } };
    const records: LedgerRecord[] = [
      { index: 0, text: '', unreadable: 'too large' },
      { index: 1, text: deep },
      { index: 2, text: '{"kind":"decision","effect":"allow"}\n{}' },
      { ...entryRecord({ kind: 'outcome', call: 'c', decision: { of: 9 } }), index: 3 },
      { ...entryRecord({ kind: 'decision', at: 1, effect: 'allow', call: 'c', tool: { name: 't' } }, nested), index: 4 },
    ];
    const text = exported(format, { signer: SIGNER }, records);
    if (format === 'json') JSON.parse(text);
    else if (format !== 'csv') for (const line of text.split('\n')) if (line !== '') JSON.parse(line);
  });
});

describe('decisions that are remembered', () => {
  const facts = (index: number, body: object) => factsOf({ index, text: JSON.stringify(body) }, 'sqlite');

  it('are those of calls that may still end, and an outcome gets only the one it names', () => {
    const decisions = new Decisions();
    decisions.of(facts(0, { kind: 'decision', call: 'a', effect: 'allow', tool: { name: 'x' } }));
    decisions.of(facts(1, { kind: 'decision', call: 'b', effect: 'deny', tool: { name: 'y' } }));
    expect(decisions.of(facts(2, { kind: 'outcome', call: 'a', decision: { of: 7 } }))).toBeUndefined();
    decisions.of(facts(3, { kind: 'decision', call: 'a', effect: 'allow', tool: { name: 'x' } }));
    expect(decisions.of(facts(4, { kind: 'outcome', call: 'a', decision: { of: 3 } }))).toMatchObject({ tool: { name: 'x' } });
    expect(decisions.of(facts(5, { kind: 'outcome', call: 'a', decision: { of: 3 } }))).toBeUndefined();
    expect(decisions.of(facts(6, { kind: 'outcome', call: 'b', decision: { of: 1 } }))).toBeUndefined();
  });
});
