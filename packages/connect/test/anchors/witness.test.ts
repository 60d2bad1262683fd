import { createHash } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { gzipSync } from 'node:zlib';
import { type AnchorContext, generateKey, parseNote, type Signer, signerFromPem, verifyCheckpoint } from '@countersign/core';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { witnessAnchor } from '../../src/index.ts';
import { type Answer, knows, type TestWitness, testWitness, witnessKey } from './witness-server.ts';

const ORIGIN = 'log.example/a';
const { privatePem, vkey: LOG } = generateKey(ORIGIN);
const signer: Signer = signerFromPem(privatePem, ORIGIN);

/** Trees of up to three leaves, by hand: a proof from 1 to 2 is [leaf 1], from 1 to 3 [leaf 1, leaf 2], from 2 to 3 [leaf 2]. */
const hash = (...parts: readonly (string | Buffer)[]): Buffer => parts.reduce((h, part) => h.update(part), createHash('sha256')).digest();
const leaf = (text: string): Buffer => hash(Buffer.of(0), text);
const [A, B, C] = [leaf('a'), leaf('b'), leaf('c')];
const AB = hash(Buffer.of(1), A, B);
const ROOTS = [undefined, A, AB, hash(Buffer.of(1), AB, C)];
const PROOFS = new Map([
  ['1 2', [B]],
  ['1 3', [B, C]],
  ['2 3', [C]],
]);

function note(size: number, root = ROOTS[size] as Buffer, by: Signer = signer): string {
  const text = `${ORIGIN}\n${size}\n${root.toString('base64')}\n`;
  const id = Buffer.from(by.vkey.split('+')[1] ?? '', 'hex');
  return `${text}\n— ${ORIGIN} ${Buffer.concat([id, by.sign(Buffer.from(text))]).toString('base64')}\n`;
}

const context = (more: Partial<AnchorContext> = {}): AnchorContext => ({
  signal: new AbortController().signal,
  consistencyProof: async (from, to) => {
    const proof = PROOFS.get(`${from} ${to}`);
    if (proof === undefined) throw new Error(`nobody needs a proof from ${from} to ${to}`);
    return proof.map((each) => each.toString('hex'));
  },
  ...more,
});
const refused = (message: string | RegExp): unknown =>
  expect.objectContaining({ code: 'LEDGER_NOT_ANCHORED', message: expect.stringMatching(message) as string });
const olds = (witness: TestWitness): readonly unknown[] => witness.seen.map(({ body }) => body.split('\n', 1)[0]);

describe('a witness', () => {
  it('cosigns every head, from proofs of what it saw before', async () => {
    const witness = await testWitness('witness.example/w1', [LOG]);
    const anchor = witnessAnchor(witness);
    expect(anchor.name).toBe('witness witness.example/w1');
    for (const size of [1, 2, 3, 3]) {
      const cosigned = await anchor.publish(note(size), context());
      const seen = verifyCheckpoint(cosigned as string, [LOG, witness.vkey]);
      expect(seen).toMatchObject({ checkpoint: { size }, signedBy: [LOG], cosignedBy: [{ vkey: witness.vkey }] });
      expect((cosigned as string).startsWith(note(size))).toBe(true);
    }
    expect(olds(witness)).toEqual(['old 0', 'old 1', 'old 2', 'old 3']);
    expect(witness.seen[1]?.body).toBe(`old 1\n${B.toString('base64')}\n\n${note(2)}`);
  });

  it('that stands elsewhere is asked once more, from there', async () => {
    const witness = await testWitness('w.example', [LOG]);
    await witnessAnchor(witness).publish(note(1), context());
    const fresh = witnessAnchor(witness);
    await fresh.publish(note(3), context());
    await fresh.publish(note(3), context());
    expect(olds(witness)).toEqual(['old 0', 'old 0', 'old 1', 'old 3']);
  });

  it('keeps only its own line of several, and adds it once', async () => {
    const witness = await testWitness('w.example', [LOG]);
    const other = witnessKey('w.example/next');
    const text = parseNote(note(1)).text;
    witness.instead.push((response) => response.end(other.cosign(text, 5) + witness.cosign(text, 7) + witness.cosign(text, 9)));
    const cosigned = (await witnessAnchor(witness).publish(note(1), context())) as string;
    expect(cosigned).toBe(note(1) + witness.cosign(text, 7));
    // A note that has its line already: the first stays.
    expect(await witnessAnchor(witness).publish(cosigned, context())).toBe(cosigned);
  });

  it('is sent the checkpoint and nothing else', async () => {
    const witness = await testWitness('w.example', [LOG]);
    await witnessAnchor(witness).publish(note(1), context());
    const [{ method, url, headers } = { method: '', url: '', headers: {} }] = witness.seen;
    expect([method, url]).toEqual(['POST', '/prefix/add-checkpoint']);
    const names = Object.keys(headers).filter((name) => !name.startsWith('sec-fetch') && name !== 'accept-language');
    expect(names.toSorted()).toEqual(['accept', 'accept-encoding', 'connection', 'content-length', 'content-type', 'host', 'user-agent']);
    expect(headers['user-agent']).toBe('countersign');
  });
});

