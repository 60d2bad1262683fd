/** Which clients are on this machine, and how many of their servers are wrapped. */
import { join } from 'node:path';
import type { Invocation } from '../command.ts';
import { EXIT } from '../exit-codes.ts';
import { failureOf } from '../failure.ts';
import { safe } from '../output.ts';
import { tableLines } from '../table.ts';
import { CLIENTS, type Client } from './clients.ts';
import { readConfigFile } from './config-file.ts';
import { ownProgram } from './program.ts';
import { serversOf } from './server-list.ts';
import { homeOf } from './target.ts';

interface Found {
  readonly client: Client;
  readonly scope: 'user' | 'project';
  readonly file: string;
  readonly servers: number;
  readonly wrapped: number;
  /** Why the file cannot be looked at. */
  readonly problem?: string;
}

const COLUMNS = [{ title: 'CLIENT' }, { title: 'SERVERS' }, { title: 'WRAPPED' }, { title: 'SCOPE' }, { title: 'FILE', minWidth: 12 }];

export function tellFoundClients(invocation: Invocation): number {
  const { output } = invocation;
  const found = foundClients(invocation);
  output.result({
    clients: found.map(({ client, scope, file, servers, wrapped, problem }) => ({
      client: client.id,
      scope,
      file,
      servers,
      wrapped,
      problem: problem ?? null,
    })),
  });
  if (found.length === 0) {
    output.line('No MCP client has a file on this machine yet, neither for you nor for the project in this folder.');
    output.line(`Known clients: ${CLIENTS.map(({ title }) => title).join(', ')}.`);
    output.line('Add a server in one of them, or guard a server by hand: countersign proxy --server NAME -- <command>');
    return EXIT.OK;
  }
  const rows = found.map(({ client, scope, file, servers, wrapped, problem }) => [
    client.id,
    problem === undefined ? String(servers) : '?',
    problem === undefined ? String(wrapped) : '?',
    scope,
    safe(file),
  ]);
  for (const line of tableLines(COLUMNS, rows, output.isTerminal ? output.columns : undefined)) output.line(line);
  for (const { problem } of found) if (problem !== undefined) output.line(output.style('warn', safe(problem)));
  output.line();
  const next = found.find(({ servers, wrapped }) => wrapped < servers);
  output.line(
    next === undefined
      ? 'All that can be wrapped is.'
      : `next: countersign wrap ${next.client.id}${next.scope === 'project' ? ' --project' : ''} --dry-run`,
  );
  return EXIT.OK;
}

function foundClients({ io }: Invocation): readonly Found[] {
  const home = homeOf(io);
  return CLIENTS.flatMap((client) => [
    ...client.userFiles(home).flatMap((file) => look(client, 'user', file)),
    ...(client.projectFile === undefined ? [] : look(client, 'project', join(io.cwd, ...client.projectFile))),
  ]);
}

function look(client: Client, scope: Found['scope'], path: string): readonly Found[] {
  try {
    const file = readConfigFile(path);
    if (file === undefined) return [];
    const servers = serversOf({ ...client, path, text: file.text }, ownProgram());
    return [{ client, scope, file: path, servers: servers.length, wrapped: servers.filter(({ isWrapped }) => isWrapped).length }];
  } catch (error) {
    return [{ client, scope, file: path, servers: 0, wrapped: 0, problem: failureOf(error).message }];
  }
}
