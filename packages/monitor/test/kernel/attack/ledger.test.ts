/**
 * The ledger, in a tree with guards, which open it to read, or to read and write, before anybody knows that they are guards. Level: exact for
 * everything else; that opening waits for whoever knows.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { cProgram } from '../../c-program.ts';
import { missing } from './attacked.ts';
import { ended, refusing, running } from './running.ts';

const program = cProgram('kernel/attack/ledger') ?? '';

describe.skipIf(missing !== undefined).each(['off', 'deny-list', 'broker'] as const)('reads: %s', (trapReads) => {
  it('is neither cut, overwritten, named, replaced nor hidden, and its journal is nothing but a file', async () => {
    let ledger = '';
    // Before the agent is there.
    const place = (work: string): string => {
      ledger = join(work, 'ledger.db');
      writeFileSync(ledger, 'history');
      return ledger;
    };
    const sides = (work: string): readonly string[] => ['', '-wal', '-shm', '-journal'].map((side) => `${join(work, 'ledger.db')}${side}`);
    const run = await running({
      trapReads,
      program,
      args: ({ work }) => [place(work)],
      rules: ({ work }) => ({ own: { shared: sides(work), databases: sides(work) } }),
      onTold: refusing,
    });
    onTestFinished(() => run.close());
    const { said } = await ended(run);
    const refused = 'write append empty empty-rw empty-read creat openat2 truncate by-descriptor link link-follow link-itself';
    expect(said).toEqual([
      trapReads === 'off' ? 'read ok' : 'read EPERM',
      'read-write EPERM',
      ...refused.split(' ').map((each) => `${each} EPERM`),
      'mine ENOENT',
      ...'journal-link journal-pipe journal-hard replace exchange away unlink mount unshare mount-namespace open-tree'
        .split(' ')
        .map((each) => `${each} EPERM`),
    ]);
    const levels = run.told.flatMap(({ judged, observation: { action } }) =>
      judged?.rule !== 'own-files' ? [] : [`${action.kind} ${'by' in action ? action.by : 'plain'} ${judged.level}`],
    );
    expect(levels.filter((each) => each.endsWith('HALT'))).toEqual([
      ...(trapReads === 'off' ? [] : ['read plain HALT']),
      'write plain HALT',
    ]);
    expect(readFileSync(ledger, 'utf8')).toBe('history');
    expect(existsSync(`${ledger}-journal`)).toBe(false);
  });
});
