import { type Config, createGuard, generateKey, openBundle, parseConfig, signBundle, signerFromPem } from '@countersign/core';
import { memoryStore } from '@countersign/core/testing';
import { describe, expect, it } from 'vitest';
import { configuredPolicy } from '../../src/authzen/configured.ts';
import { decisionPoint, json } from './decision-point.ts';

const TOKEN = 'mF_9.B5f-4.1JqM';
const RULES = `
    - { id: never, tools: [wire], effect: deny }
    - { id: asks, tools: [refund], effect: require_approval }`;

function config(url: string, more = '', mode = 'enforce'): Config {
  return parseConfig(`version: 1\nagent: bot\nmode: ${mode}\npolicy:\n  id: p\n  rules:${RULES}\n  authzen: { url: "${url}"${more} }\n`, {
    path: '/c/countersign.yaml',
  });
}

async function effect(tool: string, url: string, mode?: string): Promise<unknown> {
  const guard = createGuard({
    agent: 'bot',
    mode: 'enforce',
    ...(mode === 'audit' && { mode }),
    policy: configuredPolicy(config(url)),
    store: memoryStore(),
  });
  const { decision } = await guard.preview({ tool: { name: tool }, args: {} });
  return [decision.effect, decision.reasonCode];
}

describe('a decision point beside rules', () => {
  it('never revives what a rule denied, and takes no approval away', async () => {
    const { url } = await decisionPoint(json({ decision: true }));
    expect(await effect('wire', url)).toEqual(['deny', 'POLICY_DENY_HIGH_RISK']);
    expect(await effect('refund', url)).toEqual(['require_approval', 'POLICY_REQUIRE_APPROVAL_HIGH_VALUE']);
    expect(await effect('read', url)).toEqual(['allow', 'POLICY_ALLOW_LOW_RISK']);
  });

  it('denies what the rules leave open, and what they would ask about', async () => {
    const { url } = await decisionPoint(json({ decision: false }));
    for (const tool of ['wire', 'refund', 'read']) expect(await effect(tool, url)).toEqual(['deny', 'POLICY_DENY_HIGH_RISK']);
  });

  it.each([
    ['enforce', 'deny', 'POLICY_DEFAULT_DENY'],
    ['confirm', 'require_approval', 'POLICY_DEFAULT_REQUIRE_APPROVAL'],
    ['audit', 'allow', 'POLICY_DEFAULT_DENY'],
  ] as const)('allows nothing that a signed bundle leaves to its default: %s', async (mode, ...said) => {
    const { url } = await decisionPoint(json({ decision: true }));
    const rules = [{ id: 'reads', tools: ['read'], effect: 'allow' }] as const;
    const signer = signerFromPem(generateKey('ana').privatePem, 'ana');
    const members = [{ kind: 'rules', definition: { id: 'm', rules } }] as const;
    const opened = openBundle(signBundle({ id: 'b', serial: 1, issued_at: 1, members }, [signer]), { keys: [signer.vkey] }, 1);
    const policy = configuredPolicy({ ...config(url), bundle: opened, policy: opened.policy });
    const guard = createGuard({ agent: 'bot', mode, policy, store: memoryStore() });
    const of = async (tool: string): Promise<unknown> => (await guard.preview({ tool: { name: tool }, args: {} })).decision;
    expect(await of('wire')).toMatchObject({ effect: said[0], reasonCode: said[1] });
    expect(await of('read')).toMatchObject({ effect: 'allow' });
  });

  it('that fails denies, in audit mode too', async () => {
    const { url } = await decisionPoint(json('{"decision":true,"decision":false}'));
    for (const mode of ['enforce', 'audit']) expect(await effect('read', url, mode)).toEqual(['deny', 'POLICY_EVALUATION_FAILED']);
  });

  it('is asked with the configured token, and named in the recorded document', async () => {
    const { url, received } = await decisionPoint(json({ decision: true }));
    const policy = configuredPolicy(config(url, ', token: { env: T }, id: far, version: "7"'), { env: { T: ` ${TOKEN}\n` } });
    const guard = createGuard({ agent: 'bot', policy, store: memoryStore() });
    await guard.preview({ tool: { name: 'read' }, args: {} });
    expect(received[0]?.headers.authorization).toBe(`Bearer ${TOKEN}`);
    expect(policy.id).toBe('p+far');
    expect(policy.document).toContain(url);
    expect(policy.document).not.toContain(TOKEN);
  });

  it('is not there: the policy is the one of the rules', () => {
    const plain = parseConfig('version: 1\nagent: bot\npolicy: { id: p, rules: [] }');
    expect(configuredPolicy(plain)).toBe(plain.policy);
  });

  it.each([
    ['its token is not there', ', token: { env: MISSING }', 'policy.authzen.token: the variable MISSING is not set'],
    ['its URL needs allow_insecure', '', 'policy.authzen: url must be https'],
  ])('does not start when %s', (_name, more, message) => {
    const url = more === '' ? 'http://decisions.example' : 'https://decisions.example';
    expect(() => configuredPolicy(config(url, more), { env: {} })).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }));
    expect(() => configuredPolicy(config(url, more), { env: {} })).toThrow(message);
  });
});
