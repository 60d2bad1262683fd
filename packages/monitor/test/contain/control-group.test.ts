import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { folderOf, groupMounts, groupOf, makeControlGroup, moveInto } from '../../src/contain/control-group.ts';

const V1 = '32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu';

describe('where cgroup v2 is', () => {
  it('is told by mountinfo, whatever stands between the fields', () => {
    const hybrid = '41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw';
    const unified = '30 24 0:26 /a\\040b /mnt/c\\012d rw,nosuid shared:4 master:1 - cgroup2 none rw,nsdelegate';
    expect(groupMounts([V1, hybrid, unified, ''].join('\n'))).toEqual([
      { root: '/', at: '/sys/fs/cgroup/unified' },
      { root: '/a b', at: '/mnt/c\nd' },
    ]);
  });

  it.each([
    '',
    V1,
    '30 24 0:26 / /sys/fs/cgroup ro,nosuid - cgroup2 cgroup2 rw',
    '30 24 0:26 / /sys/fs/cgroup rw,nosuid',
    '30 24 - cgroup2 cgroup2 rw',
    '30 24 0:26 / /tmp/-\\040cgroup2 rw - tmpfs tmpfs rw',
  ])('is nowhere in %j', (line) => {
    expect(groupMounts(line)).toEqual([]);
  });

  it('is the unified line of a process, not one of the others', () => {
    expect(groupOf('5:devices:/a\n0::/user.slice/x\n')).toBe('/user.slice/x');
    expect(groupOf('5:devices:/a\n')).toBeUndefined();
    expect(groupOf('')).toBeUndefined();
  });

  it('is seen only within what is mounted', () => {
    expect(folderOf({ root: '/', at: '/cg' }, '/')).toBe('/cg/');
    expect(folderOf({ root: '/', at: '/cg' }, '/a/b')).toBe('/cg/a/b');
    expect(folderOf({ root: '/a', at: '/cg' }, '/a/b')).toBe('/cg/b');
    expect(folderOf({ root: '/a', at: '/cg' }, '/a')).toBe('/cg');
    for (const path of ['/ab', '/b', '/', '/a/../b', '/../a']) expect(folderOf({ root: '/a', at: '/cg' }, path), path).toBeUndefined();
  });
});

/** A hierarchy of plain folders: they have the names, not the kernel behind them. */
function fakeHost(own: string) {
  const root = mkdtempSync(join(tmpdir(), 'countersign-cgroup-'));
  onTestFinished(() => rmSync(root, { recursive: true, force: true }));
  const mount = join(root, 'cg');
  const proc = join(root, 'proc');
  mkdirSync(join(mount, own), { recursive: true });
  for (const name of ['self', '77']) {
    mkdirSync(join(proc, name), { recursive: true });
    writeFileSync(join(proc, name, 'cgroup'), `0::${own}\n`);
    writeFileSync(join(proc, name, 'mountinfo'), `41 31 0:38 / ${mount} rw - cgroup2 cgroup2 rw\n`);
  }
  return { mount, proc };
}

describe('a group of our own', () => {
  it('is not made in folders that are no control groups', () => {
    const { proc } = fakeHost('/a');
    expect(makeControlGroup(77, proc)).toBeUndefined();
  });

  it('is not made where the process, the group or the mount is unknown', () => {
    const { proc } = fakeHost('/a');
    expect(makeControlGroup(78, proc)).toBeUndefined();
    writeFileSync(join(proc, '77', 'cgroup'), '4:cpu:/a\n');
    expect(makeControlGroup(77, proc)).toBeUndefined();
    writeFileSync(join(proc, '77', 'cgroup'), '0::/../elsewhere\n');
    expect(makeControlGroup(77, proc)).toBeUndefined();
  });

  it('says why a process could not be moved', () => {
    const { mount } = fakeHost('/a');
    expect(moveInto(join(mount, 'none'), 77)).toBe('fixed');
    writeFileSync(join(mount, 'cgroup.procs'), '');
    expect(moveInto(mount, 77)).toBe('moved');
    expect(readFileSync(join(mount, 'cgroup.procs'), 'utf8')).toBe('77');
  });
});
