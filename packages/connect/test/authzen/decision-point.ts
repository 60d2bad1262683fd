import type { IncomingHttpHeaders, IncomingMessage, Server, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import type { PolicyInput } from '@countersign/core';
import { onTestFinished } from 'vitest';

export interface Received {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export interface DecisionPoint {
  readonly url: string;
  readonly received: readonly Received[];
}

export type Answer = (response: ServerResponse, request: IncomingMessage, count: number) => void;

/** A decision point on 127.0.0.1 that lives as long as the test. `count` of the first request is 1. */
export async function decisionPoint(answer: Answer): Promise<DecisionPoint> {
  const received: Received[] = [];
  const server = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8');
    request.on('data', (text: string) => {
      body += text;
    });
    request.on('end', () => {
      received.push({ method: request.method ?? '', url: request.url ?? '', headers: request.headers, body });
      answer(response, request, received.length);
    });
  });
  onTestFinished(() => stop(server));
  return { url: `http://127.0.0.1:${await listen(server)}`, received };
}

/** A port of 127.0.0.1 where nobody listens any more. */
export async function freePort(): Promise<number> {
  const server = createServer();
  const port = await listen(server);
  await stop(server);
  return port;
}

async function listen(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the server has no port');
  return address.port;
}

function stop(server: Server): Promise<void> {
  server.closeAllConnections();
  return new Promise((resolve) => server.close(() => resolve()));
}

/** Answers 200 with a value as JSON, or with text as it is. */
export function json(value: unknown, headers: Record<string, string> = {}): Answer {
  return (response) => {
    response.writeHead(200, { 'content-type': 'application/json', ...headers });
    response.end(typeof value === 'string' ? value : JSON.stringify(value));
  };
}

export function policyInput(change: Partial<PolicyInput> = {}): PolicyInput {
  return {
    tool: { server: 'shop', name: 'refund' },
    args: { amount: 12, note: '[redacted:jwt]' },
    findings: [{ kind: 'jwt', pointer: '/note' }],
    agent: 'billing-bot',
    principal: 'ana',
    session: { id: 's1', labels: ['untrusted'], halted: false, startedAtMs: 0, version: 1 },
    mode: 'enforce',
    atMs: Date.UTC(2026, 0, 2, 3, 4, 5),
    raw: () => {
      throw new Error('a decision point must never see raw arguments');
    },
    ...change,
  };
}
