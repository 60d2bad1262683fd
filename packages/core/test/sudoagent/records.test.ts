import { describe, expect, it } from 'vitest';
import { openRecords } from '../../src/container/open-records.ts';
import { hasVectors, vectorPath } from '../vectors.ts';
import { canonical, chained, lines, scenario, writeLines, writeSqlite } from './writer.ts';

const entries = chained(scenario());

describe('records of a ledger of SudoAgent', () => {
  it.each([
    ['lines', 'sudoagent-jsonl', () => writeLines(lines(entries))],
    ['rows', 'sudoagent-sqlite', () => writeSqlite(entries)],
  ])('are those of its %s, as they are stored', (_what, container, path) => {
    const reader = openRecords(path());
    try {
      expect(reader).toMatchObject({ container, origin: undefined, size: undefined });
      const records = [...reader.records()];
      expect(records).toEqual(entries.map((entry, index) => ({ index, text: canonical(entry) })));
      expect([...reader.records(12)]).toEqual(records.slice(12));
      expect([...reader.records(14)]).toEqual([]);
    } finally {
      reader.close();
    }
  });

  it('that cannot be read keep their place, and say why', () => {
    const [first = '', second = ''] = lines(entries).split('\n');
    const path = writeLines(Buffer.concat([Buffer.from(`${first}\n`), Buffer.from([0xff, 0x0a]), Buffer.from(second)]));
    const reader = openRecords(path);
    const records = [...reader.records()];
    reader.close();
    expect(records).toEqual([
      { index: 0, text: first },
      { index: 1, text: '', unreadable: 'the line is not valid UTF-8' },
      { index: 2, text: '', unreadable: expect.stringContaining('the last line does not end') as string },
    ]);
  });

  it.skipIf(!hasVectors('sudoagent-v2'))('are alike in both containers', () => {
    const read = (name: string): readonly string[] => {
      const reader = openRecords(vectorPath(`sudoagent-v2/${name}`));
      const kinds = [...reader.records()].map(({ text }) => (JSON.parse(text) as { event: string }).event);
      reader.close();
      return kinds;
    };
    expect(read('small-signed.sqlite')).toEqual(read('small-signed.jsonl'));
  });
});
