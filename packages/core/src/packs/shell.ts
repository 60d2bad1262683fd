/** Tools that run commands: what is not plainly harmless asks. */
import * as z from 'zod';
import type { Policy } from '../policy/policy.ts';
import type { Rule } from '../policy/rule-definition.ts';
import { type CommonOptions, definePack, optionTexts, type Pack, packPolicy } from './pack.ts';
import { ANY_TOOL, celList } from './words.ts';

export interface ShellOptions extends CommonOptions {
  /** Programs that may reach the network without asking. */
  readonly network?: readonly string[] | undefined;
  /** Only these programs may run; any other asks. */
  readonly only?: readonly string[] | undefined;
  /** Programs that never run. */
  readonly never?: readonly string[] | undefined;
  /** `false`: commands that cannot be read to the end are left to the other rules. */
  readonly undecided?: boolean | undefined;
}

export const shell: Pack<ShellOptions> = definePack<ShellOptions>(
  {
    name: 'shell',
    version: '1',
    summary: 'commands that destroy, reach out, gain rights, stay, or cannot be read',
    example: { network: ['npm', 'git'] },
    blind: ['Scripts and programs that a command starts: what is in them is not read.', 'Aliases and PATH of the machine.'],
    rules: ({ network = [], only = [], never = [], undecided = true }) => [
      asks('destructive', 'the command destroys what may be missed', SHOWS('destructive')),
      asks('download-and-run', 'the command runs what it downloads', SHOWS('downloadsAndRuns')),
      asks('privileged', 'the command takes the rights of another user', SHOWS('privileged')),
      asks('persistence', 'the command leaves something that runs again later', SHOWS('persistence')),
      asks('credentials', 'the command reads credentials', SHOWS('credentials')),
      asks(
        'network',
        'the command reaches the network',
        network.length === 0
          ? SHOWS('network')
          : `commands(tool, args).exists(c, "network" in shell(c).found && (shell(c).undecided || !shell(c).commands.exists(name, name in ${celList(network)})))`,
      ),
      ...(undecided
        ? [asks('undecided', 'the text of the command does not tell what it runs', 'commands(tool, args).exists(c, shell(c).undecided)')]
        : []),
      ...(only.length === 0
        ? []
        : [
            asks(
              'not-listed',
              'the command runs a program that is not on the list',
              `commands(tool, args).exists(c, shell(c).undecided || shell(c).commands.exists(name, !(name in ${celList(only)})))`,
            ),
          ]),
      ...(never.length === 0
        ? []
        : [
            {
              id: 'shell.never',
              tools: ANY_TOOL,
              when: `runs(tool, args).exists(name, name in ${celList(never)})`,
              effect: 'deny',
              reason: 'this program may not run here',
              reason_code: 'SHELL_NEVER',
            } as const,
          ]),
    ],
  },
  {
    network: optionTexts.optional().describe('programs that may reach the network without asking, such as npm and git'),
    only: optionTexts.optional().describe('programs that may run; any other asks'),
    never: optionTexts.optional().describe('programs that never run'),
    undecided: z.boolean().optional().describe('false: do not ask about commands that cannot be read to the end'),
  },
);

export function shellPack(options: ShellOptions = {}): Policy {
  return packPolicy(shell, options);
}

const SHOWS = (effect: string): string => `commands(tool, args).exists(c, "${effect}" in shell(c).found)`;

function asks(id: string, reason: string, when: string): Rule {
  const code = `SHELL_${id.toUpperCase().replaceAll('-', '_')}`;
  return { id: `shell.${id}`, tools: ANY_TOOL, when, effect: 'require_approval', reason, reason_code: code };
}
