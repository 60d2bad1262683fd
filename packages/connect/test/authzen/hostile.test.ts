/** A decision point that is hostile on the wire. Whatever it sends, the call is denied, in time, and nothing of it is repeated. */
import { createServer as createTlsServer } from 'node:https';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib';
import type { PolicyVerdict } from '@countersign/core';
import { describe, expect, it, onTestFinished } from 'vitest';
import { KEY, RIGHT_HOST, WRONG_HOST } from '../../../core/test/fixtures/certificates.ts';
import { authzenPolicy } from '../../src/authzen/client.ts';
import { decisionPoint, json, policyInput } from './decision-point.ts';

const ALLOW = '{"decision":true}';
const OK = 'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n';

async function listening(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  return (server.address() as AddressInfo).port;
}

/** Sends what `respond` writes, once a whole request has come in. */
async function ask(respond: (socket: Socket) => void, timeoutMs = 2_000): Promise<PolicyVerdict> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    let seen = '';
    let isAnswered = false;
    socket.setEncoding('latin1').on('data', (chunk: string) => {
      seen += chunk;
      if (isAnswered || !seen.endsWith('}}')) return;
      isAnswered = true;
      respond(socket);
    });
    socket.on('error', () => {});
  });
  const port = await listening(server);
  try {
    return await authzenPolicy({ url: `http://127.0.0.1:${port}`, timeoutMs }).evaluate(policyInput());
  } finally {
    for (const socket of sockets) socket.destroy();
  }
}

function write(text: string): (socket: Socket) => void {
  return (socket) => void socket.end(text, 'latin1');
}

function denied(reason: RegExp): unknown {
  return { effect: 'deny', always: true, reasonCode: 'POLICY_EVALUATION_FAILED', reason: expect.stringMatching(reason) };
}

it('the server of these tests can say yes', async () => {
  expect(await ask(write(`${OK}Content-Length: ${ALLOW.length}\r\n\r\n${ALLOW}`))).toEqual({
    effect: 'allow',
    reasonCode: 'POLICY_ALLOW_LOW_RISK',
  });
});

describe('slow and endless', () => {
  /** Until the socket is gone. */
  function drip(head: string, piece: string, everyMs: number): (socket: Socket) => void {
    return (socket) => {
      socket.write(head);
      const timer = setInterval(() => socket.write(piece), everyMs);
      socket.on('close', () => clearInterval(timer));
    };
  }

  it.each<[string, (socket: Socket) => void]>([
    ['headers, a byte at a time', drip('HTTP/1.1 200 OK\r\nX-Slow: ', 'a', 5)],
    ['a body, a byte at a time', drip(`${OK}Content-Length: 60000\r\n\r\n`, ' ', 5)],
    ['chunks for ever', drip(`${OK}Transfer-Encoding: chunked\r\n\r\n`, '1\r\n \r\n', 5)],
    ['100 Continue for ever', drip('', 'HTTP/1.1 100 Continue\r\n\r\n', 5)],
    ['the answer, and then no end', drip(`${OK}\r\n${ALLOW}`, ' ', 5)],
    ['nothing at all', () => {}],
  ])('%s', async (_name, respond) => {
    expect(await ask(respond, 150)).toEqual(denied(/did not answer within 150 ms|closed the connection|cannot be reached/));
  });

  it('chunks faster than anybody can read', async () => {
    const flood = (socket: Socket): void => {
      socket.write(`${OK}Transfer-Encoding: chunked\r\n\r\n`);
      const more = (): void => {
        while (!socket.destroyed && socket.write(`4000\r\n${' '.repeat(0x4000)}\r\n`));
        socket.once('drain', more);
      };
      more();
    };
    expect(await ask(flood)).toEqual(denied(/more than 65536 bytes/));
  });
});

describe('broken off', () => {
  it.each<[string, (socket: Socket) => void]>([
    ['in the headers', write('HTTP/1.1 200 OK\r\nContent-Ty')],
    ['in the body', write(`${OK}Content-Length: 100\r\n\r\n${ALLOW}`)],
    ['in a chunk', write(`${OK}Transfer-Encoding: chunked\r\n\r\n64\r\n${ALLOW}`)],
    ['before the last chunk', write(`${OK}Transfer-Encoding: chunked\r\n\r\n11\r\n${ALLOW}\r\n`)],
    ['by a reset in the body', (socket) => void socket.write(`${OK}Content-Length: 100\r\n\r\n${ALLOW}`, () => socket.resetAndDestroy())],
  ])('%s', async (_name, respond) => {
    expect(await ask(respond)).toEqual(denied(/broke off its answer|closed the connection without an answer|cannot be reached/));
  });
});

