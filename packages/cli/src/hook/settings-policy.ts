/**
 * The built-in rule of the hook: a call may not change the settings that start the hook, nor the program it starts.
 *
 * It says no in every mode, like the rule about Countersign's own files, and narrower: what files a tool writes is its path, so a
 * text that only speaks of settings may be written. Of a command the whole text counts. What only reads is let through.
 */
import { homedir } from 'node:os';
import { join } from 'node:path';
import { canonicalize, ownFilesPolicy, type Policy, type PolicyInput, type PolicyVerdict, policyHash } from '@countersign/core';
import { OWN_SERVER } from './tool-name.ts';

const ID = 'claude-code-settings';
const FILES = ['settings.json', 'settings.local.json'];
/** Tools of Claude Code that change nothing. */
const READERS: ReadonlySet<string> = new Set(['Read', 'Grep', 'Glob', 'LS', 'NotebookRead', 'WebFetch', 'WebSearch', 'TodoWrite']);
/** Where its file tools say which file. */
const PATH_MEMBERS = ['file_path', 'notebook_path', 'path'];
const FILE_TOOLS: ReadonlySet<string> = new Set(['Write', 'Edit', 'MultiEdit', 'NotebookEdit']);

/** @param paths - absolute. */
export function settingsPolicy(paths: readonly string[]): Policy {
  const own = ownFilesPolicy(paths);
  const document = canonicalize({ kind: 'built-in', id: ID });
  return {
    id: ID,
    hash: policyHash(document),
    document,
    default: 'allow',
    evaluate: async (input) => judged(input, own),
    foresee: () => ({ effect: 'abstain' }),
  };
}

/** Where Claude Code reads settings: the user's, and those of the project and of the folder it works in. */
export function settingsFiles(env: NodeJS.ProcessEnv, cwd: string | undefined): readonly string[] {
  const user = env['CLAUDE_CONFIG_DIR'];
  const folders = [join(homedir(), '.claude'), ...(user === undefined || user === '' ? [] : [user])];
  for (const project of [env['CLAUDE_PROJECT_DIR'], cwd])
    if (project !== undefined && project !== '') folders.push(join(project, '.claude'));
  return [...new Set(folders)].flatMap((folder) => FILES.map((file) => join(folder, file)));
}

async function judged(input: PolicyInput, own: Policy): Promise<PolicyVerdict> {
  const looked = lookedAt(input);
  if (looked === undefined) return { effect: 'abstain' };
  const verdict = await own.evaluate({ ...input, args: looked });
  if (verdict.effect !== 'deny') return { effect: 'abstain' };
  return { ...verdict, rule: ID, reason: 'the call would reach the settings that put Claude Code under Countersign, or its program' };
}

function lookedAt({ tool, args }: PolicyInput): PolicyInput['args'] | undefined {
  if (tool.server !== OWN_SERVER) return args;
  if (READERS.has(tool.name)) return undefined;
  if (!FILE_TOOLS.has(tool.name) || typeof args !== 'object' || args === null || Array.isArray(args)) return args;
  return PATH_MEMBERS.flatMap((member) =>
    Object.hasOwn(args, member) ? [(args as { readonly [name: string]: never })[member]] : [],
  ) as never;
}