describe('a witness that refuses', () => {
  it.each<[string, (witness: TestWitness) => void, RegExp]>([
    ['knows no such log', (witness) => witness.logs.clear(), /does not know the log log\.example\/a \(status 404\)/],
    ['knows it under another key', (witness) => knows(witness, generateKey(ORIGIN).vkey), /under another key .* \(status 403\)/],
    ['finds the proof wrong', (witness) => witness.heads.set(ORIGIN, { size: 1, root: C.toString('base64') }), /history was rewritten/],
    ['saw another head of that size', (witness) => witness.heads.set(ORIGIN, { size: 2, root: '' }), /the log was forked/],
    [
      'saw more than there is',
      (witness) => witness.heads.set(ORIGIN, { size: 9, root: '' }),
      /has seen 9 entries, this ledger has 2.*rolled back/,
    ],
  ])('because it %s', async (_name, prepare, message) => {
    const witness = await testWitness('w.example', [LOG]);
    prepare(witness);
    await expect(witnessAnchor(witness).publish(note(2), context())).rejects.toEqual(refused(message));
  });

  it('after it cosigned more than there is now: it is not even asked', async () => {
    const witness = await testWitness('w.example', [LOG]);
    const anchor = witnessAnchor(witness);
    await anchor.publish(note(3), context());
    await expect(anchor.publish(note(2), context())).rejects.toEqual(refused(/has seen 3 entries, this ledger has 2/));
    expect(witness.seen).toHaveLength(1);
  });
});

