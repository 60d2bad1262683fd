/** A server over TLS: trusted only if its certificate is. */
import { createServer } from 'node:https';
import { afterEach, expect, it } from 'vitest';
import { KEY, RIGHT_HOST, WRONG_HOST } from '../../../core/test/fixtures/certificates.ts';
import { startHttpProxy } from '../../src/http/http-proxy.ts';
import { HttpUpstream } from '../../src/http/upstream-http.ts';
import { FakeGuard } from '../fake-guard.ts';
import { call, wholeAnswer } from './harness.ts';
import { post, RawClient } from './raw.ts';
import { RecordingUpstream } from './recording-upstream.ts';

const open: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

it.each([
  ['its own authority, when that is trusted', RIGHT_HOST, RIGHT_HOST, 200],
  ['its own authority, when nobody said so', RIGHT_HOST, undefined, 502],
  ['another authority than the one that is trusted', WRONG_HOST, RIGHT_HOST, 502],
  ['a certificate of another host, although it is trusted', WRONG_HOST, WRONG_HOST, 502],
])('with %s', async (_what, cert, ca, status) => {
  const upstream = await RecordingUpstream.start((listener) => createServer({ key: KEY, cert }, listener));
  open.push(() => upstream.close());
  const guard = new FakeGuard();
  const url = upstream.url.replace('http:', 'https:');
  const proxy = await startHttpProxy({
    guard: async () => guard,
    server: 'web',
    url,
    port: 0,
    log: () => {},
    ...(ca !== undefined && { ca }),
  });
  open.push(() => proxy.close());
  const client = new RawClient(proxy.port);
  const answer = await wholeAnswer(client.send(post(call(1, 'read'), ['connection: close', 'authorization: Bearer t0ken'])));
  expect(answer.status).toBe(status);
  expect(upstream.received).toHaveLength(status === 200 ? 1 : 0);
  expect(guard.outcomes).toMatchObject([{ outcome: { status: status === 200 ? 'success' : 'error' } }]);
});

it.each([
  ['no URL', { url: 'mcp.example.com' }],
  ['another protocol', { url: 'ftp://mcp.example.com/' }],
  ['credentials', { url: 'https://us3r:p4ss@mcp.example.com/' }],
  ['a header over two lines', { url: 'https://mcp.example.com/', headers: { 'X-A': 'p4ss\r\nX-B: 1' } }],
  ['a name that is none', { url: 'https://mcp.example.com/', headers: { 'X A': 'p4ss' } }],
  ['the length of a body', { url: 'https://mcp.example.com/', headers: { 'Content-Length': '1' } }],
  ['a session', { url: 'https://mcp.example.com/', headers: { 'Mcp-Session-Id': 'p4ss' } }],
])('a configuration with %s is refused without repeating it', (_what, options) => {
  const make = (): HttpUpstream => new HttpUpstream(options);
  expect(make).toThrow(expect.objectContaining({ code: 'OPTIONS_INVALID' }));
  expect(make).not.toThrow(/p4ss|us3r/);
});
