/** The `roots:` block: folders that relative paths of tools are relative to. */
import * as z from 'zod';
import { MAX_NAME_CHARS } from '../names.ts';
import type { RootOptions } from '../policy/roots.ts';

const MAX_SERVERS = 256;

export interface RootsDocument {
  readonly tools?: string | undefined;
  readonly servers?: Readonly<Record<string, string>> | undefined;
}

const folder = z.string().min(1).max(4096);

export const rootsSchema: z.ZodType<RootsDocument> = z
  .strictObject({
    tools: folder.optional().describe('of tools without a server'),
    servers: z
      .record(z.string().min(1).max(MAX_NAME_CHARS), folder)
      .refine((servers) => Object.keys(servers).length <= MAX_SERVERS, `at most ${MAX_SERVERS} servers`)
      .optional()
      .describe('by server, as named here or with --server'),
  })
  .describe('folders that relative paths of tools are relative to, for path.within() and path.matches() in conditions');

/** @param place - makes a path of the file absolute. */
export function workOutRoots({ tools, servers }: RootsDocument, place: (name: string) => string): RootOptions {
  return {
    ...(tools !== undefined && { tools: place(tools) }),
    ...(servers !== undefined && { servers: Object.fromEntries(Object.entries(servers).map(([name, root]) => [name, place(root)])) }),
  };
}
