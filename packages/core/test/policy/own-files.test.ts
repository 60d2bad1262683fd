import { linkSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Json } from '../../src/call.ts';
import { CountersignError } from '../../src/errors.ts';
import { allowAll } from '../../src/policy/built-in.ts';
import { composePolicies, evaluatePolicy } from '../../src/policy/compose.ts';
import { MAX_OWN_FILES_DEPTH, ownFilesPolicy } from '../../src/policy/own-files.ts';
import { policyInput } from './input.ts';

function effectOf(paths: readonly string[], args: Json): string {
  const verdict = ownFilesPolicy(paths).evaluate(policyInput({ args }));
  if (verdict instanceof Promise) throw new Error('expected a synchronous verdict');
  return verdict.effect;
}

const LEDGER = '/home/u/project/.countersign/ledger.db';
const CONFIG = '/home/u/project/countersign.yaml';

describe('strings that name a protected file', () => {
  it.each([
    LEDGER,
    `${LEDGER}-wal`,
    `${LEDGER}-shm`,
    `${LEDGER}-journal`,
    CONFIG,
    '/home/u/project/.countersign',
    '/home/u/project/.countersign/',
    '/home/u/project/.countersign/anything/else',
    '.countersign/ledger.db',
    './.countersign/ledger.db',
    '.countersign',
    'project/.countersign/ledger.key',
    '/home/u/project/sub/../.countersign/ledger.db',
    '/home/u/project/.//.countersign/./ledger.db',
    '/home/u/project/.countersign/../.countersign//ledger.db',
    '//home//u//project//.countersign//ledger.db',
    '/HOME/U/Project/.CounterSign/LEDGER.DB',
    '\\home\\u\\project\\.countersign\\ledger.db',
    '..\\.countersign\\ledger.db',
    'file:///home/u/project/.countersign/ledger.db',
    'FILE://localhost/home/u/project/countersign.yaml',
    'file:/home/u/project/countersign.yaml',
    '/home/u/project/%2ecountersign/ledger.db',
    '/home/u/project/%252ecountersign/ledger%252edb',
    '/home/u/project/%25252ecountersign/ledger.db',
    '%2Fhome%2Fu%2Fproject%2Fcountersign.yaml',
    '%zz/.countersign/ledger.db',
    '/home/u/project/.counter\0sign/ledger.db',
    '/home/u/project/countersign.yaml\0.txt',
    '/home/u/project/.counter\u200bsign/ledger.db',
    '/home/u/project/．countersign/ledger.db',
    '/proc/self/root/home/u/project/countersign.yaml',
    '/proc/self/root/home/u/project/x/../countersign.yaml',
    '/proc/77/root//home/u/project/x/../countersign.yaml',
    '/proc/1234/root/home/u/project/countersign.yaml',
    '/proc/self/root/proc/self/root/home/u/project/countersign.yaml',
    '/proc/self/task/1/root/home/u/project/../project/countersign.yaml',
    'cat .countersign/ledger.db',
    'cat .countersign/*',
    'sqlite3 "/home/u/project/.countersign/ledger.db" "delete from entries"',
    'cat .counter""sign/ledger.db',
    "cat .counter'sign'/ledger.db",
    'cat .counter\\sign/ledger.db',
    'tar -xf.countersign/ledger.db',
    'dd of=/home/u/project/countersign.yaml if=/dev/zero',
    'x=/home/u/project/countersign.yaml;rm $x',
    'see project/countersign.yaml.',
    `  ${LEDGER}  `,
    `${'x'.repeat(10_000)} ${LEDGER} ${'x'.repeat(10_000)}`,
  ])('%j', (text) => {
    expect(effectOf([LEDGER, CONFIG], { path: text })).toBe('deny');
  });

  it.each<[string, Json]>([
    ['a key', { [LEDGER]: 1 }],
    ['a list', [[['x', [LEDGER]]]]],
    ['a deep object', { a: { b: [{ c: { d: CONFIG } }] } }],
    ['the arguments themselves', LEDGER],
    ['a hostile key beside it', JSON.parse(`{"__proto__": {"constructor": "${LEDGER}"}}`)],
  ])('in %s', (_name, args) => expect(effectOf([LEDGER, CONFIG], args)).toBe('deny'));

  it.each(['', '-wal', '-shm', '-journal'])('with side file %j outside a .countersign folder', (suffix) => {
    expect(effectOf(['/var/lib/audit/ledger.db'], { path: `/var/lib/audit/ledger.db${suffix}` })).toBe('deny');
    expect(effectOf(['/var/lib/audit/ledger.db'], { path: `rm audit/ledger.db${suffix}` })).toBe('deny');
    expect(effectOf(['/var/lib/audit/ledger.db'], { path: `/var/lib/audit/ledger.db${suffix}x` })).toBe('abstain');
    expect(effectOf(['/var/lib/audit/ledger.db'], { path: '/var/lib/audit/report.txt' })).toBe('abstain');
  });

  it('relative to the working directory and to home', () => {
    expect(effectOf([join(process.cwd(), 'countersign.yaml')], { path: 'countersign.yaml' })).toBe('deny');
    expect(effectOf([join(process.cwd(), 'countersign.yaml')], { path: './countersign.yaml' })).toBe('deny');
    expect(effectOf([join(process.cwd(), 'countersign.yaml')], { path: 'cat countersign.yaml' })).toBe('deny');
    expect(effectOf([join(process.cwd(), 'countersign.yaml')], { path: '/proc/self/cwd/countersign.yaml' })).toBe('deny');
    expect(effectOf([join(process.cwd(), 'a', 'countersign.yaml')], { path: 'b/../a/countersign.yaml' })).toBe('deny');
    expect(effectOf([join(homedir(), 'keys', 'signing.key')], { path: '~/keys/../keys/signing.key' })).toBe('deny');
  });
});

