import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CountersignError } from '@countersign/core';
import { afterAll, describe, expect, it } from 'vitest';
import { defaultScope, loadScope } from '../../src/scope/load.ts';
import { scopeSummary } from '../../src/scope/summary.ts';

const folder = mkdtempSync(join(tmpdir(), 'countersign-scope-'));
afterAll(() => rmSync(folder, { recursive: true }));

const NESTED = `
agent: { name: openclaw, pid: null }
filesystem:
  allowed_paths: ["/tmp/safe/**"]
  forbidden_paths: ["/tmp/secret/**"]
  forbidden_extensions: [".pem"]
network:
  allowed_domains: [example.com]
  forbidden_domains: [evil.com]
  allowed_ports: [443]
process:
  allowed_commands: [python3]
  forbidden_commands: [curl, "rm -rf /"]
behavior: { flag_threshold: 7, flag_window: 60, max_actions_per_minute: 200, halt_threshold: 3 }
`;

const FLAT = `
mode: audit
allow_read: ["/workspace/**"]
deny_write: ["~/.ssh/**"]
deny_exec: [curl, wget]
flag_threshold: 3
flag_window: 60
halt_threshold: 2
`;

function refusal(text: string): CountersignError {
  try {
    loadScope({ text, name: 'scope.yaml' });
  } catch (error) {
    if (CountersignError.is(error)) return error;
    throw error;
  }
  throw new Error('it was taken');
}

describe('forms of a scope', () => {
  it("loads the predecessor's nested form with its literal figures", () => {
    const scope = loadScope({ text: NESTED }, { env: {} });
    expect(scope).toMatchObject({
      form: 'nested',
      agent: 'openclaw',
      filesystem: { allowedPaths: ['/tmp/safe/**'], forbiddenPaths: ['/tmp/secret/**'], forbiddenExtensions: ['.pem'] },
      network: { allowedDomains: ['example.com'], forbiddenDomains: ['evil.com'], allowedPorts: [443] },
      process: { allowedCommands: ['python3'], forbiddenCommands: ['curl', 'rm -rf /'] },
      warnings: [],
    });
    expect(scope.limits).toMatchObject({
      flagThreshold: 7,
      flagWindowMs: 60_000,
      flagEnds: 'none',
      haltThreshold: 3,
      actionsPerMinute: 200,
      deletions: 3,
      connectionsPerMinute: 50,
    });
  });

  it("takes the predecessor's defaults where its form says nothing", () => {
    const { limits, network, filesystem } = loadScope({ text: '' }, { env: {} });
    expect(limits).toMatchObject({ flagThreshold: 5, flagWindowMs: 300_000, actionsPerMinute: 60, deletions: 3 });
    expect(filesystem.allowedPaths).toEqual([]);
    expect(network.allowedPorts).toEqual([]);
  });

  it("kills on flags under the predecessor's forms only when its environment variable says so", () => {
    expect(loadScope({ text: NESTED }, { env: { WARDEN_KILL_ON_FLAGS: '1' } }).limits.flagEnds).toBe('KILL');
    expect(loadScope({ text: NESTED }, { env: { WARDEN_KILL_ON_FLAGS: '0' } }).limits.flagEnds).toBe('none');
    expect(loadScope({ text: 'scope: {}' }, { env: { WARDEN_KILL_ON_FLAGS: '1' } }).limits.flagEnds).toBe('HALT');
  });

  it("gives the predecessor's flat form, which enforced nothing there, its meaning", () => {
    const scope = loadScope({ text: FLAT }, { env: {} });
    expect(scope).toMatchObject({
      form: 'flat',
      mode: 'audit_only',
      filesystem: { allowedPaths: ['/workspace/**'], forbiddenPaths: [], forbiddenWrites: ['~/.ssh/**'] },
      process: { forbiddenCommands: ['curl', 'wget'] },
      limits: { flagThreshold: 3, flagWindowMs: 60_000, haltThreshold: 2 },
    });
    expect(scope.warnings).toEqual(['the predecessor loaded this flat form without enforcing it; here it is enforced']);
  });

  it.each([
    ['audit', 'audit_only'],
    ['confirm', 'flag_and_hold'],
    ['enforce', 'enforce_kill'],
    ['flag_and_hold', 'flag_and_hold'],
  ])('mode %s of the flat form is %s', (mode, meant) => {
    expect(loadScope({ text: `mode: ${mode}` }).mode).toBe(meant);
  });

  it('loads our own form, alone or out of a whole configuration, with calibrated figures', () => {
    for (const text of [
      'scope: { filesystem: { forbidden_paths: ["~/x"] } }',
      'version: 1\nagent: a\nscope: { filesystem: { forbidden_paths: ["~/x"] } }',
    ]) {
      const scope = loadScope({ text }, { env: {} });
      expect(scope).toMatchObject({
        form: 'countersign',
        filesystem: { forbiddenPaths: ['~/x'] },
        limits: { deletions: 20, flagEnds: 'HALT' },
      });
      expect(scope.filesystem.allowedPaths).toBeUndefined();
      expect(scope.limits.actionsPerMinute).toBeUndefined();
    }
    expect(loadScope({ document: { behavior: { flag_kill: true, max_deletions: 5, max_memory_mb: 1 } } }).limits).toMatchObject({
      flagEnds: 'KILL',
      deletions: 5,
      memoryBytes: 1_048_576,
    });
    expect(defaultScope().form).toBe('countersign');
  });

  it('reads a file, and says when there is none', () => {
    const path = join(folder, 'scope.yaml');
    writeFileSync(path, NESTED);
    expect(loadScope({ path }).form).toBe('nested');
    expect(() => loadScope({ path: join(folder, 'absent.yaml') })).toThrow(expect.objectContaining({ code: 'CONFIG_NOT_FOUND' }));
    expect(() => loadScope({ path: folder })).toThrow(expect.objectContaining({ code: 'SCOPE_INVALID' }));
  });
});

