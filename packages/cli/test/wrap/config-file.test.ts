import { chmodSync, linkSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { FileRefusedError } from '../../src/failure.ts';
import { type ConfigFile, MAX_CONFIG_FILE_BYTES, newConfigFile, readConfigFile, replaceConfigFile } from '../../src/wrap/config-file.ts';
import { folder } from '../harness.ts';

function file(text: string | Buffer, mode = 0o640): string {
  const path = join(folder(), 'settings.json');
  writeFileSync(path, text);
  chmodSync(path, mode);
  return path;
}

function read(path: string): ConfigFile {
  const found = readConfigFile(path);
  if (found === undefined) throw new Error('not there');
  return found;
}

describe('replacing a file', () => {
  it('keeps the mode, leaves the old bytes beside it with mode 600, and no temporary file', () => {
    const path = file('old\r\n');
    const backup = replaceConfigFile(read(path), 'new\r\n');
    expect(readFileSync(path, 'utf8')).toBe('new\r\n');
    expect(statSync(path).mode & 0o777).toBe(0o640);
    expect(backup).toBe(`${path}.countersign-backup`);
    expect(readFileSync(`${path}.countersign-backup`, 'utf8')).toBe('old\r\n');
    expect(statSync(`${path}.countersign-backup`).mode & 0o777).toBe(0o600);
    expect(readdirSync(join(path, '..'))).toHaveLength(2);
  });

  it('never writes over an older back-up, nor through a link laid in its place', () => {
    const path = file('first');
    const elsewhere = join(folder(), 'precious');
    writeFileSync(elsewhere, 'precious');
    symlinkSync(elsewhere, `${path}.countersign-backup`);
    expect(replaceConfigFile(read(path), 'second')).toBe(`${path}.countersign-backup-2`);
    expect(replaceConfigFile(read(path), 'third')).toBe(`${path}.countersign-backup-3`);
    expect(readFileSync(`${path}.countersign-backup-2`, 'utf8')).toBe('first');
    expect(readFileSync(`${path}.countersign-backup-3`, 'utf8')).toBe('second');
    expect(readFileSync(elsewhere, 'utf8')).toBe('precious');
  });

  it('keeps a byte order mark, which no text holds', () => {
    const path = file('\ufeff{}');
    expect(read(path).text).toBe('{}');
    replaceConfigFile(read(path), '[]');
    expect(readFileSync(path, 'utf8')).toBe('\ufeff[]');
  });

  it('follows a link of the user to where the file lies, and the link stays one', () => {
    const target = file('old');
    const link = join(folder(), 'link.json');
    symlinkSync(target, link);
    expect(replaceConfigFile(read(link), 'new')).toBe(`${target}.countersign-backup`);
    expect(readFileSync(target, 'utf8')).toBe('new');
    expect(readFileSync(link, 'utf8')).toBe('new');
  });

  it('leaves alone what another program wrote meanwhile', () => {
    const path = file('old');
    const before = read(path);
    writeFileSync(path, 'theirs');
    expect(() => replaceConfigFile(before, 'ours')).toThrow(/was written by another program meanwhile/);
    expect(readFileSync(path, 'utf8')).toBe('theirs');
    expect(readdirSync(join(path, '..')).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });

  it('makes a new file with mode 600, and not over one that appeared', () => {
    const path = join(folder(), 'made', 'settings.json');
    expect(readConfigFile(path)).toBeUndefined();
    expect(replaceConfigFile(newConfigFile(path), '{}')).toBeUndefined();
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(() => replaceConfigFile(newConfigFile(path), '[]')).toThrow(expect.objectContaining({ code: 'EEXIST' }));
    expect(readFileSync(path, 'utf8')).toBe('{}');
  });
});

describe('a file that is refused', () => {
  const refusals: readonly (readonly [string, () => string, RegExp])[] = [
    ['others may write it', () => file('{}', 0o646), /may be written by others \(mode 646\)/],
    [
      'others may write its folder',
      () => {
        const path = file('{}');
        chmodSync(join(path, '..'), 0o777);
        return path;
      },
      /may be written by others \(mode 777\)/,
    ],
    [
      'a folder',
      () => {
        const path = join(folder(), 'settings.json');
        mkdirSync(path);
        return path;
      },
      /is not a regular file/,
    ],
    [
      'a link that leads nowhere',
      () => {
        const path = join(folder(), 'settings.json');
        symlinkSync('/nowhere/at/all', path);
        return path;
      },
      /leads nowhere/,
    ],
    [
      'a link to a file others may write',
      () => {
        const path = join(folder(), 'settings.json');
        symlinkSync(file('{}', 0o666), path);
        return path;
      },
      /may be written by others/,
    ],
    [
      'a second name of another file',
      () => {
        const path = file('{}');
        linkSync(path, `${path}.2`);
        return path;
      },
      /hard link/,
    ],
    [
      'larger than the limit',
      () => {
        const path = file('{}');
        truncateSync(path, MAX_CONFIG_FILE_BYTES + 1);
        return path;
      },
      /is larger than/,
    ],
    ['UTF-16', () => file(Buffer.from('\ufeff{}', 'utf16le')), /is not UTF-8/],
    ['bytes that are no text', () => file(Buffer.from([0x7b, 0xff, 0x7d])), /is not UTF-8/],
  ];

  it.each(refusals)('%s', (_, make, why) => {
    const path = make();
    expect(() => readConfigFile(path)).toThrow(why);
    expect(() => readConfigFile(path)).toThrow(FileRefusedError);
  });
});
