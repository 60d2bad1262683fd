/**
 * One listing of what several servers list: the pages of all of them together, under names that say whose each item is. What a
 * server wrote about an item stays as it wrote it. A server that fails or is slow is left out, and the others are not kept waiting.
 */
import { isObject, type JsonObject, member as ownMember } from '../message.ts';
import { MAX_INNER_CURSOR_CHARS, openCursor, type Place, sealCursor } from './cursor.ts';
import { edited, elements, type Span, spanAt } from './json-spans.ts';
import type { Answer, Member } from './member.ts';
import { outerTask, outerUri } from './names.ts';
import { offersList } from './offers.ts';
import type { ShortNames } from './short-names.ts';

/** How long one listing waits for servers, those that are starting included. */
export const LIST_WAIT_MS = 10_000;
/** Size of a page; one larger item makes a page of its own. Clients read messages of 10 MB. */
export const MAX_PAGE_BYTES: number = 4 * 1024 * 1024;
/** Longest name, URI or id of an item. */
const MAX_ITEM_NAME_CHARS = 8192;
const MAX_TOOL_NAME_CHARS = 256;
const MAX_LEARNED_PAGES = 100;

interface List {
  /** Member of the result that holds the items, and of the capabilities. */
  readonly key: string;
  readonly capability: string;
  /** Member of an item that names it. */
  readonly field: string;
}

const LISTS: ReadonlyMap<string, List> = new Map([
  ['tools/list', { key: 'tools', capability: 'tools', field: 'name' }],
  ['prompts/list', { key: 'prompts', capability: 'prompts', field: 'name' }],
  ['resources/list', { key: 'resources', capability: 'resources', field: 'uri' }],
  ['resources/templates/list', { key: 'resourceTemplates', capability: 'resources', field: 'uriTemplate' }],
  ['tasks/list', { key: 'tasks', capability: 'tasks', field: 'taskId' }],
]);

export function isList(method: string): boolean {
  return LISTS.has(method);
}

export interface ListingOptions {
  readonly members: ReadonlyMap<string, Member>;
  readonly names: ShortNames;
  /** Seals cursors. */
  readonly key: Buffer;
  readonly log: (text: string) => void;
  readonly waitMs?: number;
}

export interface ListRequest {
  readonly method: string;
  readonly cursor?: string;
  /** `_meta` for the servers, as JSON: of requests without a session. */
  readonly meta?: string;
}

interface Fetched extends Place {
  readonly member: Member;
  readonly answer: Answer;
}

export class Listing {
  readonly #options: ListingOptions;

  constructor(options: ListingOptions) {
    this.#options = options;
  }

  /** The result as JSON; undefined for a cursor that is not ours. Never rejects. */
  async page({ method, cursor, meta }: ListRequest): Promise<string | undefined> {
    const list = LISTS.get(method);
    if (list === undefined) return undefined;
    const { key, members } = this.#options;
    const places =
      cursor === undefined ? [...members.keys()].map((server): Place => ({ server, skip: 0 })) : openCursor(key, method, cursor);
    if (places === undefined) return undefined;
    const fetched = await Promise.all(places.map((place) => this.#fetch(list, method, place, meta)));
    return this.#merged(
      list,
      method,
      fetched.filter((each) => each !== undefined),
      meta !== undefined,
    );
  }

  /** Reads through a list of one server for the names in it, a bounded way. */
  async learn(method: string, server: string, meta: string | undefined): Promise<void> {
    const list = LISTS.get(method);
    let place: Place | undefined = { server, skip: 0 };
    for (let pages = 0; list !== undefined && place !== undefined && pages < MAX_LEARNED_PAGES; pages++) {
      const fetched: Fetched | undefined = await this.#fetch(list, method, place, meta);
      if (fetched?.answer.kind !== 'result') return;
      this.#itemsOf(list, method, fetched.member, fetched.answer);
      const cursor = nextCursor(fetched.answer.value);
      place = cursor === undefined ? undefined : { server, cursor, skip: 0 };
    }
  }

  async #fetch(list: List, method: string, place: Place, meta: string | undefined): Promise<Fetched | undefined> {
    const member = this.#options.members.get(place.server);
    if (member === undefined) return undefined;
    const waitMs = this.#options.waitMs ?? LIST_WAIT_MS;
    const from = performance.now();
    member.open();
    await member.settled(waitMs);
    if (member.offer === undefined) return member.state === 'unfit' ? undefined : { ...place, member, answer: { kind: 'late' } };
    if (!offersList(member.offer, list.capability)) return undefined;
    const { cursor } = place;
    const params = [
      ...(meta === undefined ? [] : [`"_meta":${meta}`]),
      ...(cursor === undefined ? [] : [`"cursor":${JSON.stringify(cursor)}`]),
    ];
    const leftMs = Math.max(1, waitMs - (performance.now() - from));
    const answer = await member.ask(method, `{${params.join(',')}}`, leftMs, cursor === undefined ? method : undefined);
    if (answer.kind !== 'result')
      this.#options.log(`server ${member.name} is left out of ${method}: ${answer.kind === 'late' ? 'no answer in time' : answer.message}`);
    return { ...place, member, answer };
  }

