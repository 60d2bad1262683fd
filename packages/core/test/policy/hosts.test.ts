import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CountersignError } from '../../src/errors.ts';
import { compileCondition } from '../../src/policy/conditions.ts';
import { INSIDE, METADATA, NOT_OURS, OURS, OUTSIDE, WILDCARD_DNS } from './corpus/hosts.ts';
import { holds, run } from './functions.ts';

const MATCHES = "host.matches(args.h, ['ours.example', '*.ours.example'])";

describe('hosts', () => {
  it('of the corpus: attacks never pass for ours, whichever way the rule is written', () => {
    const passed = NOT_OURS.filter((h) => holds(MATCHES, { h }) === true);
    expect(passed).toEqual([]);
    expect(
      NOT_OURS.filter((h) => holds("url(args.h).host == 'ours.example' || url(args.h).host.endsWith('.ours.example')", { h }) === true),
    ).toEqual([]);
  });
  it('of the corpus: ordinary ones do', () => {
    expect(OURS.filter((h) => holds(MATCHES, { h }) !== true)).toEqual([]);
    expect(OURS.length).toBeGreaterThanOrEqual(NOT_OURS.length);
  });
  it('of the corpus: those inside are never taken for public ones', () => {
    expect(INSIDE.filter((h) => holds('host.isPrivate(args.h)', { h }) === false)).toEqual([]);
    expect(INSIDE.filter((h) => holds('!host.isPrivate(args.h)', { h }) === true)).toEqual([]);
    // A fault is the exception, not the rule.
    expect(INSIDE.filter((h) => holds('host.isPrivate(args.h)', { h }) !== true)).toEqual([]);
  });
  it('of the corpus: public ones are public', () => {
    expect(OUTSIDE.filter((h) => holds('host.isPrivate(args.h)', { h }) !== false)).toEqual([]);
    expect(OUTSIDE.filter((h) => holds('host.isMetadata(args.h)', { h }) !== false)).toEqual([]);
    expect(OUTSIDE.length).toBeGreaterThanOrEqual(INSIDE.length);
  });
  it('of the corpus: metadata services in every spelling', () => {
    expect(METADATA.filter((h) => holds('host.isMetadata(args.h)', { h }) !== true)).toEqual([]);
    expect(METADATA.filter((h) => holds('host.isPrivate(args.h)', { h }) !== true)).toEqual([]);
  });
  it('of the corpus: names that choose their address', () => {
    expect(WILDCARD_DNS.filter((h) => holds('host.isWildcardDns(args.h)', { h }) !== true)).toEqual([]);
    expect(OUTSIDE.filter((h) => !/nip\.io|sslip\.io/.test(h) && holds('host.isWildcardDns(args.h)', { h }) !== false)).toEqual([]);
  });
});

