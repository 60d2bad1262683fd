import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { Action, Activity, Actor } from '../../src/activity.ts';
import type { Level, Verdict } from '../../src/verdict.ts';

export const T0: number = Date.UTC(2026, 0, 1);

export function tempFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-evidence-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export const NODE: Actor = {
  pid: 4711,
  start: 90210,
  parent: 4700,
  exe: '/usr/bin/node',
  argv: ['node', 'agent.js', '--api-key', 'hunter2hunter2'],
  cwd: '/home/ada/work',
};

export function activity(
  seq: number,
  action: Action = { kind: 'read', path: '/home/ada/work/a.txt' },
  more: Partial<Activity> = {},
): Activity {
  return {
    seq,
    at: T0 + seq * 1000,
    sensor: 'proc-poll',
    phase: 'after',
    actor: NODE,
    action,
    attribution: { method: 'none' },
    ...more,
  };
}

export function verdict(level: Level = 'SAFE', seq = 1, more: Partial<Verdict> = {}): Verdict {
  const rule = level === 'SAFE' ? 'allowed-path' : 'secret-read';
  return { level, rule, reason: 'within the allowed paths', evaluator: 'rules', confidence: 1, evidence: [seq], ...more };
}