  #merged(list: List, method: string, fetched: readonly Fetched[], isStateless: boolean): string {
    const page = new Page();
    const rest: Place[] = [];
    for (const { server, cursor, skip, answer, member } of fetched) {
      if (answer.kind !== 'result') continue;
      const items = this.#itemsOf(list, method, member, answer);
      const done = page.take(items, skip);
      const next = nextCursor(answer.value);
      if (done < items.length) rest.push({ server, ...(cursor !== undefined && { cursor }), skip: done });
      else if (next !== undefined) rest.push({ server, cursor: next, skip: 0 });
    }
    const next = rest.length === 0 ? [] : [`"nextCursor":${JSON.stringify(sealCursor(this.#options.key, method, rest))}`];
    const cache = isStateless ? ['"resultType":"complete"', ...cacheOf(fetched)] : [];
    return `{${[...cache, `${JSON.stringify(list.key)}:[${page.items.join(',')}]`, ...next].join(',')}}`;
  }

  /** The items of a server's page under their names for the client; undefined in the place of one that cannot have one. */
  #itemsOf(
    list: List,
    method: string,
    member: Member,
    { json, value }: Extract<Answer, { readonly kind: 'result' }>,
  ): readonly (string | undefined)[] {
    const array = spanAt(json, [list.key]);
    const values = isObject(value) ? ownMember(value, list.key) : undefined;
    if (array === undefined || !Array.isArray(values)) return [];
    const seen = new Set<string>();
    let left = 0;
    const items = elements(json, array).map((span, at) => {
      const name = nameOf((values as readonly unknown[])[at], list);
      const outer = name === undefined || seen.has(name) ? undefined : this.#outer(method, member.name, name);
      if (name === undefined || outer === undefined) left += 1;
      else seen.add(name);
      return outer === undefined ? undefined : renamed(json, span, list.field, outer);
    });
    if (left > 0) this.#options.log(`server ${member.name}: ${left} items of ${method} have no name of their own and are left out`);
    return items;
  }

  #outer(method: string, server: string, name: string): string | undefined {
    if (method === 'tasks/list') return outerTask(server, name);
    if (method.startsWith('resources/')) return outerUri(server, name);
    return this.#options.names.outer(method, server, name);
  }
}

/** What fits into one answer. */
class Page {
  readonly items: string[] = [];
  #sizeBytes = 0;

  /** @returns how far it came. */
  take(items: readonly (string | undefined)[], from: number): number {
    for (let at = from; at < items.length; at++) {
      const item = items[at];
      if (item === undefined) continue;
      const sizeBytes = Buffer.byteLength(item) + 1;
      if (this.items.length > 0 && this.#sizeBytes + sizeBytes > MAX_PAGE_BYTES) return at;
      this.#sizeBytes += sizeBytes;
      this.items.push(item);
    }
    return Math.max(from, items.length);
  }
}

function nameOf(item: unknown, { field, key }: List): string | undefined {
  const name = isObject(item) ? ownMember(item, field) : undefined;
  const maxChars = key === 'tools' ? MAX_TOOL_NAME_CHARS : MAX_ITEM_NAME_CHARS;
  return typeof name === 'string' && name !== '' && name.length <= maxChars && name.isWellFormed() ? name : undefined;
}

function renamed(json: string, item: Span, field: string, name: string): string {
  const text = json.slice(item.start, item.end);
  const span = spanAt(text, [field]);
  return span === undefined ? text : edited(text, [{ ...span, text: JSON.stringify(name) }]);
}

/** A cursor too long to be sealed ends the listing of its server. */
function nextCursor(value: unknown): string | undefined {
  const cursor = isObject(value) ? ownMember(value, 'nextCursor') : undefined;
  return typeof cursor === 'string' && cursor.length <= MAX_INNER_CURSOR_CHARS && cursor.isWellFormed() ? cursor : undefined;
}

/** As fresh as the least fresh part, as private as the most private one. A part that is missing may come at any time. */
function cacheOf(fetched: readonly Fetched[]): readonly string[] {
  const values = fetched.map(({ answer }): JsonObject => (answer.kind === 'result' && isObject(answer.value) ? answer.value : {}));
  const ttls = values
    .map((value) => ownMember(value, 'ttlMs'))
    .map((ttl) => (Number.isSafeInteger(ttl) && Number(ttl) > 0 ? Number(ttl) : 0));
  const isPublic = values.every((value) => ownMember(value, 'cacheScope') === 'public');
  return [`"ttlMs":${ttls.length === 0 ? 0 : Math.min(...ttls)}`, `"cacheScope":"${isPublic && values.length > 0 ? 'public' : 'private'}"`];
}
