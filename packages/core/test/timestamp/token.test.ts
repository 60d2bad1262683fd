/** Tokens of an authority made with openssl, and everything that is not one. */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { parseTsaCertificates, type TsaCertificate } from '../../src/timestamp/certificate.ts';
import { DerReader, der, TAG } from '../../src/timestamp/der.ts';
import { judgeToken, type TokenVerdict } from '../../src/timestamp/judge.ts';
import { hasOpenssl, type Info, openssl, TestTsa, tlv, tokenBy, tokenOf, tstInfo } from '../fixtures/tsa.ts';

const TEXT = 'log.example/a\n3\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n';

describe.skipIf(!hasOpenssl)('a token', { timeout: 60_000 }, () => {
  let tsa: TestTsa;
  let honest: Buffer;

  beforeAll(() => {
    tsa = new TestTsa();
    tsa.issue('other-root', { as: 'authority' });
    honest = stamped();
  });

  function stamped(options: Parameters<TestTsa['reply']>[1] = {}, text = TEXT): Buffer {
    writeFileSync(join(tsa.cwd, 'text'), text);
    openssl(tsa.cwd, 'ts', '-query', '-data', 'text', '-sha256', '-cert', '-out', 'made.tsq');
    return tokenOf(tsa.reply(execFileSync('cat', [join(tsa.cwd, 'made.tsq')]), options));
  }

  const judged = (token: Uint8Array, trusted: readonly string[] = ['root'], text = TEXT): TokenVerdict =>
    judgeToken(token, text, parseTsaCertificates(trusted.map((name) => tsa.of(name).pem)));
  const forged = (info: Partial<Info> = {}, options: Parameters<TestTsa['forge']>[1] = {}): TokenVerdict =>
    judged(tsa.forge(tstInfo({ text: TEXT, ...info }), options));

  describe('is proven', () => {
    it('under the root of its authority, and under the certificate of the authority itself', () => {
      const now = Date.now();
      for (const trusted of [['root'], ['tsa'], ['other-root', 'root']]) {
        const verdict = judged(honest, trusted);
        expect(verdict).toMatchObject({ is: 'proven', tsa: 'CN=tsa' });
        // Whole seconds, and an accuracy of 1.5 s.
        if (verdict.is === 'proven') expect(Math.abs(verdict.beforeMs - 1500 - now)).toBeLessThan(60_000);
      }
    });

    it.each(['sha256', 'sha384', 'sha512'] as const)('with %s, by keys of both types', (digest) => {
      for (const key of ['ec', 'rsa'] as const) {
        const by = `tsa-${key}`;
        tsa.issue(by, { by: 'root', key });
        expect(judged(stamped({ by, digest }))).toMatchObject({ is: 'proven', tsa: `CN=${by}` });
      }
    });

    it('by a key that may sign, and says so', () => {
      tsa.issue('tsa-signing', { by: 'root', as: 'tsa_signing' });
      expect(judged(stamped({ by: 'tsa-signing' })).is).toBe('proven');
    });

    it('through authorities between, that stand in it, in whatever order and with strangers among them', () => {
      tsa.issue('middle', { by: 'root', as: 'authority' });
      tsa.issue('low', { by: 'middle', as: 'authority' });
      tsa.issue('tsa-low', { by: 'low' });
      for (const chain of [
        ['low', 'middle'],
        ['other-root', 'middle', 'low', 'root'],
      ])
        expect(judged(stamped({ by: 'tsa-low', chain })).is).toBe('proven');
      expect(judged(stamped({ by: 'tsa-low', chain: ['low'] })).is).toBe('unknown');
      expect(judged(stamped({ by: 'tsa-low' }), ['low']).is).toBe('proven');
    });

    it('with the time it states and what that may be off, rounded up', () => {
      const atMs = Date.parse('2026-03-01T12:00:00Z');
      const before = (info: Partial<Info>): number => {
        const verdict = forged(info);
        return verdict.is === 'proven' ? verdict.beforeMs - atMs : Number.NaN;
      };
      expect(before({})).toBe(0);
      for (const [fraction, ms] of [
        ['5', 500],
        ['5001', 501],
        ['057', 57],
        ['999000001', 1000],
        ['000', 0],
      ] as const)
        expect(before({ time: `20260301120000.${fraction}Z` })).toBe(ms);
      expect(before({ tail: [tlv(0x30, tlv(2, Buffer.of(2)), tlv(0x80, Buffer.of(3)), tlv(0x81, Buffer.of(4)))] })).toBe(2004);
      expect(before({ tail: [tlv(0x30, tlv(0x81, Buffer.of(1)))] })).toBe(1);
    });

    it('whether its certificate is named by the older attribute (RFC 2634) or by another hash', () => {
      expect(judged(stamped({ named: 'sha1' })).is).toBe('proven');
      expect(judged(stamped({ named: 'sha512' })).is).toBe('proven');
    });

    it('by openssl too: what is kept is what others can check', () => {
      writeFileSync(join(tsa.cwd, 'kept.der'), honest);
      writeFileSync(join(tsa.cwd, 'text'), TEXT);
      const verify = (text: string): string =>
        openssl(tsa.cwd, 'ts', '-verify', '-data', text, '-token_in', '-in', 'kept.der', '-CAfile', 'root.pem').toString();
      expect(verify('text')).toContain('Verification: OK');
      writeFileSync(join(tsa.cwd, 'other'), `${TEXT}\n`);
      expect(() => verify('other')).toThrow('message imprint mismatch');
    });
  });

  describe('proves nothing', () => {
    it('over another text, by a single byte', () => {
      for (const text of ['', TEXT.slice(0, -1), TEXT.replace('3', '4'), `${TEXT}x`])
        expect(judged(honest, ['root'], text)).toEqual({ is: 'wrong', why: 'is over something else' });
    });

    it('when another authority is trusted, even of the same name', () => {
      expect(judged(honest, ['other-root']).is).toBe('unknown');
      expect(judged(honest, []).is).toBe('unknown');
      const double = new TestTsa();
      expect(judgeToken(honest, TEXT, parseTsaCertificates([double.of('root').pem, double.of('tsa').pem])).is).toBe('unknown');
    });

    it.each<[string, Parameters<TestTsa['issue']>[1], RegExp]>([
      ['expired', { until: '20210101000000Z' }, /was not valid at that time/],
      ['not valid yet', { from: '20440101000000Z' }, /was not valid at that time/],
      ['for nothing in particular', { as: 'no_use' }, /not for timestamps alone/],
      ['for timestamps, but not critically', { as: 'not_critical' }, /not for timestamps alone/],
      ['for timestamps and code', { as: 'two_uses' }, /not for timestamps alone/],
      ['with a critical limit nobody knows', { as: 'tsa_unknown' }, /limits that are not understood/],
      ['for timestamps, by a key that encrypts', { as: 'tsa_encrypting' }, /not for timestamps alone/],
      ['of an authority over others', { as: 'tsa_authority' }, /not for timestamps alone/],
      ['with a short key', { key: 'rsa1024' }, /key that is not accepted/],
      ['with a curve of another world', { key: 'secp256k1' }, /key that is not accepted/],
      ['signed with SHA-1', { md: 'sha1' }, /no certificate given vouches for/],
    ])('by a certificate %s', (name, issue, why) => {
      const by = `bad ${name}`.replaceAll(/[ ,]/g, '-');
      tsa.issue(by, { by: 'root', ...issue });
      const verdict = forged({}, { by });
      expect(verdict).toMatchObject({ why: expect.stringMatching(why) as string });
      // Of the certificate's own faults none is cured by naming it.
      if (issue?.md === undefined) expect(judged(tsa.forge(tstInfo({ text: TEXT }), { by }), [by])).toEqual(verdict);
    });

    it.each<[string, Parameters<TestTsa['issue']>[1], string | undefined]>([
      ['that had expired', { as: 'authority', until: '20210101000000Z' }, undefined],
      ['that is none', {}, undefined],
      ['that may have none below it', { as: 'no_further' }, 'below'],
      ['of servers', { as: 'for_servers' }, undefined],
      ['limited in a way nobody knows', { as: 'constrained' }, undefined],
      ['with a short key', { as: 'authority', key: 'rsa1024' }, undefined],
    ])('by an authority %s', (name, issue, below) => {
      const by = `ca ${name}`.replaceAll(' ', '-');
      tsa.issue(by, { by: 'root', ...issue });
      if (below !== undefined) tsa.issue(`${by}-below`, { by, as: 'authority' });
      const over = below === undefined ? by : `${by}-below`;
      tsa.issue(`${by}-tsa`, { by: over });
      const token = tsa.forge(tstInfo({ text: TEXT }), { by: `${by}-tsa`, more: ['-cades', '-certfile', chainFile([by, over])] });
      expect(judged(token).is).toBe('unknown');
      expect(judged(token, [by]).is).toBe('unknown');
      expect(judged(token, [`${by}-tsa`]).is).toBe('proven');
    });

    it('when the certificate that signed it is not the one it names', () => {
      // The same name and number from an authority of the same name.
      const double = new TestTsa();
      const token = double.forge(tstInfo({ text: TEXT }));
      expect(judged(token).is).toBe('unknown');
      expect(judged(token, ['tsa']).is).toBe('unknown');
      expect(forged({}, { more: [] })).toEqual({ is: 'wrong', why: expect.stringMatching(/by which certificate/) as string });
      expect(forged({}, { more: ['-cades', '-nocerts'] }).is).toBe('unknown');
      expect(judged(tsa.forge(tstInfo({ text: TEXT }), { more: ['-cades', '-nocerts'] }), ['tsa']).is).toBe('proven');
    });

    it.each<[string, Partial<Info>]>([
      ['of another version', { version: 2 }],
      ['with a day that there is not', { time: '20260230120000Z' }],
      ['with a local time', { time: '20260301120000+0100' }],
      ['without seconds', { time: '202603011200Z' }],
      ['over a SHA-1', { imprint: tlv(0x30, Buffer.from('300906052b0e03021a0500', 'hex'), tlv(4, randomBytes(20))) }],
      ['over no algorithm', { imprint: tlv(0x30, tlv(4, randomBytes(32))) }],
      ['with an accuracy of nonsense', { tail: [tlv(0x30, tlv(0x80, Buffer.of(4, 0)))] }],
      ['with an accuracy before zero', { tail: [tlv(0x30, tlv(2, Buffer.of(0xff)))] }],
      [
        'with a critical extension',
        { tail: [tlv(0xa1, tlv(0x30, Buffer.from('06032a0304', 'hex'), tlv(1, Buffer.of(255)), tlv(4, Buffer.of(5, 0))))] },
      ],
      ['with something behind', { tail: [tlv(5)] }],
    ])('%s', (_name, info) => {
      expect(forged(info).is).toBe('wrong');
    });

    it('when what is signed is not called a timestamp', () => {
      expect(forged({}, { type: '1.2.840.113549.1.9.16.1.9' }).is).toBe('wrong');
    });

    it('with two signatures', () => {
      const more = ['-cades', '-signer', 'root.pem', '-inkey', 'root.key'];
      expect(forged({}, { more }).is).toBe('wrong');
    });

    it('by an algorithm that is not accepted', () => {
      tsa.issue('tsa-pss', { by: 'root', key: 'rsa' });
      expect(forged({}, { by: 'tsa-pss', keyopt: ['-keyopt', 'rsa_padding_mode:pss'] }).is).toBe('unknown');
      expect(forged({}, { md: 'sha1' }).is).toBe('unknown');
    });
  });

  function chainFile(names: readonly string[]): string {
    writeFileSync(join(tsa.cwd, 'links.pem'), [...new Set(names)].map((name) => tsa.of(name).pem).join(''));
    return 'links.pem';
  }

  describe('that is hostile', () => {
    it('is never accepted short by a byte, or with more behind it', () => {
      for (let length = 0; length < honest.length; length++) expect(judged(honest.subarray(0, length)).is).not.toBe('proven');
      expect(judged(Buffer.concat([honest, Buffer.of(0)])).is).toBe('wrong');
    });

    it('is never accepted with a byte changed', () => {
      for (let at = 0; at < honest.length; at++) {
        for (const mask of [0x01, 0x80, 0xff, 1 << (at % 8)]) {
          const changed = Buffer.from(honest);
          changed[at] = (changed[at] as number) ^ mask;
          expect(judged(changed).is, `byte ${at}, mask ${mask}`).not.toBe('proven');
        }
      }
    });

    it('gains nothing by certificates beside the one that counts', () => {
      const beside = stamped({ chain: ['other-root', 'root'] });
      const times = new Set<number>();
      for (let at = 0; at < beside.length; at++) {
        const changed = Buffer.from(beside);
        changed[at] = (changed[at] as number) ^ 0x04;
        const verdict = judged(changed, ['tsa']);
        if (verdict.is === 'proven') times.add(verdict.beforeMs);
      }
      // Nobody signed those; whatever is done to them, the time is the same.
      expect(times.size).toBe(1);
    });

    it('is refused at once, however it is nested and however long it says it is', () => {
      let deep: Buffer = Buffer.of(5, 0);
      while (deep.length < 32_000) deep = tlv(0x30, deep);
      const inside = (content: Uint8Array): Buffer => tlv(0x30, Buffer.from('06092a864886f70d010702', 'hex'), tlv(0xa0, content));
      const cases: readonly Uint8Array[] = [
        deep,
        inside(deep),
        Buffer.alloc(40_000, 0x30),
        Buffer.from('3084ffffffff', 'hex'),
        Buffer.from('3083ffffff', 'hex'),
        Buffer.from('308000000000', 'hex'),
        Buffer.from('3088000000000000000100', 'hex'),
        Buffer.from('30ff00', 'hex'),
        Buffer.from('1f8130', 'hex'),
        Buffer.of(0x30),
        Buffer.alloc(0),
        Buffer.alloc(1_000_000),
        // The same token with a length of one byte too many, and with an indefinite one (BER).
        Buffer.concat([Buffer.of(0x30, 0x83, 0), honest.subarray(2)]),
        Buffer.concat([Buffer.of(0x30, 0x80), honest.subarray(4), Buffer.of(0, 0)]),
        ...Array.from({ length: 500 }, (_, i) => randomBytes(i * 7)),
      ];
      const start = performance.now();
      for (const bytes of cases) expect(judged(bytes).is).toBe('wrong');
      expect(performance.now() - start).toBeLessThan(5000);
    });

    it('is not by a certificate of its own making around one that an authority issued for something else', () => {
      const server = tsa.issue('server', { by: 'root', as: 'no_use' });
      const key = readFileSync(join(tsa.cwd, 'server.key'), 'utf8');
      const [issuer, serial] = [tlv(0x30), tlv(2, Buffer.of(9))];
      const algorithm = tlv(0x30, Buffer.from('06082a8648ce3d040302', 'hex'));
      const forTimestamps = tlv(
        0x30,
        Buffer.from('0603551d25', 'hex'),
        tlv(1, Buffer.of(255)),
        tlv(4, Buffer.from('300a06082b06010505070308', 'hex')),
      );
      // OpenSSL is asked for PEM first, and finds it wherever it stands.
      const around = tlv(0x30, Buffer.from('06032a0304', 'hex'), tlv(4, Buffer.from(`\n${server.pem}`)));
      const extensions = tlv(0xa3, tlv(0x30, forTimestamps, around));
      const certificate = tlv(0x30, tlv(0x30, serial, tlv(0x30), issuer, extensions), algorithm);
      const token = tokenBy({ certificate, issuer, serial, key }, tstInfo({ text: TEXT }));
      expect(judged(token).is).toBe('unknown');
    });

    it('by a certificate whose key nobody can read is judged too, wherever that stands', () => {
      const { raw, issuer, serial } = parseTsaCertificates([tsa.of('tsa').pem])[0] as TsaCertificate;
      const key = readFileSync(join(tsa.cwd, 'tsa.key'), 'utf8');
      const by = { issuer: Buffer.from(issuer, 'hex'), serial: Buffer.from(serial, 'hex'), key };
      const ecPublicKey = Buffer.from('06072a8648ce3d0201', 'hex');
      const unreadable = Buffer.from(raw);
      unreadable[unreadable.indexOf(ecPublicKey) + 8] = 0x77;
      const info = tstInfo({ text: TEXT });
      expect(judged(tokenBy({ ...by, certificate: raw }, info)).is).toBe('proven');
      expect(judged(tokenBy({ ...by, certificate: unreadable }, info)).is).toBe('unknown');
      // In a chain, as an authority of the right name.
      const root = Buffer.from((parseTsaCertificates([tsa.of('other-root').pem])[0] as TsaCertificate).raw);
      root[root.indexOf(ecPublicKey) + 8] = 0x77;
      tsa.issue('tsa-of-other', { by: 'other-root' });
      const other = parseTsaCertificates([tsa.of('tsa-of-other').pem])[0] as TsaCertificate;
      const otherKey = readFileSync(join(tsa.cwd, 'tsa-of-other.key'), 'utf8');
      const signer = { issuer: Buffer.from(other.issuer, 'hex'), serial: Buffer.from(other.serial, 'hex'), key: otherKey };
      expect(judged(tokenBy({ ...signer, certificate: other.raw }, info)).is).toBe('unknown');
      expect(judged(tokenBy({ ...signer, certificate: other.raw, beside: root }, info)).is).toBe('unknown');
    });

    it('with hundreds of certificates is refused', () => {
      for (let i = 0; i < 17; i++) tsa.issue(`many${i}`);
      const token = tsa.forge(tstInfo({ text: TEXT }), {
        more: ['-cades', '-certfile', chainFile(Array.from({ length: 17 }, (_, i) => `many${i}`))],
      });
      expect(judged(token)).toEqual({ is: 'wrong', why: 'is malformed: it holds more than 16 certificates' });
    });
  });
});

it.each([
  '',
  'nothing',
  '-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----',
  '-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----',
])('what is no certificate is not taken for one: %j', (pem) => {
  expect(() => parseTsaCertificates([pem])).toThrow(expect.objectContaining({ code: 'OPTIONS_INVALID' }));
});

it.each([0, 127, 128, 255, 256, 65_535])('a value of %i bytes is written as it is read', (length) => {
  const content = randomBytes(length);
  const reader = new DerReader(der(TAG.octetString, content));
  expect(Buffer.from(reader.read(TAG.octetString).content).equals(content)).toBe(true);
  expect(reader.isAtEnd).toBe(true);
});
