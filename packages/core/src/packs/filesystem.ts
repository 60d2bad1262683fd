/** Tools that read and change files, kept to the folders that are meant. */
import * as z from 'zod';
import type { Policy } from '../policy/policy.ts';
import type { Rule } from '../policy/rule-definition.ts';
import { type CommonOptions, definePack, listOf, optionText, optionTexts, type Pack, packPolicy } from './pack.ts';
import { ANY_TOOL, celList, NAMES_CREDENTIALS, WRITES_PERSISTENTLY } from './words.ts';

export interface FilesystemOptions extends CommonOptions {
  /** Folders that tools may work in. A relative path is taken to be relative to the first. */
  readonly root: string | readonly string[];
  /** Folders that may be read besides. */
  readonly read?: string | readonly string[] | undefined;
  readonly read_only?: boolean | undefined;
}

export const filesystem: Pack<FilesystemOptions> = definePack<FilesystemOptions>(
  {
    name: 'filesystem',
    version: '1',
    summary: 'files outside of the folders that are meant, credentials, deletes',
    example: { root: '/srv/work' },
    blind: [
      'Paths under names of arguments that nothing suggests, and paths inside of what programs read.',
      'Files that are changed between the decision and the call, by somebody else.',
    ],
    place: (options, place) => ({
      ...options,
      root: listOf(options.root).map(place),
      ...(options.read !== undefined && { read: listOf(options.read).map(place) }),
    }),
    rules: ({ root, read, read_only: readOnly = false }) => {
      const roots = listOf(root);
      const readable = [...roots, ...listOf(read)];
      return [
        {
          id: 'filesystem.outside',
          tools: ANY_TOOL,
          when: `paths(tool, args).exists(p, !(${within(readable)}))`,
          effect: 'deny',
          reason: 'the path lies outside of the folders that tools may work in',
          reason_code: 'FILESYSTEM_OUTSIDE',
        },
        {
          id: 'filesystem.written-outside',
          tools: ANY_TOOL,
          when: `writes(tool, args).exists(p, !(${within(roots)}))`,
          effect: 'deny',
          reason: 'the call changes files outside of the folders that tools may change',
          reason_code: 'FILESYSTEM_WRITTEN_OUTSIDE',
        },
        ...(readOnly ? [READ_ONLY] : []),
        asks('credentials', 'the call reads a file of credentials', NAMES_CREDENTIALS),
        asks('persistence', 'the call writes a file that runs by itself later', WRITES_PERSISTENTLY),
        asks('delete', 'the call deletes files', `named(tool, ${DELETES}) && paths(tool, args).size() > 0`),
      ];
    },
  },
  {
    root: z
      .union([optionText, optionTexts])
      .describe('folders that tools may work in; relative paths are taken to be relative to the first'),
    read: z.union([optionText, optionTexts]).optional().describe('folders that may be read besides'),
    read_only: z.boolean().optional().describe('true: nothing may be changed, not in the roots either'),
  },
);

export function filesystemPack(options: FilesystemOptions): Policy {
  return packPolicy(filesystem, options);
}

const DELETES = celList(['delete', 'remove', 'rm', 'unlink', 'rmdir', 'purge', 'trash', 'erase']);

const READ_ONLY: Rule = {
  id: 'filesystem.read-only',
  tools: ANY_TOOL,
  when: 'writes(tool, args).size() > 0',
  effect: 'deny',
  reason: 'files may only be read here',
  reason_code: 'FILESYSTEM_READ_ONLY',
};

function within(roots: readonly string[]): string {
  const first = JSON.stringify(`${roots[0] ?? ''}/`);
  const absolute = String.raw`p.matches("^(?:[/~\\\\]|[A-Za-z]:|[A-Za-z][A-Za-z0-9+.-]*:)")`;
  return roots.map((root) => `path.within(${absolute} ? p : ${first} + p, ${JSON.stringify(root)})`).join(' || ');
}

function asks(id: string, reason: string, when: string): Rule {
  return {
    id: `filesystem.${id}`,
    tools: ANY_TOOL,
    when,
    effect: 'require_approval',
    reason,
    reason_code: `FILESYSTEM_${id.toUpperCase()}`,
  };
}