describe('ordinary arguments', () => {
  it.each([
    '',
    'hello',
    'countersign',
    'we use countersign to sign calls',
    '/home/u/countersign/README.md',
    '/home/u/project/README.md',
    '/home/u/project',
    '/home/u/project/docs/ledger.db.md',
    '/elsewhere/ledger.db',
    'ledger.db',
    'other/ledger.db-wal',
    'my.countersign',
    '.countersignature/ledger.db',
    '.countersign.bak/x',
    'countersign.yaml',
    'docs/countersign.yaml',
    'https://example.com/countersign.yaml',
    'https://example.com/%2e%2e/x',
    '100% of 50%',
    'C:\\Users\\me\\x.txt',
    'it\'s a "quoted" text',
    'file:///etc/hosts',
    'file://',
    'file:%',
    '~',
    '/proc/self/root',
    '/proc/self/status',
    '\0',
    '\ud800',
    '/'.repeat(5000),
    '%'.repeat(5000),
    'a/'.repeat(5000),
    'x'.repeat(1_000_000),
  ])('%j', (text) => expect(effectOf([LEDGER, CONFIG], { path: text })).toBe('abstain'));

  it('of other types', () => expect(effectOf([LEDGER], { a: 1, b: null, c: true, d: [], e: {} })).toBe('abstain'));

  it('when nothing is protected', () => expect(effectOf([], { a: LEDGER })).toBe('abstain'));

  it('are checked in bulk', () => {
    const args = Array.from({ length: 2000 }, (_, index) => `src/${index}/file.ts`);
    expect(effectOf([LEDGER], args)).toBe('abstain');
    expect(effectOf([LEDGER], [...args, LEDGER])).toBe('deny');
  });
});

describe('links', () => {
  let folder = '';
  let ledger = '';
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'countersign-own-'));
    mkdirSync(join(folder, '.countersign'));
    mkdirSync(join(folder, 'room'));
    ledger = join(folder, '.countersign', 'ledger.db');
    writeFileSync(ledger, 'x');
    writeFileSync(join(folder, 'room', 'plain.txt'), 'x');
    symlinkSync(ledger, join(folder, 'room', 'soft'));
    symlinkSync(join(folder, '.countersign'), join(folder, 'room', 'softdir'));
    linkSync(ledger, join(folder, 'room', 'hard'));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it.each(['soft', 'hard', 'softdir', 'softdir/ledger.db', 'softdir/new-file', './soft', '../room/soft'])('%s is denied', (name) => {
    expect(effectOf([ledger], { path: `${folder}/room/${name}` })).toBe('deny');
    expect(effectOf([ledger], { path: `file://${folder}/room/${name}` })).toBe('deny');
    expect(effectOf([ledger], { path: relative(process.cwd(), `${folder}/room/${name}`) })).toBe('deny');
  });

  it.each(['plain.txt', 'missing', 'missing/deeper'])('%s is not', (name) => {
    expect(effectOf([ledger], { path: `${folder}/room/${name}` })).toBe('abstain');
  });

  it('is found behind ordinary text with slashes in it', () => {
    const noise = Array.from({ length: 100 }, (_, index) => `text/${index} and/or more`);
    expect(effectOf([ledger], [...noise, `${folder}/room/soft`])).toBe('deny');
  });
});

describe('the policy', () => {
  it('denies in every mode, with a reason that names no path', () => {
    expect(ownFilesPolicy([LEDGER]).evaluate(policyInput({ args: { a: LEDGER } }))).toEqual({
      effect: 'deny',
      always: true,
      rule: 'own-files',
      reasonCode: 'POLICY_DENY_OWN_FILES',
      reason: 'the arguments name a file of Countersign itself',
    });
  });

  it('composes without tightening defaults', () => {
    const composed = composePolicies([ownFilesPolicy([LEDGER]), allowAll()]);
    expect(composed.default).toBe('allow');
    expect(composed.evaluate(policyInput({ args: { a: 'x' } }))).toMatchObject({ effect: 'allow' });
    expect(composed.evaluate(policyInput({ args: { a: LEDGER } }))).toMatchObject({ effect: 'deny', always: true });
  });

  it('does not put paths into its document', () => {
    expect(ownFilesPolicy([LEDGER]).document).not.toContain('ledger');
  });

  it('denies arguments too deep to walk', () => {
    let args: Json = 'x';
    for (let depth = 0; depth <= MAX_OWN_FILES_DEPTH; depth++) args = [args];
    expect(evaluatePolicy(ownFilesPolicy([LEDGER]), policyInput({ args }))).toMatchObject({ effect: 'deny', always: true });
  });

  it.each(['', '/', '/..'])('refuses to protect %j', (path) => expect(() => ownFilesPolicy([path])).toThrow(CountersignError));
});
