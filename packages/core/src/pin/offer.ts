/** Taking in what a server lists: new tools are trusted from here on, changed ones are told of, and all of it is on record. */
import type { Engine } from '../engine.ts';
import { CountersignError } from '../errors.ts';
import type { PinFlag } from '../ledger/entry.ts';
import { isRecordable } from '../names.ts';
import type { PinOffer } from '../store-units.ts';
import { isNews, type PinState } from './book.ts';
import { offerOf, readDeclaration, type ToolDeclaration, type UnpinnableTool } from './declaration.ts';
import { NameLooks } from './looks.ts';

/** Most tools of one listing; further ones cannot be called. */
export const MAX_OFFERED_TOOLS = 10_000;

/** What became of one tool of a listing. */
export interface OfferedTool {
  /** Undefined: there is no name to call it by. */
  readonly name: string | undefined;
  /**
   * `first`: it was never seen before, and is trusted from here on. `pinned`: as it is trusted. `changed`: other than it is
   * trusted. `revoked`: a person took the trust back. `unpinnable`: it cannot be compared, now or later.
   */
  readonly state: 'first' | 'pinned' | 'changed' | 'revoked' | 'unpinnable';
  /** For `ToolRef.declared`; absent when it is unpinnable. */
  readonly digest?: string;
  /** Why it is unpinnable, in words without anything the server wrote. */
  readonly problem?: string;
  /** What a person should look at, as recorded with this declaration. */
  readonly flags: readonly PinFlag[];
}

type PinEngine = Pick<Engine, 'agent' | 'store' | 'redactor' | 'commit'>;

/**
 * @param tools - the items of `tools` in an answer to `tools/list`, one page or all.
 * @returns one for each, in their order.
 * @throws {CountersignError} `OPTIONS_INVALID` for the server's name, `LEDGER_*`: nothing may run on the strength of this listing.
 */
export async function offerTools(
  { server, tools }: { readonly server?: string; readonly tools: readonly unknown[] },
  engine: PinEngine,
): Promise<readonly OfferedTool[]> {
  if (server !== undefined && !isRecordable(server, engine.redactor))
    throw new CountersignError('OPTIONS_INVALID', 'pins: the server needs a name of 1 to 256 characters without control characters');
  const read = readAll(tools, engine);
  const before = (await engine.store.pins()).tools;
  const known = statesOf(before, server);
  const news = read.filter((tool): tool is ToolDeclaration => 'digest' in tool && isNewsFor(tool, known));
  if (news.length === 0) return read.map((tool) => verdict(tool, known, known));
  const looks = new NameLooks(before, server, read);
  const offers = [...new Map(news.map((tool) => [tool.name, withNameFlags(offerOf(tool, engine.redactor), looks)])).values()];
  await engine.commit({ kind: 'pin', agent: engine.agent, ...(server !== undefined && { server }), offers });
  const after = statesOf((await engine.store.pins()).tools, server);
  return read.map((tool) => verdict(tool, after, known));
}

function readAll(tools: readonly unknown[], { redactor }: PinEngine): readonly (ToolDeclaration | UnpinnableTool)[] {
  const read = tools.slice(0, MAX_OFFERED_TOOLS).map((tool) => readDeclaration(tool, redactor));
  const beyond = tools.slice(MAX_OFFERED_TOOLS).map((tool): UnpinnableTool => {
    const name: unknown = typeof tool === 'object' && tool !== null && Object.hasOwn(tool, 'name') ? Reflect.get(tool, 'name') : undefined;
    return { name: typeof name === 'string' ? name : undefined, problem: `the server lists more than ${MAX_OFFERED_TOOLS} tools` };
  });
  const digests = Map.groupBy([...read, ...beyond], ({ name }) => name);
  const isTold = (name: string | undefined): boolean =>
    name !== undefined && new Set(digests.get(name)?.map((tool) => ('digest' in tool ? tool.digest : undefined))).size > 1;
  // Which of them a client takes nobody knows.
  return [...read, ...beyond].map((tool) => (isTold(tool.name) ? { name: tool.name, problem: TWO_OF_ONE_NAME } : tool));
}

const TWO_OF_ONE_NAME = 'the server lists two tools of this name';

function statesOf(states: readonly PinState[], server: string | undefined): ReadonlyMap<string, PinState> {
  return new Map(states.filter((state) => state.server === server).map((state) => [state.name, state]));
}

function isNewsFor({ name, digest }: ToolDeclaration, known: ReadonlyMap<string, PinState>): boolean {
  const state = known.get(name);
  return state === undefined || isNews(digest, state);
}

function withNameFlags(offer: PinOffer, looks: NameLooks): PinOffer {
  return { ...offer, flags: [...new Set([...offer.flags, ...looks.flagsOf(offer.name)])].toSorted() };
}

function verdict(
  tool: ToolDeclaration | UnpinnableTool,
  states: ReadonlyMap<string, PinState>,
  before: ReadonlyMap<string, PinState>,
): OfferedTool {
  if ('problem' in tool) return { name: tool.name, state: 'unpinnable', problem: tool.problem, flags: [] };
  const { name, digest } = tool;
  const state = states.get(name);
  // The bound of the ledger, or of the server's tools in it.
  if (state === undefined) return { name, state: 'unpinnable', problem: 'too many tools of this server are pinned', flags: [] };
  const flags = state.recorded.get(digest)?.flags ?? [];
  if (state.pinned === undefined) return { name, digest, state: 'revoked', flags };
  if (state.pinned.digest !== digest) return { name, digest, state: 'changed', flags };
  return { name, digest, state: before.has(name) ? 'pinned' : 'first', flags };
}
