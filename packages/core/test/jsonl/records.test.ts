import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { openRecords } from '../../src/container/open-records.ts';
import type { LedgerRecord, RecordReader } from '../../src/container/records.ts';
import { readJsonlRecords } from '../../src/jsonl/records.ts';
import { tempDirectory } from '../fixtures/ledger.ts';
import { writeScenario } from '../verify/scenario.ts';
import { exported, exportLines, file, headerOf, linesOf, mirror, type Parts, partsOf } from './made.ts';

let parts: Parts;
let stored: readonly LedgerRecord[];
beforeAll(async () => {
  const { path } = await writeScenario();
  parts = partsOf(path);
  stored = all(openRecords(path));
});

function all(reader: RecordReader, from?: number): readonly LedgerRecord[] {
  try {
    return [...reader.records(from)];
  } finally {
    reader.close();
  }
}

describe('the entries of JSON lines', () => {
  it('an export gives what the ledger gives', () => {
    const made = exported([headerOf(parts), ...exportLines(parts)]);
    expect(all(openRecords(made))).toEqual(stored);
    const reader = readJsonlRecords(made);
    expect(reader).toMatchObject({ container: 'jsonl', origin: 'test.example/ledger', size: parts.bodies.length, checkpoint: parts.note });
    expect(all(reader, 7)).toEqual(stored.slice(7));
  });

  it('a mirror gives all but the clear text', () => {
    const reader = readJsonlRecords(mirror(linesOf(parts.bodies), parts.note));
    expect(reader).toMatchObject({ container: 'jsonl', origin: undefined, size: parts.bodies.length, checkpoint: parts.note });
    expect(all(reader)).toEqual(stored.map(({ index, text }) => ({ index, text })));
  });

  it('lines that hold no entry say why', () => {
    const records = all(readJsonlRecords(mirror(linesOf(parts.bodies.with(2, '')), parts.note)));
    expect(records[2]).toEqual({ index: 2, text: '', unreadable: 'the line is empty' });
    expect(records).toHaveLength(parts.bodies.length);
  });

  it('a half written entry at the end is none', () => {
    expect(all(readJsonlRecords(mirror(`${linesOf(parts.bodies)}{"at":1`, parts.note)))).toHaveLength(parts.bodies.length);
  });

  it.each<[string, () => string, string]>([
    ['nothing', () => join(tempDirectory(), 'none'), 'LEDGER_NOT_FOUND'],
    ['a folder', () => tempDirectory(), 'LEDGER_UNREADABLE'],
    ['a text', () => file('hello\n'), 'LEDGER_UNREADABLE'],
    ['empty', () => file(''), 'LEDGER_UNREADABLE'],
    ['a selection', () => file('{"countersign":"selection","version":1}\n'), 'LEDGER_UNREADABLE'],
    [
      'a pipe',
      () => {
        const path = join(tempDirectory(), 'pipe');
        execFileSync('mkfifo', [path]);
        return path;
      },
      'LEDGER_UNREADABLE',
    ],
  ])('%s is refused', (_name, path, code) => {
    expect(() => readJsonlRecords(path())).toThrow(expect.objectContaining({ code }));
  });
});