describe('answers that two readers read differently', () => {
  const DENY = '{"decision":false}';

  it.each<[string, string]>([
    ['two lengths', `${OK}Content-Length: 17\r\nContent-Length: 18\r\n\r\n${DENY}`],
    ['a length beside chunks', `${OK}Content-Length: 17\r\nTransfer-Encoding: chunked\r\n\r\n11\r\n${ALLOW}\r\n0\r\n\r\n`],
    ['a length that is none', `${OK}Content-Length: +17\r\n\r\n${ALLOW}`],
    ['a length in hex', `${OK}Content-Length: 0x11\r\n\r\n${ALLOW}`],
    ['a chunk size that is none', `${OK}Transfer-Encoding: chunked\r\n\r\nzz\r\n${ALLOW}\r\n0\r\n\r\n`],
    ['a bare carriage return in a header', `HTTP/1.1 200 OK\r\nX: a\rContent-Type: application/json\r\nContent-Length: 17\r\n\r\n${ALLOW}`],
    ['a NUL in a header', `${OK}X: a\0b\r\nContent-Length: 17\r\n\r\n${ALLOW}`],
    ['a space before the colon', `HTTP/1.1 200 OK\r\nContent-Type : application/json\r\nContent-Length: 17\r\n\r\n${ALLOW}`],
    ['two types', `${OK}Content-Type: text/html\r\nContent-Length: 17\r\n\r\n${ALLOW}`],
    ['two request ids', `${OK}X-Request-Id: a\r\nX-Request-Id: b\r\nContent-Length: 17\r\n\r\n${ALLOW}`],
    ['an empty request id', `${OK}X-Request-Id:\r\nContent-Length: 17\r\n\r\n${ALLOW}`],
    ['no HTTP', ALLOW],
    ['a version there is not', `HTTP/7.3 200 OK\r\nContent-Type: application/json\r\nContent-Length: 17\r\n\r\n${ALLOW}`],
    ['another protocol', `HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n${ALLOW}`],
    ['an early hint and no answer', 'HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n'],
    ['headers without end', `${OK}X: ${'a'.repeat(100_000)}\r\n\r\n${ALLOW}`],
    ['a part of it', `HTTP/1.1 206 Partial Content\r\nContent-Type: application/json\r\nContent-Length: 17\r\n\r\n${ALLOW}`],
    ['an encoding that is none', `${OK}Content-Encoding: rot13\r\nContent-Length: 17\r\n\r\n{"qrpvfvba":gehr}`],
    ['an encoding that it does not have', `${OK}Content-Encoding: gzip\r\nContent-Length: 17\r\n\r\n${ALLOW}`],
  ])('%s', async (_name, text) => {
    expect(await ask(write(text), 500)).toMatchObject({ effect: 'deny', always: true, reasonCode: 'POLICY_EVALUATION_FAILED' });
  });

  it('a second answer behind the first is read by nobody', async () => {
    const two = `${OK}Content-Length: ${DENY.length}\r\n\r\n${DENY}${OK}Content-Length: ${ALLOW.length}\r\n\r\n${ALLOW}`;
    expect(await ask(write(two))).toMatchObject({ effect: 'deny' });
  });

  it.each([
    ['a name twice, the better one last', '{"decision":false,"decision":true}'],
    ['a name twice, the better one first', '{"decision":true,"decision":false}'],
    ['a name twice, spelled differently', '{"decision":false,"\\u0064ecision":true}'],
    ['a name twice, deep inside', '{"decision":true,"trace":{"a":1,"a":2}}'],
    ['__proto__', '{"decision":true,"__proto__":{}}'],
    ['a byte order mark', '\ufeff{"decision":true}'],
    ['NaN', '{"decision":true,"n":NaN}'],
    ['a comment', '{"decision":true}//'],
    ['a number that no double holds', '{"decision":true,"n":12345678901234567890}'],
    ['65 levels', `{"decision":true,"a":${'['.repeat(65)}${']'.repeat(65)}}`],
  ])('JSON with %s', async (_name, text) => {
    const { url } = await decisionPoint(json(text));
    expect(await authzenPolicy({ url }).evaluate(policyInput())).toEqual(denied(/answered with invalid JSON$/));
  });
});

describe('what grows when it is read', () => {
  const large = `{"decision":true,"pad":"${'x'.repeat(20_000_000)}"}`;

  it.each([
    ['gzip', gzipSync(large)],
    ['deflate', deflateSync(large)],
    ['br', brotliCompressSync(large)],
    ['gzip, gzip', gzipSync(gzipSync(large))],
  ])('%s is cut where the limit is', async (encoding, body) => {
    const { url } = await decisionPoint((response) => {
      response.writeHead(200, { 'content-type': 'application/json', 'content-encoding': encoding });
      response.end(body);
    });
    expect(body.length).toBeLessThan(65_536);
    expect(await authzenPolicy({ url }).evaluate(policyInput())).toEqual(denied(/more than 65536 bytes|invalid JSON|broke off/));
  });
});

describe('TLS', () => {
  async function tlsPoint(cert: string): Promise<string> {
    const server = createTlsServer({ key: KEY, cert }, (_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' }).end(ALLOW);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => {
      server.closeAllConnections();
      server.close();
    });
    return `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  function trusting(certificates: readonly string[]): void {
    const before = getCACertificates('default');
    setDefaultCACertificates([...before, ...certificates]);
    onTestFinished(() => setDefaultCACertificates(before));
  }

  it('with a certificate that nobody signed', async () => {
    const url = await tlsPoint(RIGHT_HOST);
    expect(await authzenPolicy({ url }).evaluate(policyInput())).toEqual(denied(/could not prove its identity: TLS failed$/));
    expect(await authzenPolicy({ url, allowInsecure: true }).evaluate(policyInput())).toEqual(denied(/TLS failed$/));
  });

  it('with a trusted certificate of another host', async () => {
    trusting([RIGHT_HOST, WRONG_HOST]);
    const wrong = await tlsPoint(WRONG_HOST);
    expect(await authzenPolicy({ url: wrong }).evaluate(policyInput())).toEqual(denied(/could not prove its identity: TLS failed$/));
    // And with its own it is taken: the certificate was what made the difference.
    expect(await authzenPolicy({ url: await tlsPoint(RIGHT_HOST) }).evaluate(policyInput())).toMatchObject({ effect: 'allow' });
  });
});
