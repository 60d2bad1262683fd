import { createPrivateKey } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  type Bundle,
  type CountersignError,
  composePolicies,
  createGuard,
  denyAll,
  generateKey,
  loadConfig,
  looksLikeBundle,
  openBundle,
  parseConfig,
  readBundle,
  type Signer,
  type Store,
  signBundle,
  signerFromPem,
  watchPolicy,
} from '../../src/index.ts';
import { canonicalize } from '../../src/ledger/canonical.ts';
import { signNote } from '../../src/ledger/note.ts';
import { bundlesIn } from '../../src/policy/bundle-mark.ts';
import { policyHash } from '../../src/policy/hash.ts';
import { memoryStore } from '../../src/testing/index.ts';
import { openLedger, tempDirectory } from '../fixtures/ledger.ts';
import { policyInput } from './input.ts';

const NOW = 1_767_225_600_000;
function signerNamed(name: string): Signer {
  return signerFromPem(generateKey(name).privatePem, name);
}
const ANA = signerNamed('policy.example/ana');
const BEN = signerNamed('policy.example/ben');
const EVE = signerNamed('policy.example/eve');
const TRUST = { keys: [ANA.vkey, BEN.vkey] };

const bundle = (more: Partial<Bundle> = {}): Bundle => ({
  id: 'billing',
  version: '3',
  serial: 7,
  issued_at: NOW,
  members: [
    { kind: 'rules', definition: { id: 'own', rules: [{ id: 'small', tools: ['refund'], effect: 'allow', when: 'args.amount <= 500' }] } },
  ],
  ...more,
});
const signed = (more: Partial<Bundle> = {}, signers: readonly Signer[] = [ANA]): string => signBundle(bundle(more), signers);
/** A note of our own over any text, as a hostile signer would make one. */
const noteOver = (value: unknown, magic = 'countersign/policy-bundle/v1'): string =>
  signNote(`${magic}\n${typeof value === 'string' ? value : canonicalize(value)}\n`, [ANA]);
const coded = (code: string): unknown => expect.objectContaining({ code });