describe('host.*, ip.* and url()', () => {
  it.each([
    // wildcards
    [MATCHES, 'ours.example', true],
    [MATCHES, 'a.ours.example', true],
    ["host.matches(args.h, ['*.ours.example'])", 'ours.example', false],
    ["host.matches(args.h, ['*.ours.example'])", 'evilours.example', false],
    ["host.matches(args.h, ['*.ours.example'])", 'x.y.ours.example', true],
    ["host.matches(args.h, ['Bücher.example'])", 'xn--bcher-kva.example', true],
    ["host.matches(args.h, ['10.0.0.1', '::1'])", '[::1]:80', true],
    ["host.matches(args.h, ['10.0.0.1'])", 'http://10.0.0.1:80/', true],
    ["host.matches(args.h, ['*.0.0.1'])", '10.0.0.1', 'CONDITION_INVALID'],
    ['host.matches(args.h, [])', 'ours.example', false],
    ['host.matches(args.h, args.list)', 'b.example', true],
    ['host.matches(args.h, args.mixed)', 'b.example', 'compares with texts only'],
    // networks
    ["ip.within(args.h, '10.0.0.0/8')", '10.1.2.3', true],
    ["ip.within(args.h, '10.0.0.0/8')", '11.1.2.3', false],
    ["ip.within(args.h, '10.0.0.0/8')", 'http://10.1.2.3:80/x', true],
    ["ip.within(args.h, '10.0.0.0/8')", '[::ffff:10.1.2.3]', true],
    ["ip.within(args.h, '10.0.0.0/8')", '[64:ff9b::10.1.2.3]', 'cannot tell'],
    ["ip.within(args.h, '10.0.0.0/8')", '[64:ff9b::11.1.2.3]', false],
    ["ip.within(args.h, '10.0.0.0/8')", '[2002:a01:203::]', 'cannot tell'],
    ["ip.within(args.h, '10.0.0.0/8')", 'fd00::1', false],
    ["ip.within(args.h, ['fd00::/8', '10.0.0.0/8'])", 'fd00::1', true],
    ["ip.within(args.h, '::/0')", '10.1.2.3', false],
    ["ip.within(args.h, '0.0.0.0/0')", '255.255.255.255', true],
    ["ip.within(args.h, '10.1.2.3')", '10.1.2.3', true],
    ["ip.within(args.h, '10.1.2.3')", '10.1.2.4', false],
    ["ip.within(args.h, '2001:db8::/32')", '2001:db8:ffff::1', true],
    ["ip.within(args.h, '10.0.0.0/8')", '012.1.2.3', 'no host that all programs read alike'],
    ["ip.within(args.h, '10.0.0.0/8')", '10.1.2', 'no host that all programs read alike'],
    ["ip.within(args.h, '10.0.0.0/8')", '0xa010203', 'no host that all programs read alike'],
    // a name is no address, in either direction
    ["ip.within(args.h, '10.0.0.0/8')", 'db.ours.example', 'needs an address and got a name'],
    ["!ip.within(args.h, '10.0.0.0/8')", 'db.ours.example', 'needs an address and got a name'],
    ["ip.isAddress(args.h) && ip.within(args.h, '10.0.0.0/8')", 'db.ours.example', false],
    ["ip.isAddress(args.h) && ip.within(args.h, '10.0.0.0/8')", '10.0.0.1', true],
    // typing errors are found when the rule is loaded
    ["ip.within(args.h, '10.0.0.1/8')", '10.0.0.1', 'CONDITION_INVALID'],
    ["ip.within(args.h, '10.0.0.0/33')", '10.0.0.1', 'CONDITION_INVALID'],
    ["ip.within(args.h, '10.0.0/8')", '10.0.0.1', 'CONDITION_INVALID'],
    ["ip.within(args.h, '10.0.0.0/08')", '10.0.0.1', 'CONDITION_INVALID'],
    ["ip.within(args.h, ['10.0.0.0/8', 'fd00::1/8'])", '10.0.0.1', 'CONDITION_INVALID'],
    ["ip.within(args.h, 'fe80::%eth0/10')", '10.0.0.1', 'CONDITION_INVALID'],
    ["host.matches(args.h, ['https://ours.example'])", 'x', 'CONDITION_INVALID'],
    ["host.matches(args.h, ['*'])", 'x', 'CONDITION_INVALID'],
    ["host.matches(args.h, ['a.*.example'])", 'x', 'CONDITION_INVALID'],
    ["host.matches(args.h, ['0177.0.0.1'])", 'x', 'CONDITION_INVALID'],
    ["host.matches(args.h, [''])", 'x', 'CONDITION_INVALID'],
    ["url('ours.example').host == args.h", 'x', 'CONDITION_INVALID'],
    ["url(args.h).hst == 'x'", 'x', 'CONDITION_INVALID'],
    ["url(args.h) == 'x'", 'x', 'CONDITION_INVALID'],
    // the same in arguments is a fault of the call
    ['ip.within(args.h, args.n)', '10.0.0.1', 'a network of ip.within() is none'],
    ['host.matches(args.h, [args.n])', 'x.example', 'a pattern of host.matches() is no host'],
    // types
    ['host.isPrivate(args.n2)', 'x', 'type error'],
    ['host.isPrivate(args.nothing)', 'x', 'missing key'],
    ['host.isPrivate("")', 'x', 'no host'],
    ['host.isPrivate(args.h)', 'a b', true],
    ['host.isPrivate(args.h)', 'ä!ö', 'no host'],
  ] as const)('%s of %s: %s', (source, h, expected) => {
    const args = { h, list: ['a.example', 'b.example'], mixed: ['a.example', 5], n: '10.0.0.1/8', n2: 5 };
    const got = outcome(source, args);
    if (typeof expected === 'boolean') expect(got).toBe(expected);
    else expect(got).toContain(expected);
  });

  it.each([
    ["url(args.u).scheme == 'https'", 'HTTPS://Ours.Example', true],
    ["url(args.u).host == 'ours.example'", 'HTTPS://Ours.Example.:8443/x', true],
    ["url(args.u).host == '::1'", 'http://[0::1]:80/', true],
    ['url(args.u).port == 443', 'https://ours.example', true],
    ['url(args.u).port == 8443', 'https://ours.example:8443', true],
    ['url(args.u).port == -1', 'postgres://ours.example', true],
    ["url(args.u).origin == 'https://ours.example'", 'https://ours.example:443/x', true],
    ["url(args.u).origin == 'https://ours.example:8443'", 'https://a:b@ours.example:8443/x', true],
    ["url(args.u).origin == 'http://[::1]'", 'http://[::1]/x', true],
    ["url(args.u).user == ''", 'https://ours.example', true],
    ["url(args.u).user == 'ann:pw'", 'https://ann:pw@ours.example', true],
    ["url(args.u).path == '/'", 'https://ours.example?x', true],
    ["url(args.u).path == '/a b/c'", 'https://ours.example/a%20b/c?d#e', true],
    ["url(args.u).path == '/straße'", 'https://ours.example/stra%C3%9Fe', true],
    ["url(args.u).path.startsWith('/v1/')", 'https://ours.example/v1/x', true],
    ["url(args.u).path == '/..x/.y'", 'https://ours.example/..x/.y', true],
    // what servers read in different ways
    ["url(args.u).path.startsWith('/v1/')", 'https://ours.example/v1/../admin', 'read in two ways'],
    ["url(args.u).path.startsWith('/v1/')", 'https://ours.example/v1/..', 'read in two ways'],
    ["url(args.u).path.startsWith('/v1/')", 'https://ours.example/v1/./admin', 'read in two ways'],
    ["url(args.u).path.startsWith('/v1/')", 'https://ours.example/v1/..;/admin', 'read in two ways'],
    ["url(args.u).path.startsWith('/v1/')", 'https://ours.example/v1/%2e%2e/admin', 'read in two ways'],
    ["url(args.u).path.startsWith('/v1/')", 'https://ours.example/v1/.%2E/admin', 'read in two ways'],
    ["url(args.u).path.startsWith('/v1/')", 'https://ours.example/v1%2f..%2fadmin', 'read in two ways'],
    ["url(args.u).path.startsWith('/v1/')", 'https://ours.example/v1/%252e%252e/', 'read in two ways'],
    ["url(args.u).path.startsWith('/v1/')", 'https://ours.example/v1/%5c..', 'read in two ways'],
    ["url(args.u).path.startsWith('/v1/')", 'https://ours.example/v1/%00', 'read in two ways'],
    ["url(args.u).path.startsWith('/v1/')", 'https://ours.example/v1/%0a', 'read in two ways'],
    ["url(args.u).path.startsWith('/v1/')", 'https://ours.example/v1/%zz', 'read in two ways'],
    ["url(args.u).path.startsWith('/v1/')", 'https://ours.example/v1/%c0%ae%c0%ae/', 'read in two ways'],
    ["url(args.u).path.startsWith('/v1/')", 'https://ours.example/v1/%e2%80%ae', 'read in two ways'],
    ["url(args.u).query('q') == 'a b'", 'https://ours.example/?q=a+b', true],
    ["url(args.u).query('q') == 'a&b'", 'https://ours.example/?p=1&q=a%26b', true],
    ["url(args.u).query('q') == ''", 'https://ours.example/?q', true],
    ["url(args.u).query('q') == 'x'", 'https://ours.example/', 'no such parameter'],
    ["url(args.u).query('q') == 'x'", 'https://ours.example/?q=x&q=y', 'more than once'],
    ["url(args.u).query('q') == 'x'", 'https://ours.example/?q=x&%71=y', 'more than once'],
    ["url(args.u).query('q') == 'x'", 'https://ours.example/?q=%zz', 'broken escape'],
    ["url(args.u).query('__proto__') == 'x'", 'https://ours.example/?__proto__=x', true],
    ["url(args.u).query('constructor') == 'x'", 'https://ours.example/', 'no such parameter'],
    ["url(args.u).queries('q') == ['x', 'y']", 'https://ours.example/?q=x&q=y', true],
    ["url(args.u).queries('q').size() == 0", 'https://ours.example/#?q=1', true],
    ["url(args.u).queries('q').size() == 0", `https://ours.example/?${'a&'.repeat(1500)}`, 'more than 1000 parameters'],
    ["url(args.u).scheme == 'file'", 'file:///etc/passwd', true],
    ["url(args.u).path == '/etc/passwd'", 'file:///etc/passwd', true],
    ["host.matches(args.u, ['ours.example'])", 'file:///etc/passwd', 'no host'],
    ["url(args.u).host == ''", 'file://localhost/etc/passwd', 'another host'],
    ['url(args.u).host == url(args.u).host', 'https://ours.example', true],
    ['url(args.u) == url(args.u)', 'https://ours.example', 'compared by their parts'],
    ['args.u == url(args.u)', 'https://ours.example', 'compares different types'],
    ["url(args.u)[args.k] == 'x'", 'https://ours.example', 'missing key'],
  ] as const)('%s of %s: %s', (source, u, expected) => {
    const got = outcome(source, { u, k: 'constructor' });
    if (typeof expected === 'boolean') expect(got).toBe(expected);
    else expect(got).toContain(expected);
  });

  it('say nothing of the arguments in a fault', () => {
    for (const h of ['sk-secret value', 'https://sk-secret\\@x', 'https://a@sk-secret@b', 'https://x/%zzsk-secret?sk=%zz']) {
      for (const source of [
        'host.matches(args.h, ["x"])',
        'url(args.h).path == ""',
        'url(args.h).query("sk") == ""',
        'ip.within(args.h, args.h)',
      ]) {
        expect(String(outcome(source, { h }))).not.toContain('sk-secret');
      }
    }
  });

  const pieces = fc.constantFrom(
    ...[
      'http',
      'https',
      ':',
      '//',
      '/',
      '\\',
      '@',
      '.',
      '..',
      '%',
      '%2e',
      '[',
      ']',
      '::',
      '1',
      '127',
      '0x7f',
      '0177',
      'ours.example',
      'evil',
      'ß',
      '\u200b',
      '。',
      '１',
      '\t',
      ' ',
      '?',
      '#',
      ':80',
      'xn--',
      '\ud800',
      '-',
    ],
  );
  const text = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.array(pieces, { maxLength: 12 }).map((some) => some.join('')),
  );

  it('never throw anything but a fault', () => {
    const conditions = [
      MATCHES,
      'host.isPrivate(args.h)',
      'host.isMetadata(args.h)',
      'host.isWildcardDns(args.h)',
      'ip.isAddress(args.h)',
      "ip.within(args.h, ['10.0.0.0/8', 'fd00::/8'])",
      "url(args.h).path == '/' && url(args.h).queries('q').size() == 0",
      'host.matches(args.h, [args.h])',
      'ip.within(args.h, args.h)',
    ].map((source) => compileCondition(source, 'w'));
    fc.assert(
      fc.property(text, (h) => {
        // Any other error would read "evaluation failed".
        for (const condition of conditions) expect(String(run(condition, { h }))).toMatch(/^(?:true|false|w: (?!evaluation failed))/);
      }),
      { numRuns: 1000 },
    );
  });

  it('read a host of a URL as WHATWG does, or not at all', () => {
    fc.assert(
      fc.property(text, (rest) => {
        const u = `https://${rest}`;
        if (holds("url(args.u).scheme == 'https'", { u }) !== true) return;
        const { hostname } = new URL(u);
        expect(holds('url(args.u).host == args.w', { u, w: hostname.replace(/^\[|\]$|\.$/g, '') })).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });

  it('an address in a network stays in every network around it', () => {
    fc.assert(
      fc.property(fc.ipV4(), fc.integer({ min: 0, max: 32 }), fc.integer({ min: 0, max: 32 }), (address, a, b) => {
        const [wide, narrow] = a < b ? [a, b] : [b, a];
        const around = (prefix: number): string => {
          const bits = address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
          const base = prefix === 0 ? 0 : (bits >>> (32 - prefix)) * 2 ** (32 - prefix);
          return `${[24, 16, 8, 0].map((shift) => Math.floor(base / 2 ** shift) % 256).join('.')}/${prefix}`;
        };
        expect(holds('ip.within(args.h, args.n)', { h: address, n: around(narrow) })).toBe(true);
        expect(holds('ip.within(args.h, args.n)', { h: address, n: around(wide) })).toBe(true);
      }),
    );
  });
});

/** True, false, what the fault says, or the code of a condition that does not load. */
function outcome(source: string, args: unknown): boolean | string {
  try {
    return holds(source, args);
  } catch (error) {
    if (CountersignError.is(error)) return error.code;
    throw error;
  }
}
