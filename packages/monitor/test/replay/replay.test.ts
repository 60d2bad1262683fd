import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { parsePredecessorLine } from '../../src/replay/predecessor-lines.ts';
import { readReplayable } from '../../src/replay/read-replayable.ts';
import { replayActivity } from '../../src/replay/replay.ts';
import { defaultScope, loadScope } from '../../src/scope/load.ts';

const folder = mkdtempSync(join(tmpdir(), 'countersign-replay-'));
afterAll(() => rmSync(folder, { recursive: true }));
const OPTIONS = { workspace: '/w', home: '/home/u', tmp: [], platform: 'linux' } as const;

const theirs = (action: object, verdict = 'SAFE'): string =>
  JSON.stringify({
    timestamp: '2026-03-01T10:00:00+00:00',
    verdict,
    reason: 'r',
    evaluator: 'rule_engine',
    confidence: 1.0,
    action: { timestamp: '2026-03-01T10:00:00+00:00', details: {}, ...action },
  });
const ours = (seq: number, action: object, verdict = 'SAFE'): string =>
  JSON.stringify({
    v: 1,
    activity: { seq, at: seq * 1000, sensor: 's', phase: 'after', action, attribution: { method: 'none' } },
    verdict: { level: verdict, rule: 'x', reason: '', evaluator: 'rules', confidence: 1, evidence: [seq] },
  });

describe('lines of the predecessor', () => {
  it('are activities', () => {
    expect(parsePredecessorLine(theirs({ action_type: 'file_read', target: '/x', source_pid: 7 }, 'FLAG'), 3)).toMatchObject({
      activity: { seq: 3, at: Date.UTC(2026, 2, 1, 10), actor: { pid: 7 }, action: { kind: 'read', path: '/x' } },
      verdict: { level: 'FLAG', rule: 'suy-sideguy', reason: 'r', evaluator: 'rules', confidence: 1 },
    });
    const actionOf = (action: object): unknown => parsePredecessorLine(theirs(action), 1)?.activity.action;
    expect(actionOf({ action_type: 'file_write', target: '/x' })).toEqual({ kind: 'write', path: '/x' });
    expect(actionOf({ action_type: 'file_delete', target: '/x' })).toEqual({ kind: 'delete', path: '/x' });
    expect(actionOf({ action_type: 'process_exec', target: 'rm -rf  /x' })).toEqual({ kind: 'exec', exe: 'rm', argv: ['rm', '-rf', '/x'] });
    expect(actionOf({ action_type: 'network_out', target: '8.8.8.8:443', details: { remote_ip: '8.8.8.8', remote_port: 443 } })).toEqual({
      kind: 'connect',
      protocol: 'tcp',
      address: '8.8.8.8',
      port: 443,
    });
    expect(actionOf({ action_type: 'network_out', target: '::1:80' })).toEqual({
      kind: 'connect',
      protocol: 'tcp',
      address: '::1',
      port: 80,
    });
  });

  it.each([
    ['no JSON', '{'],
    ['no object', '[]'],
    ['nothing', 'null'],
    ['no action', JSON.stringify({ timestamp: '2026-03-01', verdict: 'SAFE' })],
    ['a verdict only', theirs({ action_type: 'unknown', target: 'rate_limit_exceeded' }, 'KILL')],
    ['a verdict that is none', theirs({ action_type: 'file_read', target: '/x' }, 'MAYBE')],
    ['a time that is none', theirs({ action_type: 'file_read', target: '/x', timestamp: 'yesterday' })],
    ['a target that is no text', theirs({ action_type: 'file_read', target: {} })],
    ['an action of a prototype', theirs({ action_type: 'constructor', target: '/x' })],
    ['a command of nothing', theirs({ action_type: 'process_exec', target: '  ' })],
  ])('%s is none', (_name, line) => {
    expect(parsePredecessorLine(line, 1)).toBeUndefined();
  });

  it('take odd numbers for none', () => {
    const line = parsePredecessorLine(
      theirs({ action_type: 'network_out', target: 'x:y', source_pid: -1, details: { remote_port: 99_999_999 } }),
      1,
    );
    expect(line?.activity).not.toHaveProperty('actor');
    expect(line?.activity.action).toEqual({ kind: 'connect', protocol: 'tcp', address: 'x', host: 'x' });
  });
});

