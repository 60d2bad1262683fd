import { execFileSync } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { UsageError } from '../src/failure.ts';
import { MAX_SMALL_FILE_BYTES, readSmallFile } from '../src/read-small-file.ts';
import { folder, project, run } from './harness.ts';

const read = (path: string, cwd: string) => readSmallFile(path, cwd, '--against');

describe('readSmallFile', () => {
  it('reads files up to the limit, also through a link', () => {
    const cwd = folder();
    writeFileSync(join(cwd, 'full'), 'é'.repeat(MAX_SMALL_FILE_BYTES / 2));
    writeFileSync(join(cwd, 'empty'), '');
    symlinkSync('full', join(cwd, 'link'));
    expect(read('full', cwd)).toHaveLength(MAX_SMALL_FILE_BYTES / 2);
    expect(read('link', cwd)).toBe(read('full', cwd));
    expect(read('empty', cwd)).toBe('');
  });

  it('refuses one byte more', () => {
    const cwd = folder();
    writeFileSync(join(cwd, 'large'), Buffer.alloc(MAX_SMALL_FILE_BYTES + 1));
    expect(() => read('large', cwd)).toThrow(UsageError);
    expect(() => read('large', cwd)).toThrow('--against: the file large is larger than 1048576 bytes');
  });

  it('refuses a folder, and says of a missing file that it is missing', () => {
    const cwd = folder();
    mkdirSync(join(cwd, 'folder'));
    expect(() => read('folder', cwd)).toThrow('is not a regular file');
    expect(() => read('nowhere', cwd)).toThrow('ENOENT');
  });

  it.skipIf(process.platform === 'win32')('refuses devices, and pipes without waiting, also behind links', () => {
    const cwd = folder();
    execFileSync('mkfifo', [join(cwd, 'pipe')]);
    symlinkSync('/dev/zero', join(cwd, 'link'));
    for (const path of ['pipe', 'link', '/dev/zero']) expect(() => read(path, cwd)).toThrow('is not a regular file');
  });
});

describe.skipIf(process.platform === 'win32')('options that name a file', () => {
  it.each([
    [['verify', '.countersign/ledger.db', '--against', 'pipe']],
    [['verify', '.countersign/ledger.db', '--public-key', 'pipe']],
    [['keygen', '--out', 'a.key', '--passphrase-file', 'pipe']],
    [['verify', '.countersign/ledger.db', '--against', 'large']],
    [['verify', '.countersign/ledger.db', '--public-key', 'large']],
    [['keygen', '--out', 'a.key', '--passphrase-file', 'large']],
  ])('%j is a usage error', async (argv) => {
    const cwd = await project();
    execFileSync('mkfifo', [join(cwd, 'pipe')]);
    writeFileSync(join(cwd, 'large'), Buffer.alloc(MAX_SMALL_FILE_BYTES + 1, 'a\n'));
    const ran = await run(argv, { cwd });
    expect(ran.code).toBe(2);
    expect(ran.stderr).toMatch(/is not a regular file|is larger than/);
  });
});
