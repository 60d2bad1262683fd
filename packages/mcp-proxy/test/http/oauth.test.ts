/** A server that asks for a token: its clients find the way to one through the proxy. */
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Client as ClientV2, StreamableHTTPClientTransport as TransportV2 } from '@modelcontextprotocol/client';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { Harness } from './harness.ts';
import { json } from './recording-upstream.ts';

const TOKEN = 'acc3ss';
let http: Harness;
let issuer: string;
/** What the authorization server was asked for a token for. */
let resources: string[];

beforeEach(async () => {
  resources = [];
  http = await new Harness().start();
  const server = createServer((request, response) => void authorization(request.url ?? '', request, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  http.later(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  const { origin } = http.upstream;
  http.upstream.answer = ({ target, headers, body, method }, response) => {
    if (target === '/.well-known/oauth-protected-resource/mcp')
      return json(response, `{ "resource": "${origin}/mcp",\n "authorization_servers": ["${issuer}"], "x": 1.0 }`);
    if (target !== '/mcp') return json(response, {}, 404);
    if (headers.authorization !== `Bearer ${TOKEN}`) {
      const challenge = `Bearer error="invalid_token", resource_metadata="${origin}/.well-known/oauth-protected-resource/mcp"`;
      return json(response, { error: 'invalid_token' }, 401, { 'www-authenticate': challenge });
    }
    if (method !== 'POST') return json(response, {}, 405);
    const message = JSON.parse(body.toString()) as { id?: unknown; method: string };
    if (message.id === undefined) return void response.writeHead(202).end();
    const about = { protocolVersion: '2025-11-25', capabilities: { tools: {} }, serverInfo: { name: 's', version: '1' } };
    json(response, {
      jsonrpc: '2.0',
      id: message.id,
      result: message.method === 'initialize' ? about : { content: [{ type: 'text', text: 'done' }] },
    });
  };
});
afterEach(() => http.stop());

async function authorization(target: string, request: AsyncIterable<Buffer>, response: ServerResponse): Promise<void> {
  const url = new URL(target, issuer);
  if (url.pathname === '/.well-known/oauth-authorization-server')
    return json(response, {
      issuer,
      authorization_endpoint: `${issuer}/authorize`,
      token_endpoint: `${issuer}/token`,
      registration_endpoint: `${issuer}/register`,
      response_types_supported: ['code'],
      code_challenge_methods_supported: ['S256'],
    });
  let body = '';
  for await (const chunk of request) body += chunk.toString();
  if (url.pathname === '/register') return json(response, { ...(JSON.parse(body) as object), client_id: 'c1' }, 201);
  if (url.pathname !== '/token') return json(response, {}, 404);
  resources.push(new URLSearchParams(body).get('resource') ?? '');
  json(response, { access_token: TOKEN, token_type: 'Bearer', refresh_token: 'r3fresh' });
}

/** Keeps what it is given, like the memory of an application. */
function provider(): { readonly asked: URL[]; readonly provider: never } {
  const asked: URL[] = [];
  const kept = new Map<string, unknown>();
  const given = {
    redirectUrl: 'http://localhost:1/back',
    clientMetadata: { redirect_uris: ['http://localhost:1/back'], client_name: 't' },
    clientInformation: () => kept.get('client'),
    saveClientInformation: (value: unknown) => void kept.set('client', value),
    tokens: () => kept.get('tokens'),
    saveTokens: (value: unknown) => void kept.set('tokens', value),
    codeVerifier: () => kept.get('verifier'),
    saveCodeVerifier: (value: unknown) => void kept.set('verifier', value),
    redirectToAuthorization: (url: URL) => void asked.push(url),
  };
  return { asked, provider: given as never };
}

it.each([
  ['v1', Client, StreamableHTTPClientTransport],
  ['v2', ClientV2, TransportV2],
] as const)('a client of %s gets its token and calls a tool', async (_name, AnyClient, AnyTransport) => {
  const { asked, provider: authProvider } = provider();
  const url = new URL(http.proxy.url);
  const first = new AnyTransport(url, { authProvider });
  await expect(new AnyClient({ name: 't', version: '1' }).connect(first as never)).rejects.toThrow(/unauthorized/i);
  expect(asked[0]?.origin).toBe(issuer);
  // Clients hold the resource against the address they know, and ask for a token for that.
  expect(asked[0]?.searchParams.get('resource')).toBe(http.proxy.url);
  await first.finishAuth('code');
  expect(resources).toEqual([http.proxy.url]);
  const client = new AnyClient({ name: 't', version: '1' });
  await client.connect(new AnyTransport(url, { authProvider }));
  http.later(() => client.close());
  expect(await client.callTool({ name: 'read', arguments: {} })).toMatchObject({ content: [{ text: 'done' }] });
  expect(http.guard.outcomes).toMatchObject([{ outcome: { status: 'success' } }]);
  expect(JSON.stringify([http.logged, http.guard.calls, http.guard.refusals, http.guard.outcomes])).not.toMatch(/acc3ss|r3fresh/);
});

async function get(path: string): Promise<{ readonly status: number; readonly text: string; readonly head: Headers }> {
  const response = await fetch(new URL(path, http.proxy.url), { redirect: 'manual' });
  return { status: response.status, text: await response.text(), head: response.headers };
}

it('the metadata names the proxy where it named the server, and keeps every other byte', async () => {
  const { status, text } = await get('/.well-known/oauth-protected-resource/mcp');
  expect(status).toBe(200);
  expect(text).toBe(`{ "resource": "${http.proxy.url}",\n "authorization_servers": ["${issuer}"], "x": 1.0 }`);
  const challenged = await fetch(http.proxy.url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{"jsonrpc":"2.0","id":1,"method":"ping"}',
  });
  expect(challenged.headers.get('www-authenticate')).toBe(
    `Bearer error="invalid_token", resource_metadata="${new URL(http.proxy.url).origin}/.well-known/oauth-protected-resource/mcp"`,
  );
});

it.each([
  ['of another server', '{"resource":"https://other.example/mcp"}'],
  ['of a name that begins like it', '{"resource":"ORIGIN.attacker.example/mcp"}'],
  ['that is no text', '{"resource":["ORIGIN/mcp"]}'],
  ['given twice', '{"resource":"ORIGIN/mcp","resource":"ORIGIN/mcp"}'],
  ['in what is no JSON', '"resource":"ORIGIN/mcp"'],
])('a resource %s passes as it is', async (_what, text) => {
  const body = text.replaceAll('ORIGIN', http.upstream.origin);
  http.upstream.answer = (_received, response) => json(response, body);
  expect((await get('/.well-known/oauth-protected-resource')).text).toBe(body);
});

it.each([
  ['/.well-known/oauth-protected-resource', 404],
  ['/.well-known/oauth-authorization-server', 404],
  ['/.well-known/openid-configuration/mcp', 404],
])('%s is asked of the server', async (path, status) => {
  expect((await get(path)).status).toBe(status);
  expect(http.upstream.received.map(({ target }) => target)).toEqual([path]);
});

it.each(['/.well-known/other', '/.well-known/oauth-protected-resourcex', '/token', '/'])('%s is not', async (path) => {
  expect((await get(path)).status).toBe(404);
  expect(http.upstream.received).toEqual([]);
});

it('metadata that are too large, broken off or not there are refused', async () => {
  for (const answer of [
    (response: ServerResponse) => void response.writeHead(200, { 'content-type': 'application/json' }).end(' '.repeat(1_048_577)),
    (response: ServerResponse) => void response.writeHead(200, { 'content-length': '10' }).write('{', () => response.destroy()),
    (response: ServerResponse) => void response.destroy(),
  ]) {
    http.upstream.answer = (_received, response) => answer(response);
    expect((await get('/.well-known/oauth-protected-resource/mcp')).status).toBe(502);
  }
});
