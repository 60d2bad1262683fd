/** Roots of tools: the folders that their relative paths are relative to. Declared by whoever runs the servers. */
import { isAbsolute, normalize } from 'node:path';
import type { ToolRef } from '../call.ts';
import { CountersignError } from '../errors.ts';

export interface RootOptions {
  /** Of tools without a server. Absolute. */
  readonly tools?: string;
  /** By the name of the server in our configuration. Absolute. */
  readonly servers?: Readonly<Record<string, string>>;
}

export interface Roots {
  /** Undefined: nobody declared one, and what a relative path names is not known. */
  of(tool: Pick<ToolRef, 'server'>): string | undefined;
}

/** @throws {CountersignError} `OPTIONS_INVALID` for a root that is not an absolute path. */
export function rootsFrom({ tools, servers = {} }: RootOptions = {}): Roots {
  const own = tools === undefined ? undefined : checked(tools, 'roots.tools');
  // Names of servers index no object: one may be called `constructor`.
  const byServer = new Map(Object.entries(servers).map(([server, root]) => [server, checked(root, `roots.servers.${server}`)]));
  return { of: ({ server }) => (server === undefined || server === '' ? own : byServer.get(server)) };
}

function checked(root: unknown, where: string): string {
  if (typeof root !== 'string' || !isAbsolute(root) || root.includes('\0'))
    throw new CountersignError('OPTIONS_INVALID', `${where}: a root must be an absolute path, such as /srv/data`);
  return normalize(root);
}