describe('replay', () => {
  it('tells what another scope would have made of a session', () => {
    const session = join(folder, 'session');
    mkdirSync(session);
    writeFileSync(
      join(session, 'activity-000001.jsonl'),
      [
        ours(1, { kind: 'read', path: '/w/a' }),
        ours(2, { kind: 'read', path: '/secret/b' }),
        JSON.stringify({ v: 1, lost: 4 }),
        'nonsense',
        ours(3, { kind: 'read', path: '/w/c' }, 'FLAG'),
        ours(4, { kind: 'write', path: '/srv/d' }),
        '',
      ].join('\n'),
    );
    const scope = loadScope({ text: 'scope: { filesystem: { forbidden_paths: ["/secret/**"] } }' });
    const seen: string[] = [];
    const replay = replayActivity(readReplayable(session), scope, {
      ...OPTIONS,
      onActivity: ({ activity }, { level }) => seen.push(`${activity.seq} ${level}`),
    });
    expect(seen).toEqual(['1 SAFE', '2 KILL', '3 SAFE', '4 HALT']);
    expect(replay).toMatchObject({
      activities: 4,
      recorded: { SAFE: 3, FLAG: 1, HALT: 0, KILL: 0 },
      replayed: { SAFE: 2, FLAG: 0, HALT: 1, KILL: 1 },
      afterKill: 2,
      lost: 4,
      badLines: 1,
    });
    expect(replay.first.KILL?.verdict).toMatchObject({ rule: 'forbidden-path', evidence: [2] });
    expect(replay.changes.map(({ from, to, rule, count }) => `${from} ${to} ${rule} ${count}`)).toEqual([
      'SAFE KILL forbidden-path 1',
      'SAFE HALT write-outside 1',
      'FLAG SAFE x 1',
    ]);
    expect([...replay.rules]).toEqual([
      ['forbidden-path', 1],
      ['write-outside', 1],
    ]);
  });

  it('reads what the predecessor left, several files as one session', () => {
    const logs = join(folder, 'sysmond');
    mkdirSync(logs);
    writeFileSync(
      join(logs, 'actions_20260301_100000.jsonl'),
      `${theirs({ action_type: 'file_delete', target: '/a' })}\n${theirs({ action_type: 'file_delete', target: '/b' })}\n`,
    );
    writeFileSync(
      join(logs, 'actions_20260301_110000.jsonl'),
      `${theirs({ action_type: 'file_delete', target: '/c' })}\n${theirs({ action_type: 'process_exec', target: 'curl x' })}`,
    );
    writeFileSync(join(logs, 'other.jsonl'), 'x\n');
    const replay = replayActivity(
      readReplayable(logs),
      loadScope({ text: 'filesystem: { allowed_paths: ["/**"] }' }, { env: {} }),
      OPTIONS,
    );
    expect(replay.replayed).toEqual({ SAFE: 2, FLAG: 0, HALT: 2, KILL: 0 });
    expect([...replay.rules.keys()]).toEqual(['mass-deletion', 'transfer-tool']);
    expect(replayActivity(readReplayable(join(logs, 'actions_20260301_110000.jsonl')), defaultScope(), OPTIONS).activities).toBe(2);
  });

  it('says what cannot be read', () => {
    expect(() => [...readReplayable(join(folder, 'absent'))]).toThrow(expect.objectContaining({ code: 'ACTIVITY_LOG_FAILED' }));
    expect(() => [...readReplayable(join(folder, 'actions_x.jsonl'))]).toThrow(expect.objectContaining({ code: 'ACTIVITY_LOG_FAILED' }));
    writeFileSync(join(folder, 'actions_long.jsonl'), `${'x'.repeat(2_000_000)}\n${theirs({ action_type: 'file_read', target: '/x' })}\n`);
    const lines = [...readReplayable(join(folder, 'actions_long.jsonl'))];
    expect(lines.map((line) => ('bad' in line ? line.bad : 'good'))).toEqual(['too long', 'good']);
  });
});
