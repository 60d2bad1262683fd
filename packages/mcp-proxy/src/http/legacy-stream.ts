/**
 * HTTP+SSE of 2024-11-05: one stream of events carries everything the server says, and its first event says where to POST.
 *
 *     event: endpoint\n
 *     data: /messages?sessionId=1\n
 *     \n
 *
 * The session is the stream: it cannot be taken up again.
 */
import type { IncomingMessage } from 'node:http';
import type { OnOverlong, OversizeLine } from '../wire.ts';
import { readEventStream, typeOf } from './event-messages.ts';
import { readErrorBody, statusText } from './remote-answer.ts';
import { RemoteError, type RemoteServer, shownUrl } from './remote-request.ts';

/** From the request to the event that says where to POST. */
export const ENDPOINT_WAIT_MS = 15_000;
const MAX_ENDPOINT_BYTES = 4_096;

interface LegacyOptions {
  readonly log: (text: string) => void;
  readonly signal: AbortSignal;
  readonly onMessage: (data: Buffer) => Promise<void>;
  readonly onOverlong: OnOverlong;
  readonly onOversize: (event: OversizeLine) => void;
}

export class LegacyStream {
  readonly ended: Promise<void>;
  readonly #server: RemoteServer;
  readonly #endpoint: URL;
  readonly #close: () => void;

  private constructor(server: RemoteServer, endpoint: URL, ended: Promise<void>, close: () => void) {
    this.#server = server;
    this.#endpoint = endpoint;
    this.ended = ended;
    this.#close = close;
  }

  /** @throws {RemoteError} when the server has no such stream, or it does not say where to POST. */
  static async open(server: RemoteServer, { log, signal, onMessage, onOverlong, onOversize }: LegacyOptions): Promise<LegacyStream> {
    const abort = new AbortController();
    const response = await server.ask({
      method: 'GET',
      headers: { accept: 'text/event-stream' },
      signal: AbortSignal.any([signal, abort.signal]),
    });
    if (response.statusCode !== 200 || typeOf(response) !== 'text/event-stream') {
      const said = await readErrorBody(response);
      response.destroy();
      throw new RemoteError(statusText(response.statusCode ?? 0, said, false, (text) => server.withoutSecrets(text)));
    }
    const endpoint = Promise.withResolvers<URL>();
    const late = setTimeout(() => endpoint.reject(new RemoteError('the server did not say where to POST messages')), ENDPOINT_WAIT_MS);
    let isOpen = false;
    const ended = readEventStream(
      response,
      {},
      {
        // Before it said where to POST, nothing was asked.
        onMessage: (data) => (isOpen ? onMessage(data) : undefined),
        onEvent: ({ event, data }) => {
          if (event !== 'endpoint' || isOpen || data === undefined) return;
          isOpen = true;
          try {
            endpoint.resolve(checkedEndpoint(data, server.url));
          } catch (error) {
            endpoint.reject(error instanceof RemoteError ? error : new RemoteError('the server said no url to POST messages to'));
          }
        },
        onOverlong: (head) => isOpen && onOverlong(head),
        onDropped: (problem, event) => {
          log(`dropped ${problem}`);
          if (isOpen && event !== undefined) onOversize(event);
        },
      },
    ).then(() => endpoint.reject(new RemoteError('the server closed its stream before it said where to POST messages')));
    const close = (): void => {
      abort.abort();
      response.destroy();
    };
    try {
      return new LegacyStream(server, await endpoint.promise, ended, close);
    } catch (error) {
      close();
      throw error;
    } finally {
      clearTimeout(late);
    }
  }

  post(body: Buffer, signal: AbortSignal): Promise<IncomingMessage> {
    return this.#server.ask({ method: 'POST', url: this.#endpoint, headers: { 'content-type': 'application/json' }, body, signal });
  }

  close(): void {
    this.#close();
  }
}

/** Credentials go with every message: an endpoint elsewhere would be handed them. */
function checkedEndpoint(data: Buffer, base: URL): URL {
  const url = data.length > MAX_ENDPOINT_BYTES ? null : URL.parse(data.toString('utf8').trim(), base.href);
  if (url === null) throw new RemoteError('the server said no url to POST messages to');
  if (url.origin !== base.origin || url.username !== '' || url.password !== '') {
    throw new RemoteError(`the server said to POST messages to another origin, ${url.origin}, and not ${shownUrl(base)}; that is refused`);
  }
  return url;
}
