/** Names in one spelling: paths, patterns, addresses. */
import { describe, expect, it } from 'vitest';
import { canonicalAddress, isLoopback } from '../../src/rules/address.ts';
import { isWithinDomain } from '../../src/rules/destination.ts';
import { compileGlob } from '../../src/rules/glob.ts';
import { compilePaths } from '../../src/rules/path-patterns.ts';
import { isUnder, MAX_PATH_CHARS, normalPath, passes } from '../../src/rules/path-text.ts';

const LINUX = { folds: false, cwd: '/w/d', cwdOf: (pid: string) => (pid === '7' ? '/srv/seven' : undefined) };
const MAC = { folds: true, cwd: '/w' };

describe('paths', () => {
  it.each([
    ['/a/b', '/a/b'],
    ['/', '/'],
    ['/a//b///c/', '/a/b/c'],
    ['/a/./b/.', '/a/b'],
    ['/a/../../..', '/'],
    ['/a/..b/...', '/a/..b/...'],
    ['/a/.git/.b/c.', '/a/.git/.b/c.'],
    ['/a/.git/../.b', '/a/.b'],
    ['/a/.git/./.b', '/a/.git/.b'],
    ['/a/.git/..', '/a'],
    ['/a/...b/.', '/a/...b'],
    ['x/y', '/w/d/x/y'],
    ['../x', '/w/x'],
    ['', '/w/d'],
    ['/proc/self/root', '/'],
    ['/proc/self/root/etc/shadow', '/etc/shadow'],
    ['/proc/1/root/proc/2/root/etc', '/etc'],
    ['/proc/thread-self/root/a', '/a'],
    ['/proc/12/task/13/root/a', '/a'],
    ['/proc/self/cwd/x', '/w/d/x'],
    ['/proc/self/cwd/../x', '/w/x'],
    ['/proc/7/cwd/../x', '/srv/x'],
    ['/proc/8/cwd/x', '/proc/8/cwd/x'],
    ['/x/../proc/self/./root/y', '/y'],
    ['/proc/self/roots/y', '/proc/self/roots/y'],
    ['/proc/self/fd/root', '/proc/self/fd/root'],
    ['/etc/proc/self/root/y', '/etc/proc/self/root/y'],
    ['/A/B', '/A/B'],
  ])('%s is %s', (path, expected) => {
    expect(normalPath(path, LINUX)).toBe(expected);
  });

  it.each([
    ['/Users/U/.SSH/Id', '/users/u/.ssh/id'],
    ['/private/tmp/x', '/tmp/x'],
    ['/private/tmpx', '/private/tmpx'],
    ['/System/Volumes/Data/Users/u', '/users/u'],
    ['/u/cafe\u0301', '/u/caf\u00e9'],
  ])('where the file system folds, %s is %s', (path, expected) => {
    expect(normalPath(path, MAC)).toBe(expected);
  });

  it('are cut where no file can be that long, in time that does not explode', () => {
    const long = `/${'../'.repeat(1_000_000)}etc`;
    expect(normalPath(long, LINUX).length).toBeLessThanOrEqual(MAX_PATH_CHARS);
    expect(normalPath(`/${'proc/self/root/'.repeat(1000)}x`, LINUX)).toMatch(/^\//);
  });

  it('lie below a folder, or pass one, by whole names', () => {
    expect([isUnder('/a/b', '/a'), isUnder('/a', '/a'), isUnder('/ab', '/a'), isUnder('/x', '/')]).toEqual([true, true, false, true]);
    expect([
      passes('/a/.git/x', '.git'),
      passes('/a/.git', '.git'),
      passes('/a/.github/x', '.git'),
      passes('/a/.gitx/.git', '.git'),
    ]).toEqual([true, true, false, true]);
  });
});

describe('patterns', () => {
  it.each([
    ['*.pem', 'a.pem', true],
    ['*.pem', 'a.pem.txt', false],
    ['a?c', 'abc', true],
    ['a?c', 'ac', false],
    ['[abc]', 'b', true],
    ['[!abc]', 'b', false],
    ['[!abc]', 'd', true],
    ['[a-c]x', 'bx', true],
    ['[]]', ']', true],
    ['[', '[', true],
    ['a[b', 'a[b', true],
    ['a**b', 'aXXb', true],
    ['*', '', true],
    ['.', 'x', false],
    ['(a|b)+', 'ab', false],
  ])('%s on %s: %s', (pattern, name, expected) => {
    expect(compileGlob(pattern)(name)).toBe(expected);
  });

  it('are matched in time that grows with pattern times name', () => {
    expect(compileGlob(`${'*a'.repeat(50)}*b`)('a'.repeat(8000))).toBe(false);
  });

  it.each([
    ['/tmp/safe/**', '/tmp/safe/x/y', true],
    ['/tmp/safe/**', '/tmp/safe', false],
    ['/tmp/safe/**', '/tmp/safer/x', false],
    ['/tmp/safe', '/tmp/safe/x', true],
    ['/tmp/safe', '/tmp/safe', true],
    ['/tmp/safe', '/tmp/safer', false],
    ['/Users/*/.ssh', '/Users/bob/.ssh/id', true],
    ['/Users/*/.ssh/**', '/Users/bob/.ssh/id', true],
    ['/Users/*/.ssh/**', '/Users/bob/.sshx/id', false],
    // A star passes slashes when the whole path is compared, as there.
    ['/Users/*/.ssh/**', '/Users/bob/deep/.ssh/id', true],
    ['/tmp/openclaw_*/**', '/tmp/openclaw_7/x', true],
    ['*/secrets/*', '/a/b/secrets/c', true],
    ['/', '/x', true],
    ['/a/', '/a/x', true],
  ])('of paths: %s on %s: %s', (pattern, path, expected) => {
    expect(compilePaths([pattern], (text) => text)(path) !== undefined).toBe(expected);
  });

  it('tell which one it was, however many there are', () => {
    const patterns = compilePaths([...Array.from({ length: 500 }, (_, n) => `/srv/${n}/**`), '/a/*/b'], (text) => text);
    expect(patterns('/srv/499/x')).toBe('/srv/499/**');
    expect(patterns('/a/x/b/c')).toBe('/a/*/b');
    expect(patterns('/srv/500/x')).toBeUndefined();
  });
});

describe('addresses', () => {
  it.each([
    ['127.0.0.1', '127.0.0.1'],
    ['127.1', '127.0.0.1'],
    ['0x7f.1', '127.0.0.1'],
    ['0177.0.0.1', '127.0.0.1'],
    ['2130706433', '127.0.0.1'],
    ['1.2.3.4.', '1.2.3.4'],
    ['::1', '0:0:0:0:0:0:0:1'],
    ['[::1]', '0:0:0:0:0:0:0:1'],
    ['0:0:0:0:0:0:0:1', '0:0:0:0:0:0:0:1'],
    ['fe80::1%eth0', 'fe80:0:0:0:0:0:0:1'],
    ['::ffff:1.2.3.4', '1.2.3.4'],
    ['::ffff:102:304', '1.2.3.4'],
    ['::ffff:0:1.2.3.4', '1.2.3.4'],
    ['::1.2.3.4', '1.2.3.4'],
    ['64:ff9b::1.2.3.4', '1.2.3.4'],
    ['2002:102:304::', '1.2.3.4'],
  ])('%s is %s', (text, expected) => {
    expect(canonicalAddress(text)).toBe(expected);
  });

  it.each([
    '',
    'localhost',
    '1.2.3',
    '256.1.1.1',
    '1.2.3.4.5',
    '4294967296',
    '08.1.1.1',
    '1:2:3',
    '1::2::3',
    '::g',
    '1.2.3.4:80',
    'x'.repeat(1000),
    '0x',
    '-1',
    '1e3',
  ])('%s is none, or is read as resolvers read it', (text) => {
    expect(text === '1.2.3' ? canonicalAddress(text) : (canonicalAddress(text) ?? 'none')).toBe(text === '1.2.3' ? '1.2.0.3' : 'none');
  });

  it('of this host, all of them', () => {
    for (const text of ['127.0.0.1', '127.9.9.9', '::1', '::ffff:127.0.0.1', '0.0.0.0', '::', '0'])
      expect(isLoopback(canonicalAddress(text) ?? '')).toBe(true);
    for (const text of ['128.0.0.1', '10.0.0.1', '::2', '1127.0.0.1', 'fe80::1'])
      expect(isLoopback(canonicalAddress(text) ?? text)).toBe(false);
  });

  it('a domain holds for what is below it', () => {
    expect(isWithinDomain('a.b.example.com', 'example.com')).toBe(true);
    expect(isWithinDomain('example.com', 'example.com')).toBe(true);
    expect(isWithinDomain('notexample.com', 'example.com')).toBe(false);
    expect(isWithinDomain('example.com.evil.net', 'example.com')).toBe(false);
  });
});