describe('a policy bundle', () => {
  it('is byte for byte what docs/formats/policy-bundle.md shows', () => {
    const page = readFileSync(new URL('../../../../docs/formats/policy-bundle.md', import.meta.url), 'utf8');
    const [, shown = ''] = /\n```\n(countersign\/policy-bundle\/v1\n[\s\S]*?\n)```\n/.exec(page) ?? [];
    const der = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), Buffer.alloc(32, 7)]);
    const pem = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' }).export({ type: 'pkcs8', format: 'pem' }).toString();
    const signer = signerFromPem(pem, 'policy.example/ana');
    const rule = { id: 'small-refund', tools: ['refund'], when: 'args.amount <= 500', effect: 'allow' } as const;
    const members = [{ kind: 'rules', definition: { id: 'billing', version: '3', default: 'deny', rules: [rule] } }] as const;
    expect(signBundle(bundle({ expires_at: 1_775_001_600_000, members }), [signer])).toBe(shown);
    expect(page).toContain(signer.vkey);
    expect(page).toContain(openBundle(shown, { keys: [signer.vkey] }, NOW).policy.hash);
  });

  it('decides as its members do, and is known by its whole text', () => {
    const { policy, signedBy, bundle: opened } = openBundle(signed(), TRUST, NOW);
    expect([policy.id, policy.version, signedBy]).toEqual(['billing', '3', ['policy.example/ana']]);
    expect(opened).toEqual(bundle());
    expect(policy.evaluate(policyInput({ args: { amount: 5 } }))).toMatchObject({ effect: 'allow', rule: 'small' });
    expect(policy.evaluate(policyInput({ args: { amount: 501 } }))).toMatchObject({ effect: 'abstain' });
    const hashes = [signed(), signed({ serial: 8 }), signed({ expires_at: NOW + 1 }), signed({ version: '4' })].map(
      (note) => openBundle(note, TRUST, NOW).policy.hash,
    );
    expect(new Set(hashes).size).toBe(4);
    // Whoever signs, what is enforced is the same.
    expect(openBundle(signed({}, [BEN]), TRUST, NOW).policy.hash).toBe(policy.hash);
  });

  it('holds Cedar beside rules; the most restrictive wins', () => {
    const text = '@id("none") forbid (principal, action, resource) when { context.args.amount == 5 };';
    const members = [...bundle().members, { kind: 'cedar', id: 'c', default: 'allow', policies: [{ where: 'a.cedar', text }] }] as const;
    const { policy } = openBundle(signed({ members }), TRUST, NOW);
    expect(policy.evaluate(policyInput({ args: { amount: 5 } }))).toMatchObject({ effect: 'deny', rule: 'none' });
    expect(policy.evaluate(policyInput({ args: { amount: 6 } }))).toMatchObject({ effect: 'allow', rule: 'small' });
  });

  it('refuses every truncation and every changed character', () => {
    const note = signed();
    for (let at = 0; at < note.length; at++) {
      expect(() => openBundle(note.slice(0, at), TRUST, NOW)).toThrowError(/policy bundle/);
      const other = note[at] === 'x' ? 'y' : 'x';
      expect(() => openBundle(note.slice(0, at) + other + note.slice(at + 1), TRUST, NOW)).toThrowError(/policy bundle/);
    }
  });

  it.each<readonly [string, string]>([
    ['nobody', `${signed().split('\n\n')[0]}\n\n`],
    ['nobody, and no empty line', `${signed().split('\n\n')[0]}\n`],
    ['somebody else', signed({}, [EVE])],
    [
      'somebody else under a known name',
      signed({}, [signerFromPem(generateKey(ANA.vkey.split('+')[0] ?? '').privatePem, ANA.vkey.split('+')[0] ?? '')]),
    ],
    ['a signature of another bundle', signed().replace('"serial":7', '"serial":8')],
  ])('is untrusted when it is signed by %s', (_name, note) => {
    expect(() => openBundle(note, TRUST, NOW)).toThrowError(coded('POLICY_BUNDLE_UNTRUSTED'));
  });

  it('counts people, not signatures', () => {
    const pem = generateKey('one').privatePem;
    const [one, again] = [signerFromPem(pem, 'one'), signerFromPem(pem, 'two')];
    const both = { keys: [ANA.vkey, BEN.vkey], threshold: 2 };
    expect(openBundle(signed({}, [ANA, BEN]), both, NOW).signedBy).toHaveLength(2);
    expect(() => openBundle(signed({}, [ANA]), both, NOW)).toThrowError(coded('POLICY_BUNDLE_UNTRUSTED'));
    expect(() => openBundle(signed({}, [ANA, EVE]), both, NOW)).toThrowError(coded('POLICY_BUNDLE_UNTRUSTED'));
    // One key under two names is one person.
    const twice = { keys: [one.vkey, again.vkey, ANA.vkey], threshold: 2 };
    expect(() => openBundle(signed({}, [one, again]), twice, NOW)).toThrowError(coded('POLICY_BUNDLE_UNTRUSTED'));
    expect(() => openBundle(signed({}, [one]), { keys: [one.vkey, again.vkey], threshold: 2 }, NOW)).toThrowError(coded('KEY_INVALID'));
  });

  it.each([
    ['no keys', { keys: [] }],
    ['a threshold of none', { keys: [ANA.vkey], threshold: 0 }],
    ['a threshold nobody can reach', { keys: [ANA.vkey], threshold: 2 }],
    ['half a person', { keys: [ANA.vkey], threshold: 0.5 }],
    ['no key', { keys: ['ana'] }],
    ['too many keys', { keys: Array.from({ length: 17 }, () => ANA.vkey) }],
  ])('wants keys that can be used: %s', (_name, trust) => {
    expect(() => openBundle(signed(), trust, NOW)).toThrowError(coded('KEY_INVALID'));
  });

  it('is good for nothing from its expiry on, and denies what is decided then', () => {
    const note = signed({ expires_at: NOW + 10 });
    const { policy } = openBundle(note, TRUST, NOW + 9);
    const at = (atMs: number): unknown => policy.evaluate(policyInput({ args: { amount: 5 }, atMs }));
    expect(at(NOW + 9)).toMatchObject({ effect: 'allow' });
    expect(at(NOW + 10)).toMatchObject({ effect: 'deny', always: true, reasonCode: 'POLICY_EVALUATION_FAILED' });
    expect(() => openBundle(note, TRUST, NOW + 10)).toThrowError(coded('POLICY_BUNDLE_EXPIRED'));
  });

  it.each<readonly [string, () => string]>([
    ['another format', () => noteOver(bundle(), 'countersign/policy-bundle/v2')],
    ['a checkpoint', () => signNote('test.example/ledger\n1\nAAAA\n', [ANA])],
    ['no JSON', () => noteOver('{')],
    ['JSON that is not canonical', () => noteOver(JSON.stringify({ serial: 7, id: 'x' }))],
    ['a name given twice', () => noteOver(canonicalize(bundle()).replace('{"id"', '{"id":"x","id"'))],
    ['two lines of JSON', () => noteOver(`${canonicalize(bundle())}\n${canonicalize(bundle())}`)],
    ['a key it does not know', () => noteOver({ ...bundle(), notBefore: 1 })],
    ['no serial', () => noteOver({ ...bundle(), serial: undefined })],
    ['serial 0', () => noteOver({ ...bundle(), serial: 0 })],
    ['serial 1.5', () => noteOver({ ...bundle(), serial: 1.5 })],
    ['an expiry that is text', () => noteOver({ ...bundle(), expires_at: '2030' })],
    ['no members', () => noteOver({ ...bundle(), members: [] })],
    ['too many members', () => noteOver({ ...bundle(), members: Array.from({ length: 65 }, () => bundle().members[0]) })],
    ['a member of another kind', () => noteOver({ ...bundle(), members: [{ kind: 'script', text: 'allow()' }] })],
    [
      'rules with a key it does not know',
      () => noteOver({ ...bundle(), members: [{ kind: 'rules', definition: { id: 'x', rules: [], except: [] } }] }),
    ],
    [
      'a rule with a key it does not know',
      () =>
        noteOver({
          ...bundle(),
          members: [{ kind: 'rules', definition: { id: 'x', rules: [{ id: 'r', tools: ['*'], effect: 'allow', only: 'x' }] } }],
        }),
    ],
    ['rules that are none', () => noteOver({ ...bundle(), members: [{ kind: 'rules', definition: { id: 'x' } }] })],
    [
      'a condition that does not compile',
      () =>
        noteOver({
          ...bundle(),
          members: [{ kind: 'rules', definition: { id: 'x', rules: [{ id: 'r', tools: ['*'], effect: 'allow', when: '1 +' }] } }],
        }),
    ],
    [
      'Cedar that does not parse',
      () => noteOver({ ...bundle(), members: [{ kind: 'cedar', id: 'c', policies: [{ where: 'a', text: 'permit' }] }] }),
    ],
  ])('is refused although it is signed: %s', (_name, note) => {
    expect(() => openBundle(note(), TRUST, NOW)).toThrowError(coded('POLICY_BUNDLE_INVALID'));
  });

  it('is not signed when it could not be opened again', () => {
    expect(() => signed({ serial: 0 })).toThrowError(coded('POLICY_BUNDLE_INVALID'));
    expect(() => signed({ members: [] })).toThrowError(coded('POLICY_BUNDLE_INVALID'));
    expect(() => signed({ version: 'a\u0085b' })).toThrowError(coded('POLICY_BUNDLE_INVALID'));
    expect(() => signed({}, [])).toThrowError(coded('POLICY_BUNDLE_INVALID'));
    expect(() => readBundle('x')).toThrowError(coded('POLICY_BUNDLE_INVALID'));
    expect(looksLikeBundle('rules: []')).toBe(false);
  });
});

