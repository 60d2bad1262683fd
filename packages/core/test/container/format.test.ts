import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { describe, expect, it } from 'vitest';
import { containerFormat } from '../../src/container/format.ts';
import { openLedger, tempDirectory } from '../fixtures/ledger.ts';
import { canonical, chained, decision, SCHEMA, writeLines, writeSqlite } from '../sudoagent/writer.ts';
import { hasVectors, vectorPath } from '../vectors.ts';

function file(content: string | Uint8Array): string {
  const path = join(tempDirectory(), 'ledger');
  writeFileSync(path, content);
  return path;
}

describe('containerFormat', () => {
  it('knows our ledger, also before its pages left the WAL', async () => {
    const path = join(tempDirectory(), 'ledger.db');
    const store = openLedger(path);
    expect(containerFormat(path)).toBe('sqlite');
    await store.close();
    expect(containerFormat(path)).toBe('sqlite');
  });

  it.skipIf(!hasVectors('sudoagent-v2'))('knows both ledgers of the predecessor', () => {
    expect(containerFormat(vectorPath('sudoagent-v2/small-signed.jsonl'))).toBe('sudoagent-jsonl');
    expect(containerFormat(vectorPath('sudoagent-v2/small-signed.sqlite'))).toBe('sudoagent-sqlite');
  });

  it.each([
    ['an empty file', '', 'jsonl'],
    ['a line of JSON', '{"kind":"note"}\n', 'jsonl'],
    ['bytes that are no text', Uint8Array.of(0xff, 0xfe, 0), 'jsonl'],
    ['a database header and nothing else', 'SQLite format 3\0', 'sqlite'],
  ])('takes %s for what its reader can explain', (_what, content, format) => {
    expect(containerFormat(file(content))).toBe(format);
  });

  it('knows a ledger of the predecessor by any of its first lines, and one that has only been begun', () => {
    const [whole] = chained([decision()]).map((entry) => canonical(entry));
    for (const text of [`${whole}\n`, `garbage\n\n${whole}\n`, `${whole?.slice(0, 200)}`, `\ufeff${whole}\r\n`, ` ${whole}`])
      expect(containerFormat(file(text))).toBe('sudoagent-jsonl');
    expect(containerFormat(writeLines(''))).toBe('sudoagent-jsonl');
    const mirror = writeLines('');
    writeFileSync(`${mirror}.checkpoint`, 'log\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n');
    expect(containerFormat(mirror)).toBe('jsonl');
  });

  it('knows an entry of ours whose clear text looks like one of theirs', () => {
    const [whole = ''] = chained([decision()]).map((entry) => canonical(entry));
    expect(containerFormat(file(`{"agent":"a","args":${whole},"v":1}\n`))).toBe('jsonl');
    expect(containerFormat(file(`{"at":1,"text":${JSON.stringify(whole)},"v":1}\n`))).toBe('jsonl');
    expect(containerFormat(file(`{"countersign":"export","version":1}\n${whole}\n`))).toBe('jsonl');
  });

  it('knows a database of the predecessor whose schema has not left the WAL', () => {
    const path = writeSqlite([]);
    const database = new Sqlite(join(tempDirectory(), 'live.sqlite'));
    database.pragma('journal_mode = WAL');
    database.exec(SCHEMA);
    // A copy, as after a crash: closing would move the pages.
    const crashed = join(tempDirectory(), 'crashed.sqlite');
    copyFileSync(database.name, crashed);
    copyFileSync(`${database.name}-wal`, `${crashed}-wal`);
    database.close();
    expect(containerFormat(crashed)).toBe('sudoagent-sqlite');
    expect(containerFormat(path)).toBe('sudoagent-sqlite');
    expect(readdirSync(dirname(crashed)).toSorted()).toEqual(['crashed.sqlite', 'crashed.sqlite-wal']);
  });

  it('refuses what is not there, a folder and a pipe, and waits for nobody', () => {
    const folder = tempDirectory();
    expect(() => containerFormat(join(folder, 'none'))).toThrow(expect.objectContaining({ code: 'LEDGER_NOT_FOUND' }));
    mkdirSync(join(folder, 'a'));
    expect(() => containerFormat(join(folder, 'a'))).toThrow(expect.objectContaining({ code: 'LEDGER_UNREADABLE' }));
    spawnSync('mkfifo', [join(folder, 'pipe')]);
    expect(() => containerFormat(join(folder, 'pipe'))).toThrow(expect.objectContaining({ code: 'LEDGER_UNREADABLE' }));
  });
});
