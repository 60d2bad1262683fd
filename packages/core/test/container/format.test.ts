import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { containerFormat } from '../../src/container/format.ts';
import { openLedger, tempDirectory } from '../fixtures/ledger.ts';
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

  it('refuses what is not there, a folder and a pipe, and waits for nobody', () => {
    const folder = tempDirectory();
    expect(() => containerFormat(join(folder, 'none'))).toThrow(expect.objectContaining({ code: 'LEDGER_NOT_FOUND' }));
    mkdirSync(join(folder, 'a'));
    expect(() => containerFormat(join(folder, 'a'))).toThrow(expect.objectContaining({ code: 'LEDGER_UNREADABLE' }));
    spawnSync('mkfifo', [join(folder, 'pipe')]);
    expect(() => containerFormat(join(folder, 'pipe'))).toThrow(expect.objectContaining({ code: 'LEDGER_UNREADABLE' }));
  });
});