describe('a bundle in the configuration', () => {
  const written = (note: string, block: string): string => {
    const folder = tempDirectory();
    writeFileSync(join(folder, 'policy.bundle'), note);
    const path = join(folder, 'countersign.yaml');
    writeFileSync(path, `version: 1\nagent: bot\npolicy: ${block}\n`);
    return path;
  };
  const block = (more = ''): string => `{ bundle: policy.bundle, keys: ["${ANA.vkey}"]${more} }`;
  const fresh = (more: Partial<Bundle> = {}, signers?: readonly Signer[]): string => signed({ issued_at: Date.now(), ...more }, signers);

  it('is the policy, and its file is one of ours', () => {
    const path = written(fresh(), block());
    const config = loadConfig(path, { env: {} });
    expect(config.policy).toMatchObject({ id: 'billing', version: '3' });
    expect(config.policyFiles).toEqual([join(path, '..', 'policy.bundle')]);
    expect(config.policyMembers).toEqual([]);
  });

  it.each([
    ['unsigned', (note: string) => `${note.split('\n\n')[0]}\n\n`, 'POLICY_BUNDLE_UNTRUSTED'],
    ['signed by somebody else', () => fresh({}, [EVE]), 'POLICY_BUNDLE_UNTRUSTED'],
    ['expired', () => noteOver({ ...bundle(), expires_at: NOW }), 'POLICY_BUNDLE_EXPIRED'],
    ['plain YAML', () => 'id: x\nrules: []\n', 'POLICY_BUNDLE_INVALID'],
    ['too large', () => 'x'.repeat(1_000_001), 'CONFIG_INVALID'],
    ['no text', () => '\ud800', 'POLICY_BUNDLE_INVALID'],
  ])('does not load when it is %s', (_name, change, code) => {
    expect(() => loadConfig(written(change(fresh()), block()), { env: {} })).toThrowError(coded(code));
  });

  it.each([
    ['rules beside it', block(', id: x, rules: []')],
    ['a default beside it', block(', default: allow')],
    ['packs beside it', block(', packs: [baseline]')],
    ['Cedar beside it', block(', cedar: [a.cedar]')],
    ['no keys', '{ bundle: policy.bundle }'],
    ['keys and no bundle', `{ id: x, rules: [], keys: ["${ANA.vkey}"] }`],
    ['a threshold of more than there are', block(', threshold: 2')],
    ['an empty list of keys', '{ bundle: policy.bundle, keys: [] }'],
  ])('is refused with %s', (_name, policy) => {
    expect(() => loadConfig(written(fresh(), policy), { env: {} })).toThrowError(coded('CONFIG_INVALID'));
  });

  it('is not there', () => {
    expect(() => parseConfig(`version: 1\nagent: bot\npolicy: ${block()}`, { path: join(tempDirectory(), 'c.yaml') })).toThrowError(
      coded('CONFIG_NOT_FOUND'),
    );
  });

  it('is taken under the id that the configuration names, and no other the same people signed', () => {
    expect(loadConfig(written(fresh(), block(', id: billing')), { env: {} }).policy.id).toBe('billing');
    expect(() => loadConfig(written(fresh({ id: 'sandbox' }), block(', id: billing')), { env: {} })).toThrowError(
      coded('POLICY_BUNDLE_UNTRUSTED'),
    );
  });

  it.each([
    ['more keys', (own: string) => own.replace('"]', `", "${EVE.vkey}"]`)],
    ['another key', (own: string) => own.replace(ANA.vkey, EVE.vkey)],
    ['another id', (own: string) => own.replace(']', '], id: sandbox')],
    ['no bundle', () => '{ id: billing, default: allow, rules: [] }'],
  ])('is not given up by a running guard for a file with %s', async (_name, change) => {
    const path = written(fresh(), block());
    const config = loadConfig(path, { env: {} });
    const store = memoryStore();
    const guard = createGuard({ agent: 'bot', policy: config.policy, store });
    const errors: string[] = [];
    const watch = watchPolicy(guard, config, { env: {}, onError: (error) => errors.push((error as CountersignError).code) });
    writeFileSync(join(path, '..', 'policy.bundle'), fresh({ serial: 99, id: 'sandbox' }, [ANA, EVE]));
    writeFileSync(path, `version: 1\nagent: bot\npolicy: ${change(block())}\n`);
    await watch.reload();
    await watch.close();
    const rejected = store.entries().filter((entry) => entry.kind === 'note' && entry.topic === 'policy-rejected');
    expect([guard.policy, errors, rejected.length]).toEqual([
      expect.objectContaining({ id: 'billing', hash: config.policy.hash }),
      ['CONFIG_CHANGED'],
      1,
    ]);
  });

  it('is put in force while running when the file changes, and an untrusted one is not', async () => {
    const path = written(fresh(), block());
    const config = loadConfig(path, { env: {} });
    const store = memoryStore();
    const guard = createGuard({ agent: 'bot', policy: config.policy, store });
    const errors: string[] = [];
    const watch = watchPolicy(guard, config, { env: {}, onError: (error) => errors.push((error as CountersignError).code) });
    const put = async (note: string): Promise<string | undefined> => {
      writeFileSync(join(path, '..', 'policy.bundle'), note);
      await watch.reload();
      return guard.policy.version;
    };
    expect(await put(fresh({ serial: 8, version: '4' }))).toBe('4');
    expect(await put(fresh({ serial: 9, version: '5' }, [EVE]))).toBe('4');
    expect(await put(fresh({ serial: 6, version: '2' }))).toBe('4');
    expect(await put(fresh({ serial: 10, version: '6' }).slice(0, 200))).toBe('4');
    expect(await put(fresh({ serial: 9, version: '5' }))).toBe('5');
    expect(errors).toEqual(['POLICY_BUNDLE_UNTRUSTED', 'POLICY_BUNDLE_ROLLED_BACK', 'POLICY_BUNDLE_UNTRUSTED']);
    await watch.close();
  });
});

