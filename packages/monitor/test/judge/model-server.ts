/** A server that speaks the chat API of Ollama over a real socket, and misbehaves as a test wants. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';

export interface Asked {
  readonly method: string;
  readonly url: string;
  readonly body: Readonly<Record<string, unknown>>;
}

export interface ModelServer {
  readonly url: string;
  /** Chat requests so far. */
  readonly asked: readonly Asked[];
}

export type Behaviour = (asked: Asked, response: ServerResponse, request: IncomingMessage) => void | Promise<void>;

export async function modelServer(
  behave: Behaviour,
  tags: unknown = { models: [{ name: 'qwen3:4b', model: 'qwen3:4b' }] },
): Promise<ModelServer> {
  const asked: Asked[] = [];
  const server = createServer((request, response) => {
    void (async () => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      const text = Buffer.concat(chunks).toString();
      const one: Asked = { method: request.method ?? '', url: request.url ?? '', body: text === '' ? {} : JSON.parse(text) };
      if (one.url.endsWith('/api/tags')) return json(response, tags);
      asked.push(one);
      await behave(one, response, request);
    })();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    return new Promise<void>((resolve) => server.close(() => resolve()));
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked };
}

export function json(response: ServerResponse, value: unknown, status = 200, headers: Readonly<Record<string, string>> = {}): void {
  response.writeHead(status, { 'content-type': 'application/json; charset=utf-8', ...headers });
  response.end(typeof value === 'string' ? value : JSON.stringify(value));
}

/** As Ollama answers. */
export function chat(content: unknown, more: object = {}): object {
  const message = { role: 'assistant', content: typeof content === 'string' ? content : JSON.stringify(content) };
  return {
    model: 'qwen3:4b',
    created_at: '2026-01-02T03:04:05.1Z',
    message,
    done_reason: 'stop',
    done: true,
    total_duration: 2254970291,
    ...more,
  };
}

/** Always says this. */
export function says(content: unknown, more: object = {}): Behaviour {
  return (_, response) => json(response, chat(content, more));
}
