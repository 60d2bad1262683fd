/**
 * What a client wants to hear of. Resources are subscribed to one by one in a session (2025), and again when their server is
 * started again; without sessions (2026) one long request listens to every server under the same id.
 */
import { isObject, member } from '../message.ts';
import { edited, spanAt } from './json-spans.ts';
import { outerUri } from './names.ts';

/** Listening requests of one client. */
export const MAX_LISTENS = 64;
/** Resources subscribed to. */
export const MAX_SUBSCRIPTIONS = 4096;
const SUBSCRIPTION_ID = 'io.modelcontextprotocol/subscriptionId';
const FLAGS = new Map([
  ['notifications/tools/list_changed', 'toolsListChanged'],
  ['notifications/prompts/list_changed', 'promptsListChanged'],
  ['notifications/resources/list_changed', 'resourcesListChanged'],
]);

export interface Listen {
  readonly idJson: string;
  /** The request as it came. */
  readonly text: string;
  readonly flags: ReadonlySet<string>;
  /** URIs of resources, by server: the server's own, and the client's. */
  readonly uris: ReadonlyMap<string, ReadonlyMap<string, string>>;
}

export class Subscriptions {
  readonly #listens = new Map<string, Listen>();
  readonly #uris = new Map<string, Map<string, string>>();
  #count = 0;

  /** A resource in a session; false when there are too many. */
  add(server: string, uri: string, outer: string): boolean {
    const uris = this.#uris.get(server) ?? new Map<string, string>();
    if (!uris.has(uri) && this.#count >= MAX_SUBSCRIPTIONS) return false;
    if (!uris.has(uri)) this.#count += 1;
    this.#uris.set(server, uris.set(uri, outer));
    return true;
  }

  remove(server: string, uri: string): void {
    if (this.#uris.get(server)?.delete(uri) === true) this.#count -= 1;
  }

  /** What a server is to be told again when it is started again. */
  of(server: string): readonly string[] {
    return [...(this.#uris.get(server)?.keys() ?? [])];
  }

  /** Under what the client knows a resource that it hears of. */
  outerUri(server: string, uri: string): string {
    const listened = [...this.#listens.values()].map(({ uris }) => uris.get(server)?.get(uri)).find((outer) => outer !== undefined);
    return this.#uris.get(server)?.get(uri) ?? listened ?? outerUri(server, uri);
  }

  listen(key: string, listen: Listen): boolean {
    if (this.#listens.size >= MAX_LISTENS) return false;
    this.#listens.set(key, listen);
    return true;
  }

  get(key: string): Listen | undefined {
    return this.#listens.get(key);
  }

  end(key: string): void {
    this.#listens.delete(key);
  }

  listens(): readonly Listen[] {
    return [...this.#listens.values()];
  }
}

/** Undefined when the request does not have its shape. */
export function readListen(
  params: unknown,
  text: string,
  idJson: string,
  inner: (uri: string) => { server: string; uri: string } | undefined,
): Listen | undefined {
  const wanted = isObject(params) ? member(params, 'notifications') : undefined;
  if (!isObject(wanted)) return undefined;
  const flags = new Set([...FLAGS.values()].filter((flag) => member(wanted, flag) === true));
  const asked = member(wanted, 'resourceSubscriptions') ?? [];
  if (!Array.isArray(asked) || asked.length > MAX_SUBSCRIPTIONS) return undefined;
  const uris = new Map<string, Map<string, string>>();
  for (const outer of asked as readonly unknown[]) {
    const own = typeof outer === 'string' ? inner(outer) : undefined;
    if (typeof outer !== 'string' || own === undefined) return undefined;
    uris.set(own.server, (uris.get(own.server) ?? new Map<string, string>()).set(own.uri, outer));
  }
  return { idJson, text, flags, uris };
}

/** The request as one server gets it: about its own resources only. */
export function listenTo(server: string, { text, uris }: Listen): string {
  const span = spanAt(text, ['params', 'notifications', 'resourceSubscriptions']);
  return span === undefined ? text : edited(text, [{ ...span, text: JSON.stringify([...(uris.get(server)?.keys() ?? [])]) }]);
}

/** What is heard: everything that is asked for, since what a server does not tell of we may have to. */
export function acknowledgement({ idJson, flags, uris }: Listen): string {
  const outer = [...uris.values()].flatMap((each) => [...each.values()]);
  const heard = {
    ...Object.fromEntries([...flags].map((flag) => [flag, true])),
    ...(outer.length > 0 && { resourceSubscriptions: outer }),
  };
  return stamped('notifications/subscriptions/acknowledged', idJson, `"notifications":${JSON.stringify(heard)},`);
}

/** A notice of our own that a list changed; undefined for who does not listen. */
export function changeNotice(method: string, { idJson, flags }: Listen): string | undefined {
  return flags.has(FLAGS.get(method) ?? '') ? stamped(method, idJson, '') : undefined;
}

function stamped(method: string, idJson: string, params: string): string {
  return `{"jsonrpc":"2.0","method":"${method}","params":{${params}"_meta":{"${SUBSCRIPTION_ID}":${idJson}}}}`;
}

/** The request that a notification belongs to. */
export function subscriptionIdOf(message: unknown): unknown {
  const params = isObject(message) ? member(message, 'params') : undefined;
  const meta = isObject(params) ? member(params, '_meta') : undefined;
  return isObject(meta) ? member(meta, SUBSCRIPTION_ID) : undefined;
}
