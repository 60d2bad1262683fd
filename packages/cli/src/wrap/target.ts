/** Which client and which of its files a command line means. */
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { didYouMean } from '@countersign/core';
import type { Invocation, Option } from '../command.ts';
import { FileRefusedError, UsageError } from '../failure.ts';
import { CLIENTS, type Client, type Home } from './clients.ts';
import { type ConfigFile, readConfigFile } from './config-file.ts';
import { serversOf } from './server-list.ts';

/** Options of `wrap` and `unwrap` alike. */
export const TARGET_OPTIONS: readonly Option[] = [
  { name: 'server', kind: 'texts', value: 'NAME', about: 'only this server; may be given more than once' },
  { name: 'project', kind: 'switch', about: "the client's file of the project in this folder, instead of the user's" },
  { name: 'file', kind: 'text', value: 'PATH', about: 'this file, instead of those the client is known to read' },
  { name: 'dry-run', kind: 'switch', about: 'show the difference and write nothing' },
];

/** Of Claude Code: its own tools instead of its servers. */
export const HOOKS_OPTION: Option = {
  name: 'hooks',
  kind: 'switch',
  about: 'claude-code: its own tools, by hooks in its settings, not its servers',
};

export interface Target {
  readonly client: Client;
  readonly file: ConfigFile;
  /** Known to be the user's own; a project's file may come from a repository, and whoever wrote that may be anybody. */
  readonly isUsers: boolean;
}

export function homeOf({ env }: Invocation['io']): Home {
  const named = process.platform === 'win32' ? env['USERPROFILE'] : env['HOME'];
  return { platform: process.platform, folder: named === undefined || named === '' ? homedir() : named, env };
}

/** @throws {UsageError} for a client nobody knows. */
export function clientNamed(name: string): Client {
  const client = CLIENTS.find(({ id }) => id === (ALIASES.get(name) ?? name));
  if (client !== undefined) return client;
  const ids = CLIENTS.map(({ id }) => id);
  throw new UsageError(
    `unknown client ${JSON.stringify(name)}${didYouMean(name, [...ids, ...ALIASES.keys()])}`,
    `use one of: ${ids.join(', ')}`,
  );
}

const ALIASES: ReadonlyMap<string, string> = new Map([
  ['claude', 'claude-desktop'],
  ['code', 'vscode'],
  ['vs-code', 'vscode'],
  ['gemini', 'gemini-cli'],
]);

/**
 * The files the command line means that are there.
 *
 * @throws {UsageError} when none is, when a server that was named is in none of them, or for options that exclude each other.
 * @throws {FileRefusedError} when one of them may not be changed.
 */
export function targetsOf(invocation: Invocation, client: Client): readonly Target[] {
  const { io, flags } = invocation;
  const paths = pathsOf(invocation, client);
  const isUsers = !flags.on('project') && flags.text('file') === undefined;
  const targets = paths.flatMap((path): readonly Target[] => {
    const file = readConfigFile(path);
    return file === undefined ? [] : [{ client, file, isUsers }];
  });
  if (targets.length === 0) {
    throw new FileRefusedError(`${client.title} has no file at ${paths.join(' or ')}`, otherFile(client, io.cwd, isUsers));
  }
  refuseUnknownServers(targets, flags.texts('server'));
  return targets;
}

/** Files of this client's projects and user, whether or not they are there. */
export function pathsOf({ io, flags }: Invocation, client: Client): readonly string[] {
  const file = flags.text('file');
  if (file !== undefined && flags.on('project')) throw new UsageError('--project and --file exclude each other', 'give one of them');
  if (file !== undefined) return [resolve(io.cwd, file)];
  if (!flags.on('project')) return client.userFiles(homeOf(io));
  if (client.projectFile === undefined) throw new UsageError(`${client.title} has no file for projects`, 'leave --project out');
  return [join(io.cwd, ...client.projectFile)];
}

function otherFile({ id, projectFile }: Client, cwd: string, isUsers: boolean): string {
  if (isUsers && projectFile !== undefined && readConfigFile(join(cwd, ...projectFile)) !== undefined) {
    return `for the one of this project: countersign wrap ${id} --project`;
  }
  return `add a server in the client first, or name its file: countersign wrap ${id} --file PATH`;
}

function refuseUnknownServers(targets: readonly Target[], names: readonly string[]): void {
  const known = new Set(
    targets.flatMap(({ client, file }) => serversOf({ ...client, path: file.path, text: file.text }).map(({ name }) => name)),
  );
  for (const name of names) {
    if (known.has(name)) continue;
    throw new UsageError(
      `there is no server ${JSON.stringify(name)} in that file${didYouMean(name, known)}`,
      `it has: ${[...known].join(', ') || 'none'}`,
    );
  }
}
