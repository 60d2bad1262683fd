import { createHash } from 'node:crypto';
import { appendFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parseSudoEntry, readSudoShape, type SudoEntry } from '../../src/sudoagent/entry.ts';
import { SudoHistory } from '../../src/sudoagent/history.ts';
import { openLines } from '../../src/sudoagent/lines.ts';
import type { SudoRow, SudoSource } from '../../src/sudoagent/source.ts';
import { Findings } from '../../src/verify/report.ts';
import { SeenIds } from '../../src/verify/seen.ts';
import { canonical, chained, decision, type Fields, outcome, writeLines } from './writer.ts';

function rows(source: SudoSource): readonly SudoRow[] {
  const all = [...source.chunks()].flat();
  source.close();
  return all;
}

describe('lines', () => {
  it('are read whole across pieces, whatever their length', () => {
    const texts = [1, 10, 1_048_575, 1_048_576, 1_048_577, 3_000_000, 0, 5].map((length, index) => String(index % 10).repeat(length));
    const found = rows(openLines(writeLines(texts.map((text) => `${text}\n`).join(''))));
    expect(found.map(({ text }) => text === texts[found.findIndex((row) => row.text === text)])).not.toContain(false);
    expect(found.map(({ text }) => text?.length)).toEqual(texts.map(({ length }) => length));
  });

  it('that are too long are read past, and told with their length', () => {
    const found = rows(openLines(writeLines(`a\n${'b'.repeat(5_000_000)}\nc\n${'d'.repeat(1001)}\n${'e'.repeat(1000)}\n`), 1000));
    expect(found.map(({ text, fault }) => text?.length ?? fault?.message)).toEqual([
      1,
      'the line has 5000000 bytes, 1000 are the most',
      1,
      'the line has 1001 bytes, 1000 are the most',
      1000,
    ]);
    const torn = rows(openLines(writeLines('b'.repeat(5_000_000)), 1000));
    expect(torn).toMatchObject([{ text: undefined, fault: { code: 'LINE_TORN' } }]);
  });

  it('written after opening are of another snapshot; one that was being written is read to its end', () => {
    const path = writeLines('first\nsec');
    const source = openLines(path);
    appendFileSync(path, 'ond\nthird\n');
    expect(rows(source)).toEqual([{ text: 'first' }, { text: 'second' }]);
  });
});

describe('hashes seen', () => {
  const hashOf = (number: number): string => createHash('sha256').update(String(number)).digest('hex');

  it('are found with their newest state and first number, through many growths', () => {
    const seen = new SeenIds();
    for (let number = 0; number < 50_000; number++) seen.set(hashOf(number), 1 + (number % 3), number);
    for (let number = 0; number < 50_000; number += 7) seen.set(hashOf(number), 9, 0);
    for (let number = 0; number < 50_000; number++)
      expect(seen.get(hashOf(number))).toEqual({ state: number % 7 === 0 ? 9 : 1 + (number % 3), number });
    for (let number = 50_000; number < 51_000; number++) expect(seen.get(hashOf(number))).toBeUndefined();
    expect(seen.dropped).toBe(0);
  });

  it('are let go by the generation, never the newest', () => {
    const seen = new SeenIds(100);
    for (let number = 0; number < 1000; number++) {
      seen.set(hashOf(number), 1, number);
      for (let near = Math.max(0, number - 99); near <= number; near++) expect(seen.get(hashOf(near))?.number).toBe(near);
    }
    expect(seen.get(hashOf(0))).toBeUndefined();
    expect(seen.dropped).toBe(800);
  });

  it('chosen to meet in one place are spread all the same', () => {
    const seen = new SeenIds();
    const startedWith = 100_000;
    // The same beginning, counters in one word: quadratic work would take minutes.
    for (let number = 0; number < startedWith; number++)
      seen.set(`${'0'.repeat(24)}${number.toString(16).padStart(8, '0')}${'0'.repeat(32)}`, 1, number);
    for (let number = 0; number < startedWith; number++) seen.set(`${number.toString(16).padStart(5, '0')}${'0'.repeat(59)}`, 2, number);
    expect(seen.get('0'.repeat(64))).toEqual({ state: 2, number: 0 });
  });
});

describe('a history longer than what is kept of it', () => {
  function history(entries: readonly Fields[], maxSeen: number, maxOpen: number): readonly (readonly [number, string])[] {
    const findings = new Findings();
    const told = new SudoHistory(findings, maxSeen, maxOpen);
    for (const [index, entry] of entries.entries()) {
      const parsed = parseSudoEntry(canonical(entry)) as SudoEntry;
      const shape = readSudoShape(parsed);
      if (shape.kind === 'decision') told.decision(index + 1, parsed, shape.entry);
      if (shape.kind === 'outcome') told.outcome(index + 1, parsed, shape.entry);
    }
    told.finish();
    return [...findings.problems(), ...findings.warnings()].map(({ entry, code }) => [entry, code]);
  }

  const decisions = Array.from({ length: 12 }, () => decision());
  const [first] = decisions as [Fields, ...Fields[]];

  it('says that repeats were not compared', () => {
    const entries = chained([...decisions.flatMap((entry) => [entry, outcome(entry)]), first]);
    expect(history(entries, 100, 100)).toEqual([[25, 'DECISION_REPEATED']]);
    expect(history(entries, 3, 100)).toEqual([[0, 'REPEATS_UNCHECKED']]);
  });

  it('never takes a second outcome, however far back its decision was settled', () => {
    const entries = chained([...decisions.flatMap((entry) => [entry, outcome(entry)]), outcome(first)]);
    expect(history(entries, 100, 100)).toEqual([[25, 'OUTCOME_TWICE']]);
    expect(history(entries, 3, 100)[0]).toEqual([25, 'OUTCOME_WITHOUT_DECISION']);
  });

  it('says which outcomes it could not compare when too many decisions are open', () => {
    const entries = chained([...decisions, ...decisions.map((entry) => outcome(entry))]);
    expect(history(entries, 100, 100)).toEqual([]);
    const told = history(entries, 100, 10);
    expect(told).toEqual([
      [13, 'OUTCOME_UNCOMPARED'],
      [14, 'OUTCOME_UNCOMPARED'],
    ]);
    expect(history(chained([...decisions, outcome(first), outcome(first)]), 100, 10)).toEqual([
      [14, 'OUTCOME_TWICE'],
      [13, 'OUTCOME_UNCOMPARED'],
    ]);
  });
});
