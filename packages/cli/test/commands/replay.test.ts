import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { folder, json, run } from '../harness.ts';

const line = (seq: number, action: object): string =>
  JSON.stringify({
    v: 1,
    activity: { seq, at: 1_767_225_600_000 + seq, sensor: 's', phase: 'after', action, attribution: { method: 'none' } },
    verdict: { level: 'SAFE', rule: 'in-scope', reason: '', evaluator: 'rules', confidence: 1, evidence: [seq] },
  });

/** A session in a log folder, and a scope beside it. */
function recorded(): string {
  const cwd = folder();
  const session = join(cwd, 'logs', 'abc123');
  mkdirSync(session, { recursive: true });
  const actions = [
    { kind: 'read', path: join(cwd, 'a') },
    { kind: 'read', path: '/vault/x\u001b[2J' },
    { kind: 'write', path: '/srv/y' },
  ];
  writeFileSync(join(session, 'activity-000001.jsonl'), actions.map((action, index) => `${line(index + 1, action)}\n`).join(''));
  writeFileSync(join(cwd, 'scope.yaml'), 'scope: { filesystem: { forbidden_paths: ["/vault/**"] } }\n');
  return cwd;
}

describe('replay', () => {
  it('tells what a scope would have made of a session, and hides what a terminal would obey', async () => {
    const cwd = recorded();
    const ran = await run(['replay', 'logs/abc123', '--scope', 'scope.yaml'], { cwd });
    expect(ran.stderr).toBe('');
    expect(ran.code).toBe(0);
    expect(ran.stdout).toMatch(/^3 activities +SAFE +FLAG +HALT +KILL\nas recorded +3 +0 +0 +0\nunder this scope +1 +0 +1 +1\n/);
    expect(ran.stdout).toContain('first KILL: activity 2, 2026-01-01T00:00:00.002Z, forbidden-path:');
    expect(ran.stdout).toContain('1 activities came after the first KILL');
    expect(ran.stdout).toMatch(/SAFE +KILL +1 +forbidden-path/);
    expect(ran.stdout).not.toContain('\u001b');
  });

  it('finds a session by its name, and can fail a build', async () => {
    const cwd = recorded();
    const ran = await run(['replay', 'abc123', '--log-dir', 'logs', '--scope', 'scope.yaml', '--exit-code', '--json'], { cwd });
    expect(ran.code).toBe(1);
    expect(json(ran)).toMatchObject({
      verified: false,
      scope: { form: 'countersign' },
      activities: 3,
      replayed: { SAFE: 1, FLAG: 0, HALT: 1, KILL: 1 },
      rules: { 'forbidden-path': 1, 'write-outside': 1 },
      first: { KILL: { seq: 2, rule: 'forbidden-path' } },
      after_kill: 1,
    });
  });

  it("takes the built-in scope when none is written, and a predecessor's log and scope", async () => {
    const cwd = recorded();
    expect(json(await run(['replay', 'logs/abc123', '--json'], { cwd }))).toMatchObject({ replayed: { SAFE: 2, HALT: 1 } });
    writeFileSync(
      join(cwd, 'actions_1.jsonl'),
      `${JSON.stringify({ timestamp: '2026-03-01T10:00:00Z', verdict: 'FLAG', action: { action_type: 'file_write', target: '/ws/x' } })}\n`,
    );
    writeFileSync(join(cwd, 'flat.yaml'), 'deny_write: ["/ws/**"]\n');
    const ran = await run(['replay', 'actions_1.jsonl', '--scope', 'flat.yaml'], { cwd });
    expect(ran.stderr).toContain('the predecessor loaded this flat form without enforcing it');
    expect(ran.stdout).toMatch(/FLAG +KILL +1 +forbidden-path/);
  });

  it('says when nothing is in it', async () => {
    const cwd = recorded();
    writeFileSync(join(cwd, 'empty.jsonl'), '');
    const ran = await run(['replay', 'empty.jsonl'], { cwd });
    expect([ran.code, ran.stdout]).toEqual([3, 'no activity is in this log\n']);
  });

  it.each([
    [['nowhere/x'], 'ACTIVITY_LOG_FAILED'],
    [['nosuchsession', '--log-dir', 'logs'], 'USAGE'],
    [['../../etc', '--log-dir', 'logs'], 'ACTIVITY_LOG_FAILED'],
    [['logs/abc123', '--scope', 'nope.yaml'], 'CONFIG_NOT_FOUND'],
    [['logs/abc123', '--scope', 'broken.yaml'], 'SCOPE_INVALID'],
  ])('%j is refused with %s', async (argv, error) => {
    const cwd = recorded();
    writeFileSync(join(cwd, 'broken.yaml'), 'filesystem: { forbiden_paths: [] }\n');
    const ran = await run(['replay', ...argv], { cwd });
    expect(ran.stderr).toContain(`[${error}]`);
    expect(ran.code).toBeGreaterThan(0);
  });
});
