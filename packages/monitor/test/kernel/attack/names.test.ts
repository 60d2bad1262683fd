/** A forbidden file under another name. Level: exact in every mode, since nothing changes while a call is judged; races are in `races.test.ts`. */
import { readdirSync } from 'node:fs';
import { pid as self } from 'node:process';
import { describe, expect, it } from 'vitest';
import type { TrapReads } from '../../../src/kernel/traps.ts';
import { attacked, missing } from './attacked.ts';

const MODES: readonly TrapReads[] = ['deny-list', 'broker'];

describe.skipIf(missing !== undefined).each(MODES)('reads: %s', (trapReads) => {
  it('links whose own names are no text: to read, link, move, empty, remove, make', async () => {
    const { said, isUntouched, stopped } = await attacked({ trapReads, args: ({ secret }) => ['odd-names', secret] });
    expect(said).toEqual([
      'read EPERM',
      'read-below EPERM',
      'link EPERM',
      'linked ENOENT',
      'truncate EPERM',
      'rename EPERM',
      'renamed ENOENT',
      'unlink EPERM',
      'rmdir EPERM',
      'create EPERM',
      'mknod EPERM',
      'symlink EPERM',
    ]);
    // The worst of a call comes last.
    const link = ['write', 'read'];
    expect(stopped.map(({ kind }) => kind)).toEqual([
      'read',
      'read',
      ...link,
      'write',
      'rename',
      'delete',
      'delete',
      'write',
      'write',
      'write',
    ]);
    expect(isUntouched()).toBe(true);
  });

  it('a socket under its name, by its own, by a link, from its folder; others are as they were', async () => {
    const { said, stopped, actions, project } = await attacked({ trapReads, args: ({ secret }) => ['sockets', secret] });
    expect(said).toEqual([
      'bind EPERM',
      'bind-no-end EPERM',
      'bind-by-link EPERM',
      'bind-self EPERM',
      'chdir ok',
      'bind-here EPERM',
      'made ENOENT',
      'bind-nowhere EFAULT',
      'bind-mine ok',
      'bind-again EADDRINUSE',
      'bind-abstract ok',
      'bind-unnamed ok',
      'bind-port ok',
    ]);
    const made = { kind: 'write', resolved: `${project.secret}/new`, existed: false, by: 'name' };
    expect(stopped).toMatchObject([made, made, made, made, made]);
    expect(actions).toContainEqual({ kind: 'unreadable', call: 'bind', what: 'the address' });
    expect(actions).toContainEqual(expect.objectContaining({ kind: 'write', path: `${project.work}/mine`, by: 'name' }));
  });

  it('another name for the folder it lies in', async () => {
    const { said, isUntouched } = await attacked({ trapReads, args: ({ secret }) => ['move-above', secret] });
    expect(said).toEqual(['rename EPERM', 'read ENOENT', 'exchange EPERM', 'exchanged ENOENT']);
    expect(isUntouched()).toBe(true);
  });

  it('by what `self` means to the one who asks, by a folder that is gone, by a descriptor that is only a name', async () => {
    const { said, isUntouched } = await attacked({ trapReads, args: ({ secret }) => ['self-links', secret] });
    expect(said).toEqual([
      'name-only ok',
      'reopen EPERM',
      'by-link EPERM',
      'dev EPERM',
      'cwd EPERM',
      'root EPERM',
      'from-gone EPERM',
      'link EPERM',
      'linked ENOENT',
      'link-self EPERM',
      'linked-self ENOENT',
      'truncate EPERM',
    ]);
    expect(isUntouched()).toBe(true);
  });

  it('what is not there is judged by the name it would have: by its own, by links to it, from its folder; nothing is made under it', async () => {
    const { said, stopped, actions, project } = await attacked({ trapReads, args: ({ secret }) => ['nothing-there', secret] });
    expect(said).toEqual([
      'new EPERM',
      './new EPERM',
      'nowhere/../new EPERM',
      '/new EPERM',
      'new/ EPERM',
      'new/. EPERM',
      'folder/x EPERM',
      'mine ENOENT',
      'mine-below ENOENT',
      'dangling EPERM',
      'to-dangling EPERM',
      'below-link EPERM',
      'from-folder EPERM',
      'from-folder-here EPERM',
      'here EPERM',
      'make EPERM',
      'make-by-link EPERM',
      'cut EPERM',
      'how EPERM',
      'made ENOENT',
    ]);
    expect(stopped.map(({ kind }) => kind)).toEqual([...Array(13).fill('read'), 'write', 'write', 'write', 'read']);
    expect(actions).toContainEqual(
      expect.objectContaining({ kind: 'read', path: `${project.work}/nothing`, resolved: `${project.work}/nothing` }),
    );
  });

  it('what is opened within a root of its own is judged by where that leads, by links too', async () => {
    const { said, isUntouched } = await attacked({ trapReads, args: ({ secret }) => ['in-root', secret] });
    expect(said).toEqual([
      'from-root EPERM',
      'from-above EPERM',
      'by-link EPERM',
      'by-links EPERM',
      'by-link-above EPERM',
      'below-link EPERM',
      'beneath EPERM',
      'new EPERM',
      'make EPERM',
      // Nobody makes anything by a link to nothing there: the broker itself says that it is not there.
      `make-by-link ${trapReads === 'broker' ? 'ENOENT' : 'EPERM'}`,
      'make-mine ok',
      'write EPERM',
      'good ok',
      'nothing ENOENT',
      'outside EXDEV',
    ]);
    expect(isUntouched()).toBe(true);
  });

  it('and nothing of the warden but what everybody is shown of everybody; nothing of it can be written', async () => {
    const { said } = await attacked({ trapReads, args: () => ['warden', String(self)] });
    const content = ['mem', 'task/%s/mem', 'environ', 'task/%s/environ', 'fd/0', 'task/%s/fd/0', 'cwd/package.json'];
    for (const name of content) expect(said).toContain(`${name} EPERM`);
    for (const name of ['openat', 'below', 'through', 'chdir', 'cwd']) expect(said).toContain(`${name} EPERM`);
    expect(said.filter((line) => line.startsWith('w ') && !line.endsWith(' EPERM'))).toEqual([]);
  });

  it('nor where its memory lies and what it is at, by whatever name of it or of one of its threads', async () => {
    const folder = `/proc/${self}`;
    const thread = readdirSync(`${folder}/task`).find((tid) => Number(tid) !== self);
    const spelled = [folder, `/proc/${thread}`, `/proc/self/../${self}`, `${folder}/task/${thread}`, `/proc/${thread}/task/${self}`];
    // Those of a kernel that was built without them are not there for anybody.
    const there = (name: string): boolean => readdirSync(folder).includes(name);
    const kept = ['fdinfo', 'map_files', 'pagemap', 'auxv', 'syscall', 'stack', 'latency', 'timers', 'personality'].filter(there);
    const told = ['maps', 'smaps', 'smaps_rollup', 'numa_maps', 'wchan', 'io'].filter(there);
    const shown = ['stat', 'statm', 'status', 'cmdline', 'comm', 'cgroup'];
    // Of whole processes only.
    const isOfThreads = (name: string): boolean => readdirSync(`${folder}/task/${self}`).includes(name);
    const tries = async (names: readonly string[]): ReturnType<typeof attacked> =>
      attacked({ trapReads, args: () => ['warden-files', names.join(' '), ...spelled] });
    const refused = await tries(kept.filter(isOfThreads));
    expect(refused.said).toEqual(kept.filter(isOfThreads).flatMap((name) => spelled.map(() => `${name} EPERM`)));
    expect(new Set(kept.filter((name) => !isOfThreads(name)))).toEqual(new Set(['map_files', 'timers'].filter(there)));
    for (const each of ['map_files', 'timers'].filter(there))
      expect((await tries([each])).said.slice(0, 3)).toEqual(Array.from({ length: 3 }, () => `${each} EPERM`));
    // What lists of processes read of everybody is told. Where the kernel opens they get it: nothing of the tree reaches what lies there.
    const flagged = await tries(told.filter(isOfThreads));
    const answer = trapReads === 'broker' ? 'EACCES' : 'ok';
    expect(flagged.said).toEqual(told.filter(isOfThreads).flatMap((name) => spelled.map(() => `${name} ${answer}`)));
    // Below `task` the broker opens nothing of it.
    const ofAll = await attacked({ trapReads, args: () => ['warden-files', shown.join(' '), ...spelled.slice(0, 3)] });
    expect(ofAll.said).toEqual(shown.flatMap((name) => spelled.slice(0, 3).map(() => `${name} ok`)));
    expect(ofAll.stopped).toEqual([]);
  });
});

it.skipIf(missing !== undefined)('a shell goes on as ever: what it has open under /dev/fd is its own', async () => {
  const script =
    'echo in | cat /dev/stdin; cat <(echo one) <(echo two); exec 63</etc/hostname; cat /dev/fd/63 | wc -l; head -c 5 /proc/self/status';
  for (const trapReads of MODES) {
    const { said, stopped } = await attacked({ trapReads, program: '/bin/bash', args: () => ['-c', script] });
    expect(said).toEqual(['in', 'one', 'two', '1', 'Name:']);
    expect(stopped).toEqual([]);
  }
});