describe.each<readonly [string, () => Store]>([
  ['memory', memoryStore],
  ['sqlite', () => openLedger(join(tempDirectory(), 'ledger.db'))],
])('rollback, told by the ledger (%s)', (_name, open) => {
  const policyOf = (more: Partial<Bundle>) => openBundle(signed(more), TRUST, NOW).policy;
  const call = { tool: { name: 'refund' }, args: { amount: 5 } };

  it('nothing runs under a bundle that is older than one this ledger recorded', async () => {
    const store = open();
    const guard = (more: Partial<Bundle>) => createGuard({ agent: 'bot', policy: policyOf(more), store });
    expect((await guard({ serial: 7 }).authorize(call)).kind).toBe('permit');
    expect((await guard({ serial: 9 }).authorize(call)).kind).toBe('permit');
    const errors: unknown[] = [];
    const older = createGuard({ agent: 'bot', policy: policyOf({ serial: 7 }), store, onError: (error) => errors.push(error) });
    expect(await older.authorize(call)).toMatchObject({ kind: 'refusal' });
    expect(errors).toEqual([coded('POLICY_BUNDLE_ROLLED_BACK')]);
    // The same serial with other content is no newer.
    expect((await guard({ serial: 9, version: '4' }).authorize(call)).kind).toBe('refusal');
    expect((await guard({ serial: 9 }).authorize(call)).kind).toBe('permit');
    expect((await guard({ serial: 1, id: 'other' }).authorize(call)).kind).toBe('permit');
    await store.close();
  });

  it('a running guard does not go back, also to one it had in force itself', async () => {
    const store = open();
    const guard = createGuard({ agent: 'bot', policy: policyOf({ serial: 7 }), store });
    expect((await guard.authorize(call)).kind).toBe('permit');
    await guard.setPolicy(policyOf({ serial: 8 }));
    await expect(guard.setPolicy(policyOf({ serial: 7 }))).rejects.toEqual(coded('POLICY_BUNDLE_ROLLED_BACK'));
    expect((await guard.authorize(call)).kind).toBe('permit');
    await store.close();
  });

  it('a policy whose document is no JSON is recorded like any other', async () => {
    const store = open();
    const policy = { ...denyAll(), id: 'own', document: 'a bundle of rules', hash: policyHash('a bundle of rules') };
    expect(await createGuard({ agent: 'bot', policy, store }).authorize(call)).toMatchObject({
      kind: 'refusal',
      entry: expect.anything(),
    });
    await store.close();
  });

  it('composing a bundle with something else does not hide it', async () => {
    const store = open();
    const strict = { ...denyAll(), evaluate: () => ({ effect: 'abstain' }) as const };
    const composed = (serial: number) => composePolicies([composePolicies([policyOf({ serial }), strict]), strict]);
    expect(bundlesIn(composed(9).document)).toMatchObject([{ id: 'billing', serial: 9 }]);
    expect((await createGuard({ agent: 'bot', policy: composed(9), store }).authorize(call)).kind).toBe('permit');
    expect((await createGuard({ agent: 'bot', policy: policyOf({ serial: 8 }), store }).authorize(call)).kind).toBe('refusal');
    await store.close();
  });
});
