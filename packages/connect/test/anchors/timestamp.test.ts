import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { type AnchorContext, generateKey, parseNote, type Signer, signerFromPem, timestampsOf } from '@countersign/core';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { hasOpenssl, openssl, TestTsa, tlv, tokenOf, tstInfo } from '../../../core/test/fixtures/tsa.ts';
import { type TimestampOptions, timestampAnchor } from '../../src/index.ts';
import { reply, type TsaAnswer, type TsaServer, tsaServer } from './tsa-server.ts';

const ORIGIN = 'log.example/a';
const { privatePem } = generateKey(ORIGIN);
const signer: Signer = signerFromPem(privatePem, ORIGIN);

function note(size: number): string {
  const text = `${ORIGIN}\n${size}\n${Buffer.alloc(32, size).toString('base64')}\n`;
  const id = Buffer.from(signer.vkey.split('+')[1] ?? '', 'hex');
  return `${text}\n— ${ORIGIN} ${Buffer.concat([id, signer.sign(Buffer.from(text))]).toString('base64')}\n`;
}

const context = (signal: AbortSignal = new AbortController().signal): AnchorContext => ({
  signal,
  consistencyProof: () => Promise.reject(new Error('nobody needs a proof')),
});
const refused = (message: string | RegExp): unknown =>
  expect.objectContaining({ code: 'LEDGER_NOT_ANCHORED', message: expect.stringMatching(message) as string });

