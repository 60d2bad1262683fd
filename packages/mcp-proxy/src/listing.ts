/**
 * What of a list of tools the client is offered: not the ones of which every call would be refused, whatever its arguments.
 *
 * It is a service to the model, not what protects anybody: a tool that is hidden and called all the same is refused like any other,
 * and a tool that cannot be told about is offered.
 */
import { isToolName } from './client-message.ts';
import type { GuardSource, Unavailable } from './guard-source.ts';
import { REMOVED } from './json-rewrite.ts';
import type { ListingReader, ListingWatch } from './listing-watch.ts';
import { isObject, type JsonObject, member, RPC_ERRORS } from './message.ts';
import type { ServerResponse } from './server-message.ts';
import { MAX_TOOLS, type ToolDirectory } from './tool-directory.ts';

/** How long a client may keep a list of which something is hidden, milliseconds: labels, halts and policies change meanwhile. */
export const MAX_FILTERED_TTL_MS = 60_000;
/** Tools asked about before anything else gets its turn. */
const TOOLS_AT_ONCE = 200;

/** Of the server whose tools are listed: its `Target`. */
interface Offering {
  readonly server: string;
  readonly tools: ToolDirectory;
  readonly guard: GuardSource;
  readonly listing: ListingWatch;
}

/**
 * The very same answer when nothing of it is hidden.
 *
 * An answer that could not be looked at becomes an error. Showing it would let nothing run that should not; but what a server says of
 * its tools is read by the model, and where the guard does not work a person is to see that at once, not at the first call. Never
 * rejects.
 *
 * @param by - who gets the list from its beginning with this answer.
 */
export async function offeredList(response: ServerResponse, target: Offering, by?: ListingReader): Promise<ServerResponse> {
  const { tools } = target;
  const { result } = response;
  const listed = isObject(result) ? member(result, 'tools') : undefined;
  if (!isObject(result) || !Array.isArray(listed)) return response;
  const names = new Set<string>();
  for (const tool of listed as readonly unknown[]) {
    const name = nameOf(tool);
    if (names.size < MAX_TOOLS && name !== undefined && isToolName(name)) names.add(name);
  }
  const hidden = await hiddenOf([...names], target);
  if ('kind' in hidden) return unlisted(response, hidden);
  tools.hide(hidden);
  target.listing.saw(names, hidden, by);
  const offered = (listed as readonly unknown[]).map((tool) => (isHidden(tool, hidden) ? REMOVED : tool));
  const isFiltered = offered.includes(REMOVED);
  const freshness = isFiltered || member(result, 'nextCursor') !== undefined ? bounded(result) : {};
  if (!isFiltered && Object.keys(freshness).length === 0) return response;
  return { ...response, result: { ...result, ...freshness, ...(isFiltered && { tools: offered }) } };
}

function nameOf(tool: unknown): string | undefined {
  const name = isObject(tool) ? member(tool, 'name') : undefined;
  return typeof name === 'string' ? name : undefined;
}

/** No call can have a name that is no name: it would be refused before it is one. What has no name at all is not ours to judge. */
function isHidden(tool: unknown, hidden: ReadonlySet<string>): boolean {
  const name = nameOf(tool);
  return name !== undefined && (hidden.has(name) || !isToolName(name));
}

/** Those of which every call would be refused. Never rejects. */
export async function hiddenOf(
  names: readonly string[],
  { server, tools: directory, guard }: Omit<Offering, 'listing'>,
): Promise<ReadonlySet<string> | Unavailable> {
  const tools = names.map((name) => directory.ref(server, name));
  const denied = new Set<string>();
  for (let at = 0; at < tools.length; at += TOOLS_AT_ONCE) {
    if (at > 0) await new Promise((resolve) => setImmediate(resolve));
    const offers = await guard.offers(tools.slice(at, at + TOOLS_AT_ONCE));
    if ('kind' in offers) return offers;
    for (const { tool, denial } of offers) if (denial !== undefined) denied.add(tool.name);
  }
  return denied;
}

/**
 * What one session is offered is nobody else's list, and not for long. Of several pages clients keep what the first one says of
 * itself for all of them, so it is bounded there already. A list that says nothing is kept by nobody.
 */
function bounded(result: JsonObject): JsonObject {
  const [scope, ttlMs] = [member(result, 'cacheScope'), member(result, 'ttlMs')];
  return {
    ...(scope !== undefined && scope !== 'private' && { cacheScope: 'private' }),
    ...(typeof ttlMs === 'number' && ttlMs > MAX_FILTERED_TTL_MS && { ttlMs: MAX_FILTERED_TTL_MS }),
  };
}

/** An error in place of a list that could not be looked at. */
export function unlisted({ result: _unseen, ...response }: ServerResponse, { reasonCode }: Unavailable): ServerResponse {
  const message = `the tools cannot be listed: the guard could not be asked about them; see the log of the proxy, then retry [${reasonCode}]`;
  return { ...response, error: { code: RPC_ERRORS.CALL_REFUSED, message, data: { 'countersign/reasonCode': reasonCode } } };
}
