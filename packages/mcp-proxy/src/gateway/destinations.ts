/** Which of several servers a request of the client is for, and what it is called there. All names in it are the client's to choose. */
import { type JsonObject, RPC_ERRORS } from '../message.ts';
import { helloMeta } from './handshake.ts';
import { edited, spanAt } from './json-spans.ts';
import type { Listing } from './listing.ts';
import type { Member } from './member.ts';
import { innerName, innerTask, innerUri, outerUri } from './names.ts';
import type { Owners } from './owners.ts';
import type { Route } from './routes.ts';
import { valueAt } from './server-edits.ts';
import type { ShortNames } from './short-names.ts';
import type { Subscriptions } from './subscriptions.ts';

/** Where a request goes, and as what; or why it goes nowhere. */
export type Destination =
  | { readonly kind: 'server'; readonly member: Member; readonly text: string; readonly route?: Partial<Route> }
  | { readonly kind: 'nowhere'; readonly message: string; readonly code?: number };

const SESSION_METHODS: ReadonlySet<string> = new Set(['resources/subscribe', 'resources/unsubscribe']);
const UNKNOWN_METHOD: Destination = {
  kind: 'nowhere',
  message: 'of several servers none can be told to be meant by this method',
  code: RPC_ERRORS.METHOD_NOT_FOUND,
};

export interface DestinationParts {
  readonly members: ReadonlyMap<string, Member>;
  readonly names: ShortNames;
  readonly owners: Owners;
  readonly listing: Listing;
  readonly subscriptions: Subscriptions;
}

export class Destinations {
  readonly #parts: DestinationParts;

  constructor(parts: DestinationParts) {
    this.#parts = parts;
  }

  /** Where a request goes. Never rejects. @param meta - of a request without a session. */
  async of(method: string, params: unknown, text: string, meta: JsonObject | undefined): Promise<Destination> {
    // One client of many would speak for all of them: without a session there is `subscriptions/listen`.
    if (meta !== undefined && SESSION_METHODS.has(method)) return UNKNOWN_METHOD;
    switch (method) {
      case 'prompts/get':
        return this.#byName(params, text, ['name'], meta);
      case 'completion/complete':
        return valueAt(params, ['ref', 'type']) === 'ref/resource'
          ? this.#byUri(params, text, ['ref', 'uri'])
          : this.#byName(params, text, ['ref', 'name'], meta);
      case 'resources/read':
      case 'resources/subscribe':
      case 'resources/unsubscribe':
        return this.#byUri(params, text, ['uri'], method);
      case 'tasks/get':
      case 'tasks/result':
      case 'tasks/cancel':
      case 'tasks/update':
        return this.#byTask(params, text);
      default:
        return UNKNOWN_METHOD;
    }
  }

  async #byName(params: unknown, text: string, path: readonly string[], meta: JsonObject | undefined): Promise<Destination> {
    const name = valueAt(params, path);
    const inner = typeof name === 'string' ? innerName(name) : undefined;
    const member = inner === undefined ? undefined : this.#parts.members.get(inner.server);
    if (inner === undefined || member === undefined) return { kind: 'nowhere', message: this.unknown('prompt') };
    return this.named('prompts/list', member, inner, text, ['params', ...path], meta);
  }

  /** By a name that said which server; short forms are looked for. */
  async named(
    list: string,
    member: Member,
    inner: { readonly name: string; readonly isShort: boolean },
    text: string,
    path: readonly string[],
    meta: JsonObject | undefined,
  ): Promise<Destination> {
    if (!inner.isShort) return { kind: 'server', member, text: renamed(text, path, inner.name) };
    const find = (): string | undefined => this.#parts.names.find(list, member.name, inner.name);
    // A client may have had the name from an earlier process.
    if (find() === undefined) await this.#parts.listing.learn(list, member.name, meta === undefined ? undefined : helloMeta(meta));
    const name = find();
    return name === undefined
      ? { kind: 'nowhere', message: `server ${member.name} lists nothing of this name` }
      : { kind: 'server', member, text: renamed(text, path, name) };
  }

  #byUri(params: unknown, text: string, path: readonly string[], method?: string): Destination {
    const outer = valueAt(params, path);
    const owner = typeof outer === 'string' ? this.ownerOf(outer) : undefined;
    if (typeof outer !== 'string' || owner === undefined) return { kind: 'nowhere', message: this.#unownedUri(outer) };
    const { member, uri } = owner;
    if (method === 'resources/subscribe' && !this.#parts.subscriptions.add(member.name, uri, outer))
      return { kind: 'nowhere', message: 'too many subscriptions' };
    if (method === 'resources/unsubscribe') this.#parts.subscriptions.remove(member.name, uri);
    const isRenamed = outer !== uri;
    const route = isRenamed ? { uri: { outer, inner: uri } } : {};
    return { kind: 'server', member, text: isRenamed ? renamed(text, ['params', ...path], uri) : text, route };
  }

  #byTask(params: unknown, text: string): Destination {
    const outer = valueAt(params, ['taskId']);
    const inner = typeof outer === 'string' ? innerTask(outer) : undefined;
    const member = inner === undefined ? undefined : this.#parts.members.get(inner.server);
    if (inner === undefined || member === undefined) return { kind: 'nowhere', message: this.unknown('task') };
    return { kind: 'server', member, text: renamed(text, ['params', 'taskId'], inner.taskId) };
  }

  /** Whose resource it is: as the URI says, as a link said, or, of one server with resources, its. */
  ownerOf(outer: string): { readonly server: string; readonly member: Member; readonly uri: string } | undefined {
    const inner = innerUri(outer);
    const named = inner === undefined ? undefined : this.#parts.members.get(inner.server);
    if (inner !== undefined && named !== undefined) return { server: named.name, member: named, uri: inner.uri };
    const linked = this.#parts.owners.of(outer).flatMap((server) => this.#parts.members.get(server) ?? []);
    const [member, ...others] = linked.length > 0 ? linked : [];
    return member === undefined || others.length > 0 ? undefined : { server: member.name, member, uri: outer };
  }

  #unownedUri(outer: unknown): string {
    const servers = typeof outer === 'string' ? this.#parts.owners.of(outer) : [];
    const which = servers.length > 1 ? `several servers linked to it: ${servers.join(', ')}` : 'it was not listed or linked to';
    return `whose resource this is cannot be told: ${which}; read it as ${outerUri('<server>', '<uri>')}`;
  }

  /** What to say of a name that belongs to no server. */
  unknown(what: 'tool' | 'prompt' | 'task'): string {
    return `no ${what} of a server here: its name is <server>__<name>, and the servers are ${[...this.#parts.members.keys()].join(', ')}`;
  }
}

/** The message with another name at a path, and every other byte as it was. */
export function renamed(text: string, path: readonly string[], name: string): string {
  const span = spanAt(text, path);
  return span === undefined ? text : edited(text, [{ ...span, text: JSON.stringify(name) }]);
}