describe.skipIf(!hasOpenssl)('a timestamp authority', { timeout: 60_000 }, () => {
  let tsa: TestTsa;
  let certificates: string;

  beforeAll(() => {
    tsa = new TestTsa();
    certificates = tsa.of('root').file;
    tsa.issue('other-root', { as: 'authority' });
  });

  const anchored = async (size: number, { url }: TsaServer, more: Partial<TimestampOptions> = {}): Promise<string> =>
    (await timestampAnchor({ url, certificates, ...more }).publish(note(size), context())) as string;

  it('stamps the text of a checkpoint, and the token is kept as a line of it', async () => {
    const server = await tsaServer(tsa);
    expect(timestampAnchor({ url: server.url, certificates }).name).toMatch(/^rfc3161 127\.0\.0\.1:\d+\/tsr$/);
    const stamped = await anchored(1, server);
    expect(stamped.startsWith(note(1))).toBe(true);
    expect(parseNote(stamped)).toMatchObject({
      text: parseNote(note(1)).text,
      signatures: [{ name: ORIGIN }, { name: /\/tsr$/.exec(server.url) && new URL(server.url).host + '/tsr' }],
    });
    expect(timestampsOf(stamped, certificates)).toMatchObject([{ tsa: 'CN=tsa' }]);
    expect(timestampsOf(stamped, tsa.of('other-root').file)).toEqual([]);
  });

  it('is sent a hash, a nonce and nothing else', async () => {
    const server = await tsaServer(tsa);
    await anchored(1, server);
    await anchored(1, server);
    const [{ method, url, headers, body } = { method: '', url: '', headers: {}, body: Buffer.of() }, second] = server.seen;
    expect([method, url]).toEqual(['POST', '/tsr']);
    const names = Object.keys(headers).filter((name) => !name.startsWith('sec-fetch') && name !== 'accept-language');
    expect(names.toSorted()).toEqual(['accept', 'accept-encoding', 'connection', 'content-length', 'content-type', 'host', 'user-agent']);
    expect(headers).toMatchObject({ 'content-type': 'application/timestamp-query', 'user-agent': 'countersign' });
    writeFileSync(join(tsa.cwd, 'sent.tsq'), body);
    const text = openssl(tsa.cwd, 'ts', '-query', '-in', 'sent.tsq', '-text').toString();
    expect(text).toMatch(/Hash Algorithm: sha256[\s\S]*Policy OID: unspecified[\s\S]*Nonce: 0x[0-9A-F]{32}\nCertificate required: yes/);
    expect(body).not.toEqual(second?.body);
    expect(body).toHaveLength(second?.body.length ?? 0);
  });

  it('what is kept is what openssl verifies, as the documentation says', async () => {
    const stamped = await anchored(3, await tsaServer(tsa));
    writeFileSync(join(tsa.cwd, 'head.note'), stamped);
    // docs/formats/checkpoint.md, word for word.
    const commands = `sed '/^$/,$d' head.note > text
grep '^— 127.0.0.1' head.note | cut -d ' ' -f 3 | base64 -d | tail -c +5 > token.der
openssl ts -verify -data text -token_in -in token.der -CAfile root.pem`;
    const { execFileSync } = await import('node:child_process');
    expect(execFileSync('sh', ['-ec', commands], { cwd: tsa.cwd, stdio: ['ignore', 'pipe', 'pipe'] }).toString()).toContain(
      'Verification: OK',
    );
    const page = readFileSync(new URL('../../../../docs/formats/checkpoint.md', import.meta.url), 'utf8');
    expect(page).toContain(commands.replace('127.0.0.1', 'tsa.example'));
  });

  it('stamps under the policy that was asked for', async () => {
    const server = await tsaServer(tsa);
    expect(await anchored(1, server, { policy: '1.2.3.5' })).toContain(note(1));
    await expect(anchored(1, server, { policy: '1.2.3.6' })).rejects.toEqual(refused(/refused \(status 2\): it does not know the policy/));
  });

  const forging =
    (make: (nonce: Buffer, query: Buffer) => Buffer): TsaAnswer =>
    (response, query) =>
      reply(response, granted(make(nonceOf(query), query)));
  const now = (): string => new Date().toISOString().replaceAll(/[-T:]|\.\d+/g, '');
  const info = (nonce: Buffer, more: Partial<Parameters<typeof tstInfo>[0]> = {}): Buffer =>
    tstInfo({ text: parseNote(note(2)).text, time: now(), tail: [nonce], ...more });

  const answers: [string, RegExp, () => TsaAnswer | readonly TsaAnswer[]][] = [
    [
      'a token over another checkpoint',
      /over something else/,
      () => forging((nonce) => tsa.forge(info(nonce, { text: parseNote(note(1)).text }))),
    ],
    ['a token with another nonce', /another nonce/, () => forging(() => tsa.forge(info(tlv(2, Buffer.alloc(16, 0x41)))))],
    ['a token without a nonce', /another nonce/, () => forging(() => tsa.forge(info(Buffer.of())))],
    ['a token of another authority', /no certificate given vouches for/, () => forging((nonce) => otherTsa().forge(info(nonce)))],
    [
      'a token of a certificate for anything',
      /not for timestamps alone/,
      () => forging((nonce) => tsa.forge(info(nonce), { by: issued('no_use') })),
    ],
    ['a token of yesterday and more', /more than a day off/, () => forging((nonce) => tsa.forge(info(nonce, { time: '20210101000000Z' })))],
    ['a token of a time to come', /more than a day off/, () => forging((nonce) => tsa.forge(info(nonce, { time: '20440101000000Z' })))],
    ['a rejection', /refused \(status 2\): it could not read the request$/, () => (r) => reply(r, status(2, 5))],
    [
      'a rejection with words of its own',
      /refused \(status 2\)$/,
      () => (r) => reply(r, tlv(0x30, tlv(0x30, tlv(2, Buffer.of(2)), tlv(0x30, tlv(0x0c, Buffer.from('secret-of-the-tsa\u001b[2J')))))),
    ],
    ['waiting', /refused \(status 3\)/, () => (r) => reply(r, status(3))],
    ['granted without a token', /malformed: it holds something else/, () => (r) => reply(r, status(0))],
    ['a token alone, without a status', /malformed/, () => (r, query) => reply(r, tokenOf(tsa.reply(query)))],
    ['more behind its answer', /malformed: it holds more/, () => (r, query) => reply(r, Buffer.concat([tsa.reply(query), Buffer.of(0)]))],
    ['half an answer', /malformed: it ends too early/, () => (r, query) => reply(r, tsa.reply(query).subarray(0, 300))],
    ['nothing', /malformed/, () => (r) => reply(r, Buffer.of())],
    ['a web page', /is not application\/timestamp-reply/, () => (r, query) => reply(r, tsa.reply(query), 'text/html')],
    ['no type', /is not application\/timestamp-reply/, () => (r, query) => void r.writeHead(200).end(tsa.reply(query))],
    ['a body without end', /more than 65536 bytes/, () => flood],
    [
      'a large body, zipped small',
      /more than 65536 bytes/,
      () => (r) =>
        void r
          .writeHead(200, { 'content-type': 'application/timestamp-reply', 'content-encoding': 'gzip' })
          .end(gzipSync(Buffer.alloc(10_000_000))),
    ],
    ['a redirect', /redirect, which is never followed/, () => (r) => void r.writeHead(307, { location: '/tsr' }).end()],
    ['status 500', /answered with status 500/, () => (r) => void r.writeHead(500).end('secret-of-the-tsa')],
    [
      'status 201',
      /answered with status 201/,
      () => (r, query) => void r.writeHead(201, { 'content-type': 'application/timestamp-reply' }).end(tsa.reply(query)),
    ],
    ['a broken connection', /closed the connection/, () => [(r) => void r.destroy(), (r) => void r.destroy()]],
    [
      'a body that breaks off',
      /broke off/,
      () => (r) =>
        void r.writeHead(200, { 'content-type': 'application/timestamp-reply', 'content-length': '500' }).write('0', () => r.destroy()),
    ],
  ];

  it.each(answers)('that answers %s is refused', async (_name, message, make) => {
    const server = await tsaServer(tsa);
    server.instead.push(...[make()].flat());
    const error: unknown = await anchored(2, server).catch((thrown: unknown) => thrown);
    expect(error).toEqual(refused(message));
    expect(String(error)).not.toMatch(/secret-of-the-tsa|\u001b/);
    // And the next one is taken.
    expect(await anchored(2, server)).toContain(note(2));
  });

  it('is not taken by an answer to an earlier question, or about an earlier head', async () => {
    const server = await tsaServer(tsa);
    const given: Buffer[] = [];
    server.instead.push((response, query) => {
      given.push(tsa.reply(query));
      reply(response, given[0] as Buffer);
    });
    await anchored(2, server);
    for (const [size, message] of [
      [2, /another nonce/],
      [3, /over something else/],
    ] as const) {
      server.instead.push((response) => reply(response, given[0] as Buffer));
      await expect(anchored(size, server)).rejects.toEqual(refused(message));
    }
  });

  it('that is slow is given up, after the time set or when the caller says so', async () => {
    const server = await tsaServer(tsa);
    server.instead.push(
      () => {},
      () => {},
      (response) => void response.writeHead(200, { 'content-type': 'application/timestamp-reply' }).write('0'),
    );
    await expect(anchored(1, server, { timeoutMs: 20 })).rejects.toEqual(refused('within 20 ms'));
    const stop = new AbortController();
    const running = timestampAnchor({ url: server.url, certificates }).publish(note(1), context(stop.signal));
    stop.abort();
    await expect(running).rejects.toEqual(refused('given up'));
    await expect(anchored(1, server, { timeoutMs: 100 })).rejects.toEqual(refused('within 100 ms'));
  });

  describe('before anything is sent', () => {
    it.each<[string, Partial<TimestampOptions>]>([
      ['plain http to another host', { url: 'http://tsa.example' }],
      ['another scheme', { url: 'file:///etc/passwd' }],
      ['no URL', { url: 'tsa.example' }],
      ['credentials', { url: 'https://me:hunter2@tsa.example' }],
      ['a query', { url: 'https://tsa.example/?token=hunter2' }],
      ['a URL too long for a name', { url: `https://tsa.example/${'a'.repeat(300)}` }],
      ['a policy in words', { policy: 'best' }],
      ['a policy of nowhere', { policy: '1.40.1' }],
      ['a time of nothing', { timeoutMs: 0 }],
      ['a time without end', { timeoutMs: Number.POSITIVE_INFINITY }],
    ])('%s is refused', (_name, options) => {
      const make = (): unknown => timestampAnchor({ url: 'https://tsa.example', certificates, ...options });
      expect(make).toThrow(expect.objectContaining({ code: 'OPTIONS_INVALID' }));
      expect(make).not.toThrow(/hunter2/);
    });

    it('certificates that are not there, or none, are refused', () => {
      const make =
        (file: string): (() => unknown) =>
        () =>
          timestampAnchor({ url: 'https://tsa.example', certificates: join(tsa.cwd, file) });
      writeFileSync(join(tsa.cwd, 'empty.pem'), '');
      expect(make('nowhere.pem')).toThrow(expect.objectContaining({ code: 'CONFIG_NOT_FOUND' }));
      expect(make('empty.pem')).toThrow(expect.objectContaining({ code: 'OPTIONS_INVALID' }));
      expect(make('root.key')).toThrow(expect.objectContaining({ code: 'OPTIONS_INVALID' }));
      expect(make('.')).toThrow(expect.objectContaining({ code: 'OPTIONS_INVALID' }));
    });

    it('plain http to another host is there for who asks for it, and names may hold no plus', () => {
      expect(timestampAnchor({ url: 'http://tsa.example/a+b/', certificates, allowInsecure: true }).name).toBe('rfc3161 tsa.example/a%2Bb');
    });

    it('an unsigned checkpoint is refused', async () => {
      const server = await tsaServer(tsa);
      const publish = timestampAnchor({ url: server.url, certificates }).publish(parseNote(note(1)).text, context());
      await expect(publish).rejects.toEqual(refused('no signed checkpoint'));
      expect(server.seen).toHaveLength(0);
    });

    it('certificate checks switched off in the environment are refused', async () => {
      vi.stubEnv('NODE_TLS_REJECT_UNAUTHORIZED', '0');
      const asked = timestampAnchor({ url: 'https://127.0.0.1:1', certificates }).publish(note(1), context());
      await expect(asked).rejects.toEqual(refused('switches certificate checks off'));
      vi.unstubAllEnvs();
    });
  });

  let other: TestTsa | undefined;
  function otherTsa(): TestTsa {
    other ??= new TestTsa();
    return other;
  }

  const made = new Set<string>();
  function issued(as: string): string {
    if (!made.has(as)) tsa.issue(as, { by: 'root', as });
    made.add(as);
    return as;
  }
});

/** PKIStatusInfo alone, with a bit of PKIFailureInfo. */
function status(value: number, bit?: number): Buffer {
  const bits = bit === undefined ? [] : [tlv(3, Buffer.of(7 - (bit % 8)), Buffer.alloc(bit >> 3), Buffer.of(0x80 >> (bit % 8)))];
  return tlv(0x30, tlv(0x30, tlv(2, Buffer.of(value)), ...bits));
}

function granted(token: Uint8Array): Buffer {
  return tlv(0x30, tlv(0x30, tlv(2, Buffer.of(0))), token);
}

/** INTEGER of 16 bytes, before the BOOLEAN that ends the request. */
function nonceOf(query: Buffer): Buffer {
  return query.subarray(-21, -3);
}

const flood: TsaAnswer = (response) => {
  response.writeHead(200, { 'content-type': 'application/timestamp-reply' });
  const more = (): void => {
    while (!response.destroyed && response.write(Buffer.alloc(10_000)));
    if (!response.destroyed) response.once('drain', more);
  };
  more();
};
