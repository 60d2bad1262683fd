/** Whatever a watched process names itself, its files and its hosts: the engine judges, and does not fall. */
import { describe, expect, it } from 'vitest';
import type { Action } from '../../src/activity.ts';
import { ruleEngine } from '../../src/rules/engine.ts';
import { FAMILIES } from '../../src/rules/index.ts';
import { defaultScope } from '../../src/scope/load.ts';
import { activity, exec, HOME, read, scopeOf, session, told, WORK } from './activities.ts';

const ODD = [
  '',
  '/',
  '\0',
  'a\nb',
  '\u001b[2J\u001b[31m',
  '\ud800',
  '\u202e/etc',
  '__proto__',
  'constructor',
  'x'.repeat(100_000),
  `/${'a/'.repeat(50_000)}`,
  '../'.repeat(5000),
  '[redacted:token]',
  '$(rm -rf /)',
  "'; rm -rf / #",
  '/proc/self/root/'.repeat(500),
  '[[[[[[!!!]]]',
  '::::::::::',
  '0x'.repeat(100),
  '%00',
  ' (deleted)',
  '~root/.ssh',
];

const ACTIONS: readonly ((text: string) => Action)[] = [
  (path) => ({ kind: 'read', path, resolved: path }),
  (path) => ({ kind: 'write', path }),
  (path) => ({ kind: 'delete', path, existed: true }),
  (path) => ({ kind: 'rename', path, to: path }),
  (exe) => ({ kind: 'exec', exe, argv: [exe, exe] }),
  (exe) => ({ kind: 'exec', exe, argv: [] }),
  (text) => ({ kind: 'exec', exe: '/bin/sh', argv: ['sh', '-c', text] }),
  (host) => ({ kind: 'connect', protocol: 'tcp', host, address: host, port: Number.NaN }),
  (address) => ({ kind: 'connect', protocol: 'unix', address }),
  (name) => ({ kind: 'dns', name, addresses: [name] }),
  (path) => ({ kind: 'load', path }),
];

describe('hostile names', () => {
  it.each([
    ['our scope', defaultScope()],
    [
      "the predecessor's",
      scopeOf(
        'filesystem: { allowed_paths: ["/a*/[b/**", "~/x"], forbidden_paths: ["**"] }\nprocess: { allowed_commands: [x], forbidden_commands: ["a b"] }',
      ),
    ],
    [
      'lists of ours',
      scopeOf(
        'scope: { filesystem: { allowed_paths: ["**/x"], forbidden_extensions: [x] }, network: { allowed_domains: [a], forbidden_domains: [b] } }',
      ),
    ],
  ])('are judged by every rule under %s', (_name, scope) => {
    const { judge } = session(scope);
    for (const text of ODD)
      for (const make of ACTIONS) {
        const verdict = judge(make(text), { actor: { exe: text, cwd: text, argv: [text] } });
        expect(told(verdict)).not.toContain('rule-failed');
        expect(verdict.reason).not.toMatch(/[\n\u0000-\u001f\u202e]/);
        expect(verdict.reason.length).toBeLessThan(2500);
        expect(verdict.evidence.length).toBeLessThanOrEqual(100);
      }
  });

  it('without any actor too', () => {
    const { engine } = session();
    for (const make of ACTIONS) {
      const { actor: _actor, ...bare } = activity(make('/x'), { seq: 1, at: 0 });
      expect(told(engine.judge(bare))).not.toContain('rule-failed');
    }
  });

  it('too long to be judged whole are told', () => {
    expect(told(session().judge(read(`${WORK}/${'x'.repeat(9000)}`)))).toBe('FLAG odd-name');
  });

  it('of a command too large for the analysis are still judged by its name', () => {
    expect(told(session().judge(exec('curl', 'x'.repeat(100_000))))).toBe('HALT transfer-tool');
    expect(told(session().judge(exec('rm', '-rf', '/srv', ...Array(30_000).fill('x'))))).toBe('KILL recursive-removal');
    expect(told(session().judge(exec('sudo', 'a\nb')))).toBe('HALT privilege');
  });
});

it('a rule that throws is a HALT, and keeps no other from judging', () => {
  const engine = ruleEngine(defaultScope(), {
    workspace: WORK,
    home: HOME,
    real: (path) => path,
    isMember: () => {
      throw new Error('broken');
    },
  });
  expect(told(engine.judge(activity({ kind: 'memory', target: 5 }, { seq: 1, at: 0 })))).toBe('HALT rule-failed');
  expect(told(engine.judge(activity(read('/proc/5/mem', `${HOME}/.ssh/id_rsa`), { seq: 2, at: 0 })))).toBe('KILL ssh-keys');
});

it('links of home and workspace are followed: both names are protected', () => {
  const real = (path: string): string => path.replace('/home/u', '/data/users/u');
  const { judge } = session(scopeOf('scope: { filesystem: { forbidden_paths: ["~/vault/**"] } }'), { real });
  expect(told(judge(read('/data/users/u/.ssh/id_rsa')))).toBe('KILL ssh-keys');
  expect(told(judge(read('/data/users/u/vault/x')))).toBe('KILL forbidden-path');
  expect(told(judge(read(`${HOME}/vault/x`)))).toBe('KILL forbidden-path');
  expect(told(judge({ kind: 'write', path: '/data/users/u/project/x' }))).toBe('SAFE');
});

it('where the file system folds, capitals are no disguise', () => {
  const { judge } = session(scopeOf('scope: { filesystem: { forbidden_paths: ["~/Vault/**"], forbidden_extensions: [.PEM] } }'), {
    platform: 'darwin',
    home: '/Users/u',
    workspace: '/Users/u/Project',
  });
  expect(told(judge(read('/users/U/.SSH/ID_RSA')))).toBe('KILL ssh-keys');
  expect(told(judge(read('/Users/u/vAULT/x')))).toBe('KILL forbidden-path');
  expect(told(judge(read('/Users/u/Project/x.pem')))).toBe('KILL forbidden-extension');
  expect(told(judge({ kind: 'write', path: '/Users/u/Library/Application Support/Claude/claude_desktop_config.json' }))).toBe(
    'KILL client-config',
  );
  expect(told(judge({ kind: 'write', path: '/Users/u/Library/LaunchAgents/x.plist' }))).toBe('HALT persistence');
  expect(told(judge({ kind: 'write', path: '/private/tmp/x' }))).toBe('SAFE');
});

it('reasons go through the redactor', () => {
  const { judge } = session(undefined, { redact: (text) => text.replace('hunter2', '[redacted:x]') });
  expect(judge({ kind: 'write', path: '/srv/hunter2' }).reason).toContain('[redacted:x]');
});

it('every family says which kinds it looks at, and every rule belongs to one', () => {
  for (const { kinds, rules } of FAMILIES) {
    expect(kinds.length).toBeGreaterThan(0);
    expect(rules.length).toBeGreaterThan(0);
  }
});