describe('broken scopes', () => {
  it.each([
    ['a list', '- a\n- b', '1:1 a scope is a list of keys'],
    ['text', 'hello', '1:1 a scope is a list of keys'],
    ['no YAML', 'filesystem: [', 'scope.yaml:'],
    ['a tag', 'filesystem: !!python/object:os.system {}', 'tags are not allowed'],
    ['a key twice', 'mode: audit\nmode: enforce', 'unique'],
    ['a prototype name', '__proto__: {}', 'not allowed'],
    ['an alias bomb', `a: &a [x, x, x, x, x, x, x, x, x]\nb: &b [${'*a, '.repeat(9)}]\nc: [${'*b, '.repeat(9)}]`, 'too many aliases'],
    ['a mistyped part', 'filesytem: {}', 'did you mean "filesystem"?'],
    [
      'a mistyped list',
      'filesystem:\n  forbiden_paths: [/x]',
      '2:3 filesystem.forbiden_paths: unknown key "forbiden_paths", did you mean "forbidden_paths"?',
    ],
    [
      'a mistyped key of the flat form',
      'allow_read: [/x]\ndeny_wrte: [/y]',
      '2:1 deny_wrte: unknown key "deny_wrte", did you mean "deny_write"?',
    ],
    ['a list that is none', 'filesystem: { allowed_paths: /tmp }', 'expected array, got string'],
    ['a list of nothing', 'filesystem: { forbidden_paths: }', 'expected array, got nothing'],
    ['a port as text', 'network: { allowed_ports: ["443"] }', 'expected number, got string'],
    ['a port that is none', 'network: { allowed_ports: [70000] }', 'too large'],
    ['a mode that is none', 'mode: enforced', 'did you mean "enforce"?'],
    ['both forms', 'allow_read: [/x]\nfilesystem: {}', '2:1 filesystem: "filesystem" is of the nested form'],
    ["somebody else's home", 'filesystem: { forbidden_paths: ["~root/.ssh"] }', 'write the folder out'],
    ['an unknown key of our form', 'scope: { filesystem: { forbidden: [] } }', 'unknown key "forbidden"'],
    ['something beside our form', 'scope: {}\nfilesystem: {}', '2:1 filesystem: unknown key "filesystem": beside scope'],
    ['a threshold of nothing', 'flag_threshold: 0', 'too small'],
    ['a threshold without end', 'flag_threshold: .inf', 'flag_threshold'],
  ])('%s is refused', (_name, text, message) => {
    const error = refusal(text);
    expect(error.code).toBe('SCOPE_INVALID');
    expect(error.message).toContain(message);
  });

  it('tells all problems at once', () => {
    expect(
      refusal('filesystem: { allowed_paths: 1 }\nnetwork: { allowed_prts: [] }\nprocess: { forbidden_commands: {} }').details,
    ).toMatchObject({ problems: 3 });
  });

  it('is refused when it is too large', () => {
    expect(refusal(`allow_read: [${'"/a", '.repeat(1001)}]`).message).toContain('at most 1000');
    expect(refusal(`# ${'x'.repeat(1_048_577)}`).message).toContain('larger than');
  });

  it('passes over what the predecessor passed over, and says so', () => {
    expect(loadScope({ text: 'notes: hello\nfilesystem: { comment: x, allowed_paths: [projects] }' }).warnings).toEqual([
      '1:1 unknown key "notes": passed over, as the predecessor did',
      '2:15 unknown key "comment": passed over, as the predecessor did',
      '2:43 "projects" matches nothing: paths are compared whole, begin it with / or ~',
    ]);
  });
});

it('a scope in a few lines hides no control characters in them', () => {
  const summary = scopeSummary(loadScope({ text: 'filesystem: { forbidden_paths: ["/a\\u001b[2Jb"] }' }));
  expect(summary).toContain('may not touch: /a\\u{1b}[2Jb');
  expect(summary).toContain('at most 3 deletions in 10 s');
});
