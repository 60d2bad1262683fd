/** A forbidden program, run in other ways than by its name. Level: exact, since nothing changes while a call is judged. */
import { chmodSync, copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadScope } from '../../../src/scope/load.ts';
import { cProgram } from '../../c-program.ts';
import { attacked, missing } from './attacked.ts';

const program = cProgram('kernel/attack/programs') ?? '';

describe.skipIf(missing !== undefined).each(['deny-list', 'broker'] as const)('reads: %s', (trapReads) => {
  it('scripts of it, of scripts, by descriptors, in memory, deleted, leased', async () => {
    const { said, actions } = await attacked({
      trapReads,
      program,
      start: { scope: loadScope({ document: { process: { forbidden_commands: ['banned'] } } }) },
      args: ({ work }) => {
        const banned = join(work, 'banned');
        copyFileSync('/bin/echo', banned);
        chmodSync(banned, 0o755);
        return [banned];
      },
    });
    const ways =
      'plain script of-script relative odd-name env from-folder descriptor self-fd dev-fd link-to-self of-self deleted deleted-link memory memory-self of-memory name-only of-name-only';
    expect(said).toEqual([...ways.split(' ').map((way) => `${way} EPERM`), 'leased ETXTBSY']);
    expect(actions.at(-1)).toEqual({ kind: 'unreadable', call: 'execve', what: 'the first line of the program' });
  });
});