describe('a hostile witness', () => {
  const size =
    (text: string, type = 'text/x.tlog.size'): Answer =>
    (response) => {
      response.writeHead(409, { 'content-type': type }).end(text);
    };
  const text = parseNote(note(2)).text;
  const answers: [string, RegExp, (witness: TestWitness) => Answer | readonly Answer[]][] = [
    ['a cosignature of another head', /does not verify/, (w) => (r) => r.end(w.cosign(parseNote(note(1)).text))],
    ['a cosignature with the time changed', /does not verify/, (w) => (r) => r.end(withOtherTime(w.cosign(text)))],
    ['a good line and a bad one of the same key', /does not verify/, (w) => (r) => r.end(w.cosign(text) + w.cosign('x'))],
    ['lines of other keys only', /no known key signed it/, () => (r) => r.end(witnessKey('other.example').cosign(text, 1))],
    ['its own name under another key', /no known key signed it/, () => (r) => r.end(witnessKey('w.example').cosign(text, 1))],
    ['the line of the log itself', /no known key signed it/, () => (r) => r.end(note(2).split('\n\n')[1])],
    ['a time to come', /has not come yet/, (w) => (r) => r.end(w.cosign(text, 4_102_444_800))],
    ['a time past all numbers', /does not verify/, (w) => (r) => r.end(withOtherTime(w.cosign(text), 0xff))],
    ['nothing', /without a valid cosignature/, () => (r) => r.end()],
    ['an empty line first', /without a valid cosignature/, (w) => (r) => r.end(`\n${w.cosign(text)}`)],
    ['text of its own, signed', /without a valid cosignature/, (w) => (r) => r.end(`mine\n\n${w.cosign(`${text}\nmine\n`)}`)],
    ['a line without its newline', /without a valid cosignature/, (w) => (r) => r.end(w.cosign(text).slice(0, -1))],
    ['control characters', /without a valid cosignature/, (w) => (r) => r.end(`\u001b[2J\n${w.cosign(text)}`)],
    ['bytes that are no text', /not text/, () => (r) => r.end(Buffer.of(0xff, 0xfe))],
    ['101 lines', /more than 100 signatures/, (w) => (r) => r.end(w.cosign(text).repeat(101))],
    ['a body without end', /more than 65536 bytes/, () => flood],
    ['a large body, zipped small', /more than 65536 bytes/, () => zipped],
    ['a redirect', /redirect, which is never followed/, () => (r) => r.writeHead(307, { location: '/prefix/add-checkpoint' }).end()],
    ['status 500', /answered with status 500/, () => (r) => r.writeHead(500).end('secret-of-the-witness')],
    ['status 201', /answered with status 201/, (w) => (r) => r.writeHead(201).end(w.cosign(text))],
    ['status 400', /malformed/, () => (r) => r.writeHead(400).end()],
    ['a broken connection', /closed the connection/, () => [(r) => r.destroy(), (r) => r.destroy()]],
    ['half an answer', /broke off/, () => (r) => r.writeHead(200, { 'content-length': '500' }).write('— w', () => r.destroy())],
    ['409 without a size', /not with the size/, () => size('', 'text/x.tlog.size')],
    ['409 with a size of another type', /not with the size/, () => size('1\n', 'text/plain')],
    ['409 with no number', /not with the size/, () => size('one\n')],
    ['409 with a leading zero', /not with the size/, () => size('01\n')],
    ['409 with a negative size', /not with the size/, () => size('-1\n')],
    ['409 with a size past all numbers', /not with the size|has seen/, () => size('9999999999999999999\n')],
    ['409 with two sizes', /not with the size/, () => size('1\n2\n')],
    ['409 with a size beyond ours', /has seen 3 entries/, () => size('3\n')],
    ['409 with the size it was asked from', /it is broken/, () => size('0\n')],
    ['409 with another size each time', /another size whenever/, () => [size('1\n'), size('2\n')]],
    ['409 with a size below what it told', /it lost what it had seen/, () => [size('2\n'), size('1\n')]],
  ];

  it.each(answers)('that answers %s is refused', async (_name, message, make) => {
    const witness = await testWitness('w.example', [LOG]);
    witness.instead.push(...[make(witness)].flat());
    const error: unknown = await witnessAnchor(witness)
      .publish(note(2), context())
      .catch((thrown: unknown) => thrown);
    expect(error).toEqual(refused(message));
    expect(String(error)).not.toMatch(/secret-of-the-witness|\u001b/);
    expect(witness.seen.length).toBeLessThanOrEqual(2);
  });

  it('that cosigned and then lost it is refused', async () => {
    const witness = await testWitness('w.example', [LOG]);
    const anchor = witnessAnchor(witness);
    await anchor.publish(note(2), context());
    witness.heads.set(ORIGIN, { size: 1, root: A.toString('base64') });
    await expect(anchor.publish(note(3), context())).rejects.toEqual(refused(/stands at 1 entries, after it had stood at 2/));
  });

  it.each([
    ['is refused for its status', (response: ServerResponse) => void response.writeHead(500).write('x')],
    ['says too much', (response: ServerResponse) => void response.writeHead(200).write('x'.repeat(100_000))],
  ])(
    'that %s and goes on is hung up on',
    async (_name, begin) => {
      const witness = await testWitness('w.example', [LOG]);
      const closed = new Promise<void>((done) => {
        witness.instead.push((response) => {
          response.on('close', done);
          begin(response);
        });
      });
      // Neither the garbage collector nor the time set shall be what hangs up.
      const [real, answers]: [typeof fetch, Response[]] = [fetch, []];
      vi.stubGlobal('fetch', async (...asked: Parameters<typeof fetch>) => {
        const answer = await real(...asked);
        answers.push(answer);
        return answer;
      });
      onTestFinished(() => void vi.unstubAllGlobals());
      const anchor = witnessAnchor({ ...witness, timeoutMs: 60_000 });
      await expect(anchor.publish(note(1), context())).rejects.toEqual(refused('answered with'));
      await closed;
      expect(answers).toHaveLength(1);
    },
    30_000,
  );

  it('that is slow is given up, after the time set or when the caller says so', async () => {
    const witness = await testWitness('w.example', [LOG]);
    witness.instead.push(
      () => {},
      () => {},
      (response) => void response.writeHead(200).write('— '),
    );
    await expect(witnessAnchor({ ...witness, timeoutMs: 20 }).publish(note(1), context())).rejects.toEqual(refused('within 20 ms'));
    const stop = new AbortController();
    const running = witnessAnchor(witness).publish(note(1), context({ signal: stop.signal }));
    stop.abort();
    await expect(running).rejects.toEqual(refused('given up'));
    await expect(witnessAnchor({ ...witness, timeoutMs: 100 }).publish(note(1), context())).rejects.toEqual(refused('within 100 ms'));
  });

  it('that is not there is told', async () => {
    const witness = await testWitness('w.example', [LOG]);
    await expect(witnessAnchor({ ...witness, url: 'http://127.0.0.1:1/' }).publish(note(1), context())).rejects.toEqual(
      refused(/refused the connection|cannot be reached/),
    );
  });
});

