/** A batch of messages over stdio to a server over HTTP+SSE (2024-11-05): bodies are POSTed, answers come on its one stream. */
import { LegacyUpstream } from './http-upstream.ts';
import type { Sent } from './messages.ts';
import type { Traffic } from './oracle.ts';
import { throughRemote } from './remote.ts';

export async function toLegacy(messages: readonly Sent[]): Promise<Traffic> {
  return throughRemote(messages, await LegacyUpstream.start(), 'sse');
}
