/** Where names lead: those that are as plain as they look cost one look, and come to the same as all others. */
import {
  closeSync,
  constants,
  linkSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  realpathSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it, test } from 'vitest';
import { procFiles } from '../../src/kernel/broker-proc.ts';
import { Walker } from '../../src/kernel/broker-walk.ts';
import { OwnDescriptors } from '../../src/kernel/own-descriptors.ts';
import { AT_FDCWD, Paths } from '../../src/kernel/paths.ts';
import { processOfThread } from '../../src/kernel/processes.ts';
import type { FileCalls } from '../../src/native/file-calls.ts';
import { native } from '../../src/native/native.ts';
import { whyNot } from './supervised.ts';

const missing = whyNot();
if (missing !== undefined) console.warn(`not tried, where names lead: ${missing}`);

describe.skipIf(missing)('where a name leads', () => {
  const root = realpathSync(mkdtempSync(join(tmpdir(), 'countersign-paths-')));
  afterAll(() => rmSync(root, { recursive: true, force: true }));
  mkdirSync(join(root, 'a/b'), { recursive: true });
  mkdirSync(join(root, 'a/...'));
  mkdirSync(join(root, 'a/.b'));
  writeFileSync(join(root, 'a/b/file'), 'x');
  writeFileSync(join(root, 'a/é'), 'x');
  writeFileSync(join(root, 'a/with space\n'), 'x');
  linkSync(join(root, 'a/b/file'), join(root, 'a/.b/..file'));
  symlinkSync('b', join(root, 'a/to-b'));
  symlinkSync('b/file', join(root, 'a/to-file'));
  symlinkSync(join(root, 'a'), join(root, 'to-a'));
  symlinkSync('/proc/self', join(root, 'a/to-self'));

  let looks = 0;
  const files = native()?.files;
  const counting = {
    ...files,
    openat2: (...args: Parameters<FileCalls['openat2']>) => (looks++, files?.openat2(...args) ?? -1),
  } as FileCalls;
  const own = new OwnDescriptors(counting);
  const paths = new Paths({ files: counting, own, walker: new Walker(counting, own, procFiles(counting)), processOf: processOfThread });
  const lead = (folder: number, name: string, follow = true, reads = false): string | undefined =>
    paths.place(process.pid, folder, Buffer.from(name), follow, reads).resolved;
  const looksAt = (folder: number, name: string): readonly [string | undefined, number] => {
    looks = 0;
    return [lead(folder, name, true, true), looks];
  };
  const within = <Result>(folder: string, then: (fd: number) => Result): Result => {
    const fd = openSync(folder, constants.O_RDONLY | constants.O_DIRECTORY);
    try {
      return then(fd);
    } finally {
      closeSync(fd);
    }
  };

  const NAMES = [
    'a/b/file',
    './a/b/file',
    'a/./b/file',
    '././a/b/file',
    'a//b/file',
    'a/b//file',
    'a/b/',
    'a/b',
    'a/.',
    'a/b/..',
    'a/../a/b/file',
    '.',
    './',
    'a/...',
    'a/.b/..file',
    'a/.b',
    'a/é',
    'a/with space\n',
    'a/to-b/file',
    'a/to-b',
    'a/to-file',
    'to-a/b/file',
    'to-a/to-file',
    'to-a/to-b/../b',
  ];

  it.each(NAMES)('%j, from a folder and from the root', (name) => {
    const expected = realpathSync(join(root, '.', name));
    expect(within(root, (fd) => lead(fd, name))).toBe(expected);
    expect(lead(AT_FDCWD, `${root}/${name}`)).toBe(expected);
    expect(lead(AT_FDCWD, `//${root}/${name}`)).toBe(expected);
  });

  test('the last link is looked at itself where it is not followed', () => {
    for (const name of ['a/to-file', 'a/to-b', 'to-a']) expect(lead(AT_FDCWD, join(root, name), false)).toBe(join(root, name));
    expect(lead(AT_FDCWD, join(root, 'to-a/to-file'), false)).toBe(join(root, 'a/to-file'));
  });

  test('what is not there leads to its place in a folder that is; in none, nowhere', () => {
    expect(lead(AT_FDCWD, join(root, 'to-a/new'))).toBe(join(root, 'a/new'));
    expect(within(join(root, 'to-a'), (fd) => lead(fd, './new'))).toBe(join(root, 'a/new'));
    expect(lead(AT_FDCWD, join(root, 'nowhere/new'))).toBeUndefined();
    expect(lead(999, 'a/b/file')).toBeUndefined();
  });

  test('a folder that is gone is not the one that has the name the kernel gives it then', () => {
    const gone = join(root, 'gone');
    mkdirSync(gone);
    within(gone, (fd) => {
      rmdirSync(gone);
      mkdirSync(`${gone} (deleted)`);
      expect(lead(fd, 'file')).toBe(join(gone, 'file'));
      expect(lead(fd, 'file', true, true)).toBe(join(gone, 'file'));
      expect(lead(fd, './file', true, true)).toBe(join(gone, 'file'));
      writeFileSync(join(root, 'outside'), '');
      symlinkSync(join(root, 'outside'), `${gone} (deleted)/link`);
      expect(lead(fd, 'link')).toBe(join(gone, 'link'));
      expect(lead(fd, 'link', true, true)).toBe(join(gone, 'link'));
    });
  });

  test('what is not there, for whoever reads: one look from the root, two from a folder, and the place it would have', () => {
    expect(looksAt(AT_FDCWD, join(root, 'a/b/new'))).toEqual([join(root, 'a/b/new'), 1]);
    for (const name of ['b/new', './b/new']) expect(within(join(root, 'a'), (fd) => looksAt(fd, name))).toEqual([join(root, 'a/b/new'), 2]);
    expect(looksAt(AT_FDCWD, join(root, 'nowhere/new'))).toEqual([join(root, 'nowhere/new'), 1]);
  });

  test('a link on the way to what is not there, or one that leads to nothing, is followed all the same', () => {
    symlinkSync(join(root, 'b/secret'), join(root, 'a/dangling'));
    symlinkSync('dangling', join(root, 'a/to-dangling'));
    symlinkSync('a/b/secret', join(root, 'beside'));
    mkdirSync(join(root, 'b'));
    for (const name of ['a/dangling', 'a/to-dangling', 'to-a/dangling', 'to-a/to-dangling', 'a/../a/dangling', 'a//dangling']) {
      expect(lead(AT_FDCWD, join(root, '.', name), true, true)).toBe(join(root, 'b/secret'));
      expect(within(root, (fd) => lead(fd, name, true, true))).toBe(join(root, 'b/secret'));
    }
    for (const from of [AT_FDCWD, undefined])
      expect(from === undefined ? within(root, (fd) => lead(fd, 'beside', true, true)) : lead(from, join(root, 'beside'), true, true)).toBe(
        join(root, 'a/b/secret'),
      );
    for (const name of ['to-a/new', 'to-a/./new', 'a/to-b/../new', 'to-a/new/'])
      expect(lead(AT_FDCWD, join(root, '.', name), true, true)).toBe(join(root, 'a/new'));
    expect(lead(AT_FDCWD, join(root, 'a/to-self/nothing'), true, true)).toBe(`/proc/${process.pid}/nothing`);
  });

  test('whoever may make it is told by all that there is to it', () => {
    expect(lead(AT_FDCWD, join(root, 'nowhere/made'), true, false)).toBeUndefined();
    looks = 0;
    expect(lead(AT_FDCWD, join(root, 'a/b/made'), true, false)).toBe(join(root, 'a/b/made'));
    expect(looks).toBeGreaterThan(2);
  });

  test('nothing under the name its folder has says nothing of what is in that folder: another one may lie there by now', () => {
    const [its, other] = [join(root, 'its'), join(root, 'other')];
    for (const folder of [its, other]) mkdirSync(folder);
    symlinkSync(join(root, 'secret'), join(its, 'link'));
    symlinkSync('link', join(its, 'to-link'));
    const misled: FileCalls = {
      ...counting,
      // As the kernel names a folder over which another one was mounted, or that was moved since it was asked.
      readlinkat: (folder: number, path: Buffer, into: Buffer) =>
        path.toString('latin1').startsWith(`/proc/${process.pid}/fd/`)
          ? into.write(other, 'latin1')
          : (files?.readlinkat(folder, path, into) ?? -1),
    };
    const asked = new Paths({ files: misled, own, walker: new Walker(counting, own, procFiles(counting)), processOf: processOfThread });
    const read = (fd: number, name: string): string | undefined => asked.place(process.pid, fd, Buffer.from(name), true, true).resolved;
    for (const name of ['link', './link', 'to-link']) expect(within(its, (fd) => read(fd, name))).toBe(join(root, 'secret'));
    expect(within(its, (fd) => read(fd, 'nothing'))).toBe(join(other, 'nothing'));
    // No folder at all.
    expect(read(999, 'link')).toBeUndefined();
  });

  test('self in /proc is whoever asks, by whatever way', () => {
    const self = `/proc/${process.pid}`;
    for (const name of ['/proc/self/status', '//proc/self/status', '/proc/../proc/self/status', join(root, 'a/to-self/status')])
      expect(lead(AT_FDCWD, name)).toBe(`${self}/status`);
    expect(within('/proc', (fd) => lead(fd, 'self/status'))).toBe(`${self}/status`);
  });

  test('plain ones take one look, all others more: also the longest', () => {
    const taken = (name: string): number => {
      looks = 0;
      lead(AT_FDCWD, name);
      return looks;
    };
    expect(['/', '/a/', '/a//b', '/a/.', '/a/..', '/./a', '/é'].filter((name) => taken(name) < 2 && name !== '/')).toEqual([]);
    expect([`${root}/a/b/file`, `${root}/a/.b/..file`, `${root}/a/...`, `${root}/a/b`].map(taken)).toEqual([1, 1, 1, 1]);
    for (const length of [4_093, 4_094, 4_095]) expect(lead(AT_FDCWD, `/${'x'.repeat(length)}`)).toBeUndefined();
    expect(lead(AT_FDCWD, `${root}/${'/'.repeat(4_000 - root.length)}a/b/file`)).toBe(`${root}/a/b/file`);
  });
});