describe('before anything is sent', () => {
  const { vkey } = witnessKey('w.example');
  it.each<[string, Parameters<typeof witnessAnchor>[0], string]>([
    ['plain http to another host', { url: 'http://witness.example', vkey }, 'OPTIONS_INVALID'],
    ['another scheme', { url: 'file:///etc/passwd', vkey }, 'OPTIONS_INVALID'],
    ['no URL', { url: 'witness.example', vkey }, 'OPTIONS_INVALID'],
    ['credentials', { url: 'https://me:hunter2@witness.example', vkey }, 'OPTIONS_INVALID'],
    ['a query', { url: 'https://witness.example/?token=hunter2', vkey }, 'OPTIONS_INVALID'],
    ['the whole path', { url: 'https://witness.example/add-checkpoint', vkey }, 'OPTIONS_INVALID'],
    ['the key of a log', { url: 'https://witness.example', vkey: LOG }, 'OPTIONS_INVALID'],
    ['no key', { url: 'https://witness.example', vkey: 'w.example' }, 'KEY_INVALID'],
    ['a time of nothing', { url: 'https://witness.example', vkey, timeoutMs: 0 }, 'OPTIONS_INVALID'],
    ['a time without end', { url: 'https://witness.example', vkey, timeoutMs: Number.POSITIVE_INFINITY }, 'OPTIONS_INVALID'],
  ])('%s is refused', (_name, options, code) => {
    expect(() => witnessAnchor(options)).toThrow(expect.objectContaining({ code }));
    expect(() => witnessAnchor(options)).not.toThrow(/hunter2/);
  });

  it('plain http to another host is there for who asks for it', () => {
    expect(witnessAnchor({ url: 'http://witness.example', vkey, allowInsecure: true }).name).toBe('witness w.example');
  });

  it.each([
    ['an unsigned checkpoint', note(1).split('\n\n')[0] as string],
    ['no checkpoint', `hello\n\n${note(1).split('\n\n')[1]}`],
  ])('%s is refused', async (_name, text) => {
    const witness = await testWitness('w.example', [LOG]);
    await expect(witnessAnchor(witness).publish(text, context())).rejects.toEqual(refused('no signed checkpoint'));
    expect(witness.seen).toHaveLength(0);
  });

  it('certificate checks switched off in the environment are refused', async () => {
    vi.stubEnv('NODE_TLS_REJECT_UNAUTHORIZED', '0');
    const asked = witnessAnchor({ url: 'https://127.0.0.1:1', vkey }).publish(note(1), context());
    await expect(asked).rejects.toEqual(refused('switches certificate checks off'));
    vi.unstubAllEnvs();
  });

  it('a proof that cannot be made is told', async () => {
    const witness = await testWitness('w.example', [LOG]);
    witness.heads.set(ORIGIN, { size: 1, root: A.toString('base64') });
    const consistencyProof = async (): Promise<never> => {
      throw new Error('no such tile');
    };
    await expect(witnessAnchor(witness).publish(note(2), context({ consistencyProof }))).rejects.toEqual(refused('could not be asked'));
  });
});

function withOtherTime(line: string, first = 0): string {
  const [dash, name, encoded = ''] = line.trimEnd().split(' ');
  const bytes = Buffer.from(encoded, 'base64');
  bytes[4] = first;
  bytes[11] = (bytes[11] ?? 0) ^ 1;
  return `${dash} ${name} ${bytes.toString('base64')}\n`;
}

const flood: Answer = (response) => {
  const more = (): void => {
    while (!response.destroyed && response.write('— w.example '.repeat(1000)));
    if (!response.destroyed) response.once('drain', more);
  };
  more();
};

const zipped: Answer = (response) => {
  response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync('x'.repeat(10_000_000)));
};
