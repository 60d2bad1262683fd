/** Paths on systems that the tests do not run on, and disks that answer with errors. */
import { describe, expect, it } from 'vitest';
import { ConditionFault } from '../../src/policy/condition-value.ts';
import type { Disk } from '../../src/policy/functions/path/disk.ts';
import { isWithin, lastName, type PathWorld } from '../../src/policy/functions/path/places.ts';

type Found = ReturnType<Disk['look']> | Error;

/** @param entries - by path; an Error is thrown. Paths compare without case where the platform does. */
function world(platform: NodeJS.Platform, entries: Readonly<Record<string, Found>>, base?: string): PathWorld {
  const key = (path: string): string => (platform === 'linux' ? path : path.normalize('NFC').toLowerCase());
  const known = new Map(Object.entries(entries).map(([path, found]) => [key(path), { path, found }]));
  return {
    platform,
    disk: {
      look(path) {
        const found = known.get(key(path))?.found;
        if (found instanceof Error) throw found;
        return found;
      },
      canonical: (path) => known.get(key(path))?.path ?? path,
    },
    base: () => base,
    lookUp: (_path, read) => read(),
  };
}

const folder = { kind: 'folder' } as const;
const file = { kind: 'other' } as const;
const link = (target: string): Found => ({ kind: 'link', target });
const failing = (code: string): Error => Object.assign(new Error(code), { code });

function ask(path: string, root: string, on: PathWorld): boolean | 'fault' {
  try {
    return isWithin(path, root, on);
  } catch (error) {
    if (error instanceof ConditionFault) return 'fault';
    throw error;
  }
}

describe('a disk that does not answer', () => {
  it.each([['EACCES'], ['ELOOP'], ['ENAMETOOLONG'], ['EIO'], ['ESTALE']])('%s is a fault', (code) => {
    const on = world('linux', { '/data': folder, '/data/x': failing(code), '/data/y': link('x/z') });
    expect(ask('/data/x', '/data', on)).toBe('fault');
    expect(ask('/data/x/z', '/data', on)).toBe('fault');
    expect(ask('/data/y', '/data', on)).toBe('fault');
    expect(ask('/data/z', '/data', on)).toBe(true);
    expect(ask('/other', '/data', on)).toBe(false);
  });

  it('the root itself cannot be seen', () => {
    expect(ask('/data/x', '/data', world('linux', { '/data': failing('EACCES') }))).toBe('fault');
  });

  it('a link whose name is no text', () => {
    expect(ask('/data/x', '/data', world('linux', { '/data': folder, '/data/x': link('\ufffd/y') }))).toBe('fault');
  });

  it('a walk that has no end', () => {
    const on = world('linux', { '/data': folder, '/data/x': link('y/y/y/y/y/y/y/y/y/y/y/y/x'), '/data/y': link('.') });
    expect(ask('/data/x', '/data', on)).toBe('fault');
  });
});

describe('on a Mac case and Unicode form do not count', () => {
  const on = world('darwin', {
    '/Users': folder,
    '/Users/ann': folder,
    '/Users/ann/Données': folder,
    '/Users/ann/Données/Out': link('../secret'),
    '/Users/ann/secret': folder,
    '/tmp': link('private/tmp'),
    '/private': folder,
    '/private/tmp': folder,
  });
  it.each<[boolean | 'fault', string, string]>([
    [true, '/users/ANN/DONNÉES/x', '/Users/ann/Données'],
    [true, '/Users/ann/Donne\u0301es/x', '/Users/ann/Donn\u00e9es'],
    [true, '/Users/ann/Donn\u00e9es/x', '/Users/ann/Donne\u0301es'],
    ['fault', '/Users/ann/données/OUT/x', '/Users/ann/Données'],
    [false, '/USERS/ANN/SECRET', '/Users/ann/Données'],
    [true, '/USERS/ANN/SECRET', '/Users/ann/secret'],
    [true, '/tmp/x', '/tmp'],
    [true, '/private/tmp/x', '/tmp'],
    ['fault', '/TMP/x', '/private/tmp'],
  ])('%s: %s in %s', (answer, path, root) => expect(ask(path, root, on)).toBe(answer));
});

describe('on Linux they do', () => {
  const on = world('linux', { '/Data': folder, '/data': folder, '/donn\u00e9es': folder });
  it.each<[boolean | 'fault', string, string]>([
    [false, '/Data/x', '/data'],
    [true, '/donn\u00e9es/x', '/donn\u00e9es'],
    ['fault', '/donne\u0301es/x', '/donn\u00e9es'],
  ])('%s: %s in %s', (answer, path, root) => expect(ask(path, root, on)).toBe(answer));
});

describe('on Windows', () => {
  const on = world(
    'win32',
    { 'C:/': folder, 'C:/data': folder, 'C:/data/out': link('C:\\secret'), 'C:/data/unc': link('\\\\host\\x') },
    'C:\\data',
  );
  it.each<[boolean | 'fault', string]>([
    [true, 'C:\\data\\x'],
    [true, 'c:/DATA/x'],
    [true, 'x\\y'],
    [true, 'C:\\data\\a b\\x.txt'],
    [false, 'C:\\data\\..\\secret'],
    [false, '..\\secret'],
    [false, 'D:\\data\\x'],
    ['fault', 'C:\\data\\out\\x'],
    ['fault', 'C:\\data\\unc\\x'],
    ['fault', 'C:x'],
    ['fault', 'C:'],
    ['fault', '\\data\\x'],
    ['fault', '\\\\host\\data\\x'],
    ['fault', '\\\\?\\C:\\data\\x'],
    ['fault', '\\\\.\\C:\\data'],
    ['fault', 'C:\\data\\x:stream'],
    ['fault', 'C:\\data\\x::$DATA'],
    ['fault', 'C:\\data\\x.'],
    ['fault', 'C:\\data\\x \\y'],
    ['fault', 'C:\\data\\NUL'],
    ['fault', 'C:\\data\\aux.txt'],
    ['fault', 'C:\\data\\PROGRA~1'],
    ['fault', 'C:\\data\\a\u00a5..\u00a5b'],
  ])('%s: %s', (answer, path) => expect(ask(path, 'C:\\data', on)).toBe(answer));

  it('a backslash separates, and on POSIX it is nobody knows what', () => {
    expect(lastName('C:\\data\\x.txt', 'win32')).toBe('x.txt');
    expect(() => lastName('data\\x.txt', 'linux')).toThrow(ConditionFault);
  });
});

it('a file is no folder to go on from', () => {
  const on = world('linux', { '/data': folder, '/data/f': file });
  expect(ask('/data/f/../../etc', '/data', on)).toBe('fault');
  expect(ask('/data/f/x', '/data', on)).toBe(true);
});
