import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadConfig } from '@countersign/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { json, type Ran, run } from '../harness.ts';

const POLICY = 'id: billing\nversion: "3"\nrules:\n  - { id: small, tools: [refund], when: "args.amount <= 500", effect: allow }\n';

interface Workshop {
  readonly cwd: string;
  readonly sign: (...argv: readonly string[]) => Promise<Ran>;
  readonly read: (name: string) => string;
}

async function workshop(): Promise<Workshop> {
  const cwd = mkdtempSync(join(tmpdir(), 'countersign-sign-'));
  for (const name of ['ana', 'ben', 'eve']) await run(['keygen', '--out', `${name}.key`, '--name', name], { cwd });
  writeFileSync(join(cwd, 'policy.yaml'), POLICY);
  const sign = (...argv: readonly string[]): Promise<Ran> => run(['policy', 'sign', ...argv], { cwd });
  return { cwd, sign, read: (name) => readFileSync(join(cwd, name), 'utf8') };
}

describe('policy sign', () => {
  let cwd: string;
  let sign: (...argv: readonly string[]) => Promise<Ran>;
  let read: (name: string) => string;
  beforeAll(async () => {
    ({ cwd, sign, read } = await workshop());
  });
  afterAll(() => rmSync(cwd, { recursive: true, force: true }));
  const verify = (name: string, ...argv: readonly string[]): Promise<Ran> =>
    sign(name, '--verify', ...argv.flatMap((each) => (each.endsWith('.pub') ? ['--public-key', each] : [each])));

  it('signs, adds a signature, verifies, and guards take it', async () => {
    const signed = json(
      await sign('policy.yaml', '--key', 'ana.key', '--out', 'one.bundle', '--serial', '7', '--expires', '90d', '--json'),
    );
    expect(Object.keys(signed)).toEqual(['bundle', 'id', 'version', 'serial', 'issued_at', 'expires_at', 'vkey']);
    expect(signed).toMatchObject({
      bundle: join(cwd, 'one.bundle'),
      id: 'billing',
      version: '3',
      serial: 7,
      vkey: read('ana.key.pub').trim(),
    });
    expect((await sign('one.bundle', '--key', 'ben.key', '--out', 'two.bundle')).code).toBe(0);
    expect((await verify('one.bundle', 'ana.key.pub', 'ben.key.pub', '--threshold', '2')).code).toBe(1);
    const ran = await verify('two.bundle', 'ana.key.pub', 'ben.key.pub', '--threshold', '2');
    expect(ran.stdout).toMatch(/^policy billing version 3, serial 7, good until .*, hash [0-9a-f]{16}, signed by ana, ben\n$/);
    expect(ran.code).toBe(0);

    const keys = ['ana', 'ben'].map((name) => `"${read(`${name}.key.pub`).trim()}"`).join(', ');
    writeFileSync(join(cwd, 'c.yaml'), `version: 1\nagent: bot\npolicy: { bundle: two.bundle, keys: [${keys}], threshold: 2 }\n`);
    expect(loadConfig(join(cwd, 'c.yaml'), { env: {} }).policy).toMatchObject({ id: 'billing', version: '3' });
    expect((await sign('c.yaml', '--key', 'ana.key', '--out', 'three.bundle')).stderr).toContain('a signed bundle already');
  });

  it('does not take a second signature of the same key for one', async () => {
    expect((await sign('policy.yaml', '--key', 'ana.key', '--out', 'once.bundle')).code).toBe(0);
    const again = await sign('once.bundle', '--key', 'ana.key', '--out', 'again.bundle');
    expect([again.code, again.stderr]).toEqual([2, expect.stringMatching(/has signed it already/)]);
    expect(existsSync(join(cwd, 'again.bundle'))).toBe(false);
    expect((await sign('policy.yaml', '--key', 'ana.key', '--out', 'once.bundle')).stderr).toContain('name another file, or replace');
  });

  it('says when what is signed allows what it does not mention', async () => {
    const packs = (mode: string): string => `version: 1\nagent: bot\nmode: ${mode}\npolicy: { packs: [shell] }\n`;
    writeFileSync(join(cwd, 'watching.yaml'), packs('audit'));
    writeFileSync(join(cwd, 'enforcing.yaml'), packs('enforce'));
    expect((await sign('watching.yaml', '--key', 'ana.key', '--out', 'w.bundle')).stderr).toContain('is ALLOWED');
    expect((await sign('enforcing.yaml', '--key', 'ana.key', '--out', 'e.bundle')).stderr).not.toContain('ALLOWED');
  });

  it('signs rules of packs and files of Cedar in full', async () => {
    writeFileSync(join(cwd, 'a.cedar'), '@id("a") permit (principal, action, resource);');
    writeFileSync(join(cwd, 'all.yaml'), 'id: all\npacks: [baseline]\ncedar: [a.cedar]\n');
    expect((await sign('all.yaml', '--key', 'ana.key', '--out', 'all.bundle')).stderr).toContain('written to');
    expect(read('all.bundle')).toContain('@id(\\"a\\") permit');
    expect(read('all.bundle')).not.toContain('"packs"');
    expect(read('all.bundle')).not.toContain(cwd);
  });

  it('says what is wrong with a bundle, and exits 1', async () => {
    await sign('policy.yaml', '--key', 'ana.key', '--out', 'good.bundle', '--serial', '7');
    writeFileSync(join(cwd, 'bad.bundle'), read('good.bundle').replace('500', '5000'));
    const said = json(await verify('bad.bundle', 'ana.key.pub', '--json'));
    expect(said).toEqual({ ok: false, code: 'POLICY_BUNDLE_UNTRUSTED', problem: expect.stringContaining('does not verify') as string });
    for (const [name, key] of [
      ['bad.bundle', 'ana.key.pub'],
      ['good.bundle', 'eve.key.pub'],
      ['policy.yaml', 'ana.key.pub'],
    ] as const)
      expect((await verify(name, key)).code).toBe(1);
  });

  it.each([
    ['no key', ['policy.yaml', '--out', 'x.bundle'], 'needs --key'],
    ['no place to write to', ['policy.yaml', '--key', 'ana.key'], 'needs --key'],
    ['a key that is not there', ['policy.yaml', '--key', 'no.key', '--out', 'x.bundle'], 'no.key.pub'],
    ['a serial that is none', ['policy.yaml', '--key', 'ana.key', '--out', 'x.bundle', '--serial', '-1'], '--serial'],
    ['an expiry that is none', ['policy.yaml', '--key', 'ana.key', '--out', 'x.bundle', '--expires', 'soon'], '--expires'],
    ['nothing to verify with', ['policy.yaml', '--verify'], '--public-key'],
  ])('refuses %s', async (_name, argv, message) => {
    const ran = await sign(...argv);
    expect(ran.code).toBe(2);
    expect(ran.stderr).toContain(message);
    expect(read('policy.yaml')).toBe(POLICY);
  });

  it('writes over no file, and with --force over no key', async () => {
    for (const more of [[], ['--force']]) expect((await sign('policy.yaml', '--key', 'ana.key', '--out', 'ben.key', ...more)).code).toBe(1);
    expect((await sign('policy.yaml', '--key', 'ana.key', '--out', 'policy.yaml')).code).toBe(1);
    expect(read('policy.yaml')).toBe(POLICY);
    expect(read('ben.key')).toContain('PRIVATE KEY');
  });

  it('signs nothing that does not load', async () => {
    writeFileSync(join(cwd, 'broken.yaml'), POLICY.replace('<= 500', '<='));
    const ran = await sign('broken.yaml', '--key', 'ana.key', '--out', 'broken.bundle');
    expect(ran.code).not.toBe(0);
    expect(ran.stderr).toContain('CONFIG_INVALID');
  });
});
