/** Tools that are known to exist, from files with the answer of `tools/list`, and from what a ledger saw. */

import { resolve } from 'node:path';
import { type KnownTool, readToolsList } from '@countersign/core';
import { openRecords } from '@countersign/core/sqlite';
import type { Invocation, Option } from './command.ts';
import { UsageError } from './failure.ts';
import { readFileBytes } from './read-small-file.ts';
import { selected } from './selected.ts';

export const KNOWN_TOOLS_OPTIONS: readonly Option[] = [
  { name: 'tools', kind: 'texts', value: '[SERVER=]FILE', about: 'answer of tools/list of that server, as JSON' },
  { name: 'ledger', kind: 'text', value: 'FILE', about: 'tools that were called in this ledger' },
];

const MAX_TOOLS_BYTES = 16_777_216;
/** Names come from agents: a flood of them ends here. */
const MAX_OBSERVED_TOOLS = 10_000;

/** Undefined when neither option was given. @throws {UsageError} */
export function knownTools({ io, flags, output }: Pick<Invocation, 'io' | 'flags' | 'output'>): readonly KnownTool[] | undefined {
  const files = flags.texts('tools');
  const ledger = flags.text('ledger');
  if (files.length === 0 && ledger === undefined) return undefined;
  const listed = files.flatMap((given) => listedTools(given, io.cwd));
  if (ledger === undefined) return listed;
  const known = new Set(listed.map(keyOf));
  const observed = observedTools(resolve(io.cwd, ledger), (done, total) => output.progress(done, total));
  return [...listed, ...observed.filter((tool) => !known.has(keyOf(tool)))];
}

function listedTools(given: string, cwd: string): readonly KnownTool[] {
  const [, server, file = given] = /^([^=/\\]+)=(.+)$/.exec(given) ?? [];
  const text = readFileBytes(file, cwd, '--tools', MAX_TOOLS_BYTES).toString('utf8');
  try {
    return readToolsList(JSON.parse(text), server);
  } catch (error) {
    const why = error instanceof SyntaxError ? 'not JSON' : error instanceof Error ? error.message : String(error);
    throw new UsageError(
      `--tools ${file}: ${why}`,
      'save the answer of tools/list, such as {"tools":[{"name":"read_file","inputSchema":{...}}]}',
    );
  }
}

/** Every tool a decision names, once, in the order of their first call. */
export function observedTools(path: string, onProgress: (done: number, total: number) => void): readonly KnownTool[] {
  const reader = openRecords(path);
  try {
    const tools = new Map<string, KnownTool>();
    for (const { facts } of selected(reader, { kind: 'decision' }, onProgress)) {
      const { tool } = facts;
      if (tool === undefined || tools.size >= MAX_OBSERVED_TOOLS) continue;
      const key = keyOf(tool);
      if (!tools.has(key)) tools.set(key, tool);
    }
    return [...tools.values()];
  } finally {
    reader.close();
  }
}

function keyOf({ server, name }: KnownTool): string {
  return JSON.stringify([server ?? null, name]);
}
