/** Names of addresses: what the host itself has is known, and what watched processes looked up is only ever held against an address. */
import { chmodSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Action } from '../../src/activity.ts';
import { hostsLines, MAX_HOSTS_BYTES, parseHosts } from '../../src/warden/hosts-file.ts';
import { connect, scopeOf, session, told } from './activities.ts';

const dns = (name: string, ...addresses: readonly string[]): Action => ({ kind: 'dns', name, addresses });
const to = (address: string): Action => connect(undefined, address);
const SCOPE = scopeOf('scope: { network: { allowed_domains: [good.example], forbidden_domains: [evil.example] } }');
const EVIL = '203.0.113.66';

describe('what a watched process looked up', () => {
  it('makes an address forbidden, in whatever spelling', () => {
    const { judge } = session(SCOPE);
    expect(told(judge(dns('Paste.EVIL.example.', EVIL, '2001:db8::1')))).toBe('FLAG forbidden-domain');
    expect(told(judge(to(EVIL)))).toBe('HALT forbidden-domain');
    expect(told(judge(to(`::ffff:${EVIL}`)))).toBe('HALT forbidden-domain');
    expect(told(judge(to('2001:0db8:0::0001')))).toBe('HALT forbidden-domain');
  });

  it.each([
    ['alone', [dns('good.example', EVIL)]],
    ['before the forbidden one', [dns('good.example', EVIL), dns('evil.example', EVIL)]],
    ['after it', [dns('evil.example', EVIL), dns('good.example', EVIL)]],
    ['a hundred times after it', [dns('evil.example', EVIL), ...Array.from({ length: 100 }, (_, n) => dns(`n${n}.good.example`, EVIL))]],
  ])('makes no address an allowed one: a good name for it, told %s', (_, lookups) => {
    const { judge } = session(SCOPE);
    for (const lookup of lookups) judge(lookup);
    expect(told(judge(to(EVIL)))).toBe(lookups.length === 1 ? 'FLAG unknown-domain' : 'HALT forbidden-domain');
  });

  it('does not clear the name that somebody connects to, either', () => {
    const { judge } = session(SCOPE);
    judge(dns('evil.example', EVIL));
    judge(dns('good.example', EVIL));
    expect(told(judge(connect('evil.example', EVIL)))).toBe('KILL forbidden-domain');
    expect(told(judge(connect('good.example', EVIL)))).toBe('HALT forbidden-domain');
  });

  it('of 10 001 forbidden addresses the first is forgotten, not the last', () => {
    const { judge } = session(SCOPE);
    for (let n = 0; n <= 10_000; n++) judge(dns('evil.example', `10.${n >> 16}.${(n >> 8) & 255}.${n & 255}`));
    expect(told(judge(to('10.0.39.16')))).toContain('forbidden-domain');
    expect(told(judge(to('10.0.0.0')))).not.toContain('HALT forbidden-domain');
  });

  it('this host stays this host', () => {
    const { judge } = session(SCOPE);
    judge(dns('evil.example', '127.0.0.1'));
    expect(told(judge(to('127.0.0.1')))).toBe('SAFE');
  });
});

describe('what the host itself has', () => {
  const hosts = parseHosts(
    [
      '198.51.100.1 api.good.example api # ours',
      '198.51.100.2 other.example',
      '198.51.100.3 api.good.example',
      '198.51.100.3 other.example',
      '198.51.100.4 fine.good.example paste.evil.example',
      'nonsense good.example',
      '# 198.51.100.5 good.example',
      '198.51.100.6',
    ].join('\n'),
  );

  it.each([
    ['an allowed name', '198.51.100.1', 'SAFE'],
    ['a name of somebody else', '198.51.100.2', 'FLAG unknown-domain'],
    ['an allowed name among others', '198.51.100.3', 'FLAG unknown-domain'],
    ['a forbidden name among others', '198.51.100.4', 'KILL forbidden-domain'],
    ['a line that is a comment', '198.51.100.5', 'FLAG unknown-domain'],
    ['no name', '198.51.100.6', 'FLAG unknown-domain'],
    ['no line', '198.51.100.7', 'FLAG unknown-domain'],
  ])('%s: %s is %s', (_, address, expected) => {
    expect(told(session(SCOPE, { hosts }).judge(to(address)))).toBe(expected);
  });

  it('a forbidden name that was looked up for an address beats the allowed one it has', () => {
    const { judge } = session(SCOPE, { hosts });
    judge(dns('evil.example', '198.51.100.1'));
    expect(told(judge(to('198.51.100.1')))).toBe('HALT forbidden-domain');
  });
});

describe('the file of hosts', () => {
  let path: string;
  const us = process.geteuid?.() ?? 0;

  beforeEach(() => {
    const folder = mkdtempSync(join(realpathSync(tmpdir()), 'hosts-'));
    path = join(folder, 'hosts');
    writeFileSync(path, '198.51.100.1 good.example\n', { mode: 0o644 });
    return () => rmSync(folder, { recursive: true });
  });

  it('is read where only its owner writes it', () => {
    expect(hostsLines(path, us)).toEqual([{ address: '198.51.100.1', names: ['good.example'] }]);
  });

  it.each<[string, () => void]>([
    ['others may write it', () => chmodSync(path, 0o646)],
    ['a group may write it', () => chmodSync(path, 0o664)],
    ['it is longer than any that names hosts', () => writeFileSync(path, '#'.repeat(MAX_HOSTS_BYTES + 1))],
    ['it is not there', () => rmSync(path)],
  ])('tells nothing when %s', (_, change) => {
    change();
    expect(hostsLines(path, us)).toEqual([]);
  });

  it('of somebody else tells nothing', () => {
    expect(hostsLines(path, us + 1)).toEqual([]);
  });
});

describe('the word of whoever is watched', () => {
  const scope = scopeOf('scope: { network: { allowed_domains: [good.example] } }');

  it('is not counted, and takes the place of nothing that another sensor saw', () => {
    const lie = (given: ReturnType<typeof session>, n: number, sensor: string): string =>
      told(given.engine.judge({ ...template(n, sensor), action: connect(sensor === 'probe' ? 'good.example' : undefined, EVIL) }));
    const given = session(scope, { uncounted: ['probe'] });
    const verdicts: string[] = [];
    for (let n = 1; n <= 120; n += 2) {
      expect(lie(given, n, 'probe')).toBe('SAFE');
      verdicts.push(lie(given, n + 1, 'proc-poll'));
    }
    expect(verdicts).toContain('HALT many-connections');
  });

  const template = (n: number, sensor: string) =>
    ({
      seq: n,
      at: 1_700_000_000_000 + n,
      sensor,
      phase: 'after',
      actor: { pid: 100, start: 1 },
      attribution: { method: 'none' },
    }) as const;
});
