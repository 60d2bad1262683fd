/**
 * Trust on first use, as a listing passes: what a server declares is on record before a client reads it, and a person is told on
 * standard error of what changed and of what stands out.
 */
import { changesText, clip, escapeForTerminal, type OfferedTool } from '@countersign/core';
import { unlisted } from './listing.ts';
import { lookalike } from './lookalike.ts';
import { isObject, member } from './message.ts';
import type { ServerResponse } from './server-message.ts';
import type { Target } from './target.ts';

/** Tools told of one by one, of one listing. */
const MAX_TOLD = 20;
const MAX_NAME_CHARS = 80;
const LIST_KEYS: ReadonlySet<string> = new Set(['tools']);
const NAME_KEYS: ReadonlySet<string> = new Set(['name']);

/**
 * Takes in an answer to `tools/list` that the client is about to get. The very same answer; an error in its place when what it
 * declares could not be put on record. Never rejects.
 */
export async function pinnedList(response: ServerResponse, target: Target): Promise<ServerResponse> {
  const listed = target.pinsTools ? listIn(response) : undefined;
  if (listed === undefined) {
    learnList(response, target);
    return response;
  }
  const offered = await target.guard.pin(target.server, listed);
  if ('kind' in offered) return unlisted(response, offered);
  const isNew = offered.filter(({ name, digest }) => name !== undefined && (digest === undefined || !target.tools.has(name, digest)));
  learnList(response, target, offered);
  await tell(isNew, target);
  return response;
}

/** Takes in an answer to `tools/list`. @param offered - what the guard made of its tools; absent where nothing is pinned. */
export function learnList({ result }: ServerResponse, { tools, results }: Target, offered?: readonly OfferedTool[]): void {
  if (!isObject(result)) return;
  results.learn(result);
  const listed = member(result, 'tools');
  if (isReadOtherwise(result, listed)) tools.miss();
  if (Array.isArray(listed)) tools.learn(listed, offered);
}

function listIn({ result }: ServerResponse): readonly unknown[] | undefined {
  const listed = isObject(result) ? member(result, 'tools') : undefined;
  return Array.isArray(listed) ? listed : undefined;
}

/** Whether some reader finds other tools in it than we do: in a list of another shape, or under a key of another case. */
function isReadOtherwise(result: Readonly<Record<string, unknown>>, listed: unknown): boolean {
  if (listed !== undefined && listed !== null && !Array.isArray(listed)) return true;
  if (Object.keys(result).some((key) => lookalike(key, LIST_KEYS) !== undefined)) return true;
  return (
    Array.isArray(listed) &&
    listed.some((tool: unknown) => isObject(tool) && Object.keys(tool).some((key) => lookalike(key, NAME_KEYS) !== undefined))
  );
}

async function tell(offered: readonly OfferedTool[], target: Target): Promise<void> {
  const striking = offered.filter(({ state, flags }) => state === 'changed' || state === 'unpinnable' || flags.length > 0);
  for (const tool of striking.slice(0, MAX_TOLD)) target.log(await lineOf(tool, target));
  const more = striking.length - MAX_TOLD;
  if (more > 0) target.log(`${more} more tools of ${target.server} stand out: countersign pins list --server ${target.server}`);
}

async function lineOf({ name = '', state, problem, flags }: OfferedTool, target: Target): Promise<string> {
  const tool = `${target.server}/${clip(escapeForTerminal(name.slice(0, 4 * MAX_NAME_CHARS)), MAX_NAME_CHARS)}`;
  const looks = flags.length === 0 ? '' : `; it is flagged: ${flags.join(', ')}`;
  if (state === 'unpinnable') return `tool ${tool} cannot be compared with what it was: ${problem ?? 'no reason'}; ${target.onChange}`;
  if (state !== 'changed') return `tool ${tool} is flagged: ${flags.join(', ')}; look at it: countersign pins show ${tool}`;
  const changes = await target.guard.pinChanges(target.server, name);
  const what = changes === undefined ? '' : `: ${changesText(changes)}`;
  return `tool ${tool} CHANGED since it was trusted${what}${looks}; ${target.onChange}; countersign pins show ${tool}`;
}
