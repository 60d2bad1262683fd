/**
 * Whose resource a URI is that says no server. Lists name the server, but results and tools link to resources under the URI that
 * their server uses. The server that gave the link has it; of two that gave the same, nobody can tell.
 */
import { isObject, member } from '../message.ts';

/** URIs remembered; the oldest go first. */
const MAX_URIS = 4096;
const MAX_URI_CHARS = 8192;
const MAX_LINKS = 256;

export class Owners {
  readonly #owners = new Map<string, Set<string>>();

  /** Takes in what a result links to: blocks of content, and of the messages of a prompt. */
  learn(server: string, result: unknown): void {
    const content = listIn(result, 'content');
    const prompted = listIn(result, 'messages').map((message) => (isObject(message) ? member(message, 'content') : undefined));
    for (const block of [...content, ...prompted].slice(0, MAX_LINKS)) {
      if (!isObject(block)) continue;
      const resource = member(block, 'type') === 'resource' ? member(block, 'resource') : block;
      const uri = isObject(resource) && String(member(block, 'type')).startsWith('resource') ? member(resource, 'uri') : undefined;
      if (typeof uri === 'string' && uri.length <= MAX_URI_CHARS) this.#add(uri, server);
    }
  }

  /** The server, or all that it could be. */
  of(uri: string): readonly string[] {
    return [...(this.#owners.get(uri) ?? [])];
  }

  #add(uri: string, server: string): void {
    const owners = this.#owners.get(uri) ?? new Set();
    this.#owners.delete(uri);
    const [oldest] = this.#owners.keys();
    if (this.#owners.size >= MAX_URIS && oldest !== undefined) this.#owners.delete(oldest);
    this.#owners.set(uri, owners.add(server));
  }
}

function listIn(value: unknown, key: string): readonly unknown[] {
  const list = isObject(value) ? member(value, key) : undefined;
  return Array.isArray(list) ? list : [];
}
