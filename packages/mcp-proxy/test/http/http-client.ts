/** A client over HTTP with its hands on every byte: one POST, GET or DELETE and what came back of it. */
import { type IncomingMessage, request } from 'node:http';
import { isObject, type JsonObject } from '../../src/message.ts';
import { EventReader } from '../../src/sse.ts';

export interface Got {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  /** Messages in the order they came; of a stream, with the ids of their events. */
  readonly messages: readonly JsonObject[];
  readonly ids: readonly string[];
  readonly body: string;
}

export class Exchange {
  readonly done: Promise<Got>;
  readonly messages: JsonObject[] = [];
  readonly ids: string[] = [];
  readonly #request: ReturnType<typeof request>;
  #wake: () => void = () => {};

  constructor(url: string, method: string, headers: Record<string, string> = {}, body?: string) {
    this.#request = request(url, {
      method,
      agent: false,
      headers: {
        accept: 'application/json, text/event-stream',
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...headers,
      },
    });
    this.done = new Promise((resolve, reject) => {
      this.#request.once('error', reject);
      this.#request.once('response', (response) => void this.#read(response).then(resolve, reject));
    });
    // Whoever waits for `done` still gets the error; a test that hangs up waits for nothing, and must not end the runner.
    this.done.catch(() => undefined);
    this.#request.end(body);
  }

  async #read(response: IncomingMessage): Promise<Got> {
    const reader = new EventReader();
    const isStream = response.headers['content-type']?.startsWith('text/event-stream') === true;
    const chunks: Buffer[] = [];
    for await (const chunk of response as AsyncIterable<Buffer>) {
      chunks.push(chunk);
      if (!isStream) continue;
      for (const piece of reader.push(chunk)) {
        if (piece.kind !== 'event') continue;
        if (piece.id !== undefined) this.ids.push(piece.id);
        if (piece.data !== undefined && piece.data.length > 0) this.#take(piece.data.toString());
      }
      this.#wake();
    }
    const body = Buffer.concat(chunks).toString();
    if (!isStream && body !== '') this.#take(body);
    this.#wake();
    return { status: response.statusCode ?? 0, headers: response.headers, messages: this.messages, ids: this.ids, body };
  }

  #take(text: string): void {
    const message: unknown = JSON.parse(text);
    if (isObject(message)) this.messages.push(message);
  }

  /** Resolves once that is so. */
  async until(claim: (exchange: Exchange) => boolean): Promise<void> {
    while (!claim(this))
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
  }

  hangUp(): void {
    this.#request.destroy();
  }
}
