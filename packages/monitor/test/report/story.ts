/** A fixed session on disk, and the ledger that belongs to it: what reports are made from in tests. */
import { mkdirSync, readdirSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Json } from '@countersign/core';
import type { RecordFacts } from '@countersign/core/sqlite';
import { enforcementOf } from '../../src/enforcement.ts';
import { openEvidence } from '../../src/evidence/evidence.ts';
import type { ReportOptions } from '../../src/report/gather.ts';
import { activity, T0, verdict } from '../evidence/samples.ts';

export const SESSION = '0123456789abcdef0123456789abcdef';
export const CALL = '00000000000000000000000000000065';
export const INCIDENT = 'a'.repeat(32);
const HOUR_MS = 3_600_000;

export function facts(
  index: number,
  atMs: number,
  kind: string,
  body: Readonly<Record<string, Json>>,
  more: Partial<RecordFacts> = {},
): RecordFacts {
  return { index, leaf: String(index).padStart(64, '0'), kind, atMs, shown: new Map(), body, ...more };
}

/** Two minutes of an agent that builds, then reads a key. */
export async function story(dir: string): Promise<readonly RecordFacts[]> {
  const records: RecordFacts[] = [];
  const add = (atMs: number, kind: string, body: Readonly<Record<string, Json>>, more: Partial<RecordFacts> = {}): void => {
    records.push(facts(records.length, atMs, kind, body, more));
  };
  add(T0, 'session', { coverage: 'L1' }, { session: SESSION, event: 'start' });
  add(
    T0 + 2000,
    'decision',
    {},
    {
      call: CALL,
      effect: 'require_approval',
      tool: { server: 'files', name: 'read' },
      rule: 'ask-first',
      reasonCode: 'POLICY_REQUIRE_APPROVAL_HIGH_VALUE',
      agent: 'billing-bot',
      session: 's1',
    },
  );
  add(T0 + 4000, 'approval', {}, { call: CALL, answer: 'approve', approver: 'ada' });
  add(
    T0 + 4001,
    'decision',
    {},
    {
      call: CALL,
      effect: 'allow',
      tool: { server: 'files', name: 'read' },
      rule: 'ask-first',
      reasonCode: 'POLICY_REQUIRE_APPROVAL_HIGH_VALUE',
      agent: 'billing-bot',
      session: 's1',
    },
  );
  add(T0 + 4500, 'outcome', {}, { call: CALL, status: 'success', durationMs: 120 });
  add(
    T0 + 5000,
    'decision',
    {},
    { call: '66'.repeat(16), effect: 'deny', tool: { name: 'drop <table>' }, reasonCode: 'POLICY_DENY_HIGH_RISK' },
  );

  const evidence = openEvidence({
    dir,
    session: SESSION,
    agent: 'billing-bot',
    note: async (topic, data) => add(T0 + 130_000, 'note', { topic, data }),
    capture: async (processes) => ({ at: T0, processes, omitted: 0 }),
  });
  for (let seq = 1; seq <= 100; seq++) {
    const of = seq % 10 === 0 ? { attribution: { method: 'scope', call: CALL } as const } : {};
    evidence.log.write(activity(seq, { kind: 'read', path: `/home/ada/work/src/${seq}.ts` }, of), verdict('SAFE', seq));
    if (seq % 20 === 0) {
      const figures = { processes: 3, cpu_percent: seq / 2, rss_bytes: 50_000_000 + seq * 100_000, fds: 40 };
      evidence.log.write(
        activity(100 + seq, { kind: 'resource', ...figures }, { at: T0 + seq * 1000, actor: undefined as never }),
        verdict('SAFE', seq),
      );
    }
  }
  const connect = activity(
    201,
    { kind: 'connect', protocol: 'tcp', host: 'x.example', port: 443 },
    { at: T0 + 110_000, attribution: { method: 'window', candidates: [CALL] } },
  );
  evidence.log.write(connect, verdict('FLAG', 201, { rule: 'unknown-domain', reason: 'x.example is not among the allowed domains' }));
  add(
    T0 + 110_000,
    'verdict',
    { level: 'FLAG', enforced: 'FLAG', rule: 'unknown-domain' },
    { session: SESSION, rule: 'unknown-domain', shown: new Map([['activity', { reason: 'x.example is not among the allowed domains' }]]) },
  );
  const read = activity(202, { kind: 'read', path: '/home/ada/.ssh/id_rsa' }, { at: T0 + 120_000 });
  const kill = verdict('KILL', 202, { reason: 'it read a private key: /home/ada/.ssh/id_rsa' });
  evidence.log.write(read, kill);
  add(
    T0 + 120_000,
    'verdict',
    { level: 'KILL', enforced: 'KILL', rule: 'secret-read', incident: INCIDENT },
    { session: SESSION, rule: 'secret-read', shown: new Map([['activity', { reason: kill.reason }]]) },
  );
  const incident = { id: INCIDENT, at: T0 + 120_001, session: SESSION, mode: 'enforce_kill', activity: read, verdict: kill } as const;
  await evidence.incidents.open(incident, [{ pid: 4711, start: 90210, attribution: { method: 'none' } }]);
  await evidence.incidents.update(incident, [
    { at: T0 + 120_002, event: 'frozen', grade: 'cgroup', count: 3, duration_ms: 2 },
    { at: T0 + 120_100, event: 'killed', grade: 'cgroup', count: 3, duration_ms: 4, by: 'secret-read' },
  ]);
  add(
    T0 + 120_002,
    'containment',
    { event: 'frozen', grade: 'cgroup', count: 3, incident: INCIDENT },
    { session: SESSION, event: 'frozen' },
  );
  add(
    T0 + 120_100,
    'containment',
    { event: 'killed', grade: 'cgroup', count: 3, incident: INCIDENT },
    { session: SESSION, event: 'killed' },
  );
  await evidence.describe({
    startedAtMs: T0,
    endedAtMs: T0 + 121_000,
    mode: 'enforce_kill',
    level: 'L1',
    grade: 'cgroup',
    how: 'run',
    command: ['node', 'agent.js'],
    pids: [4711],
    // Decided at the start; by the end the level had fallen.
    enforcement: enforcementOf({
      mode: 'enforce_kill',
      gives: ['spawn', 'exit', 'exec', 'read', 'write', 'connect'],
      seenLevel: 'L1',
      freeze: 'cgroup',
      kernel: { trapReads: 'deny-list' },
    }),
    fell: [{ at: T0 + 60_000, level: 'L1', sensor: 'seccomp', why: 'its thread ended' }],
    sensors: [
      { name: 'seccomp', level: 'L2', gives: ['exec', 'read'], isAlive: false, seen: 7, lost: 0 },
      { name: 'proc-poll', level: 'L0', gives: ['spawn', 'exit', 'exec', 'read', 'write', 'connect'], isAlive: true, seen: 102, lost: 2 },
      { name: 'resources', level: 'L0', gives: ['resource'], isAlive: true, seen: 5, lost: 0 },
    ],
  });
  await evidence.close();
  // As if written then: what is older than the period is not looked at.
  for (const folder of [join(dir, SESSION), join(dir, 'incidents')])
    for (const name of readdirSync(folder)) utimesSync(join(folder, name), new Date(T0 + 130_000), new Date(T0 + 130_000));
  return records;
}

export function canaries(workspace: string): void {
  mkdirSync(join(workspace, 'security'), { recursive: true });
  const at = (ms: number): string => new Date(T0 + ms).toISOString();
  writeFileSync(
    join(workspace, 'security', 'canary-audit.jsonl'),
    [
      { ts: at(1000), safe: true, summary: 'Input passed' },
      { ts: at(2000).replace('Z', '+00:00'), safe: false, summary: 'Input blocked by canary_probe (2.561s)' },
      { ts: at(-7 * 24 * HOUR_MS), safe: false, summary: 'long ago' },
    ]
      .map((row) => `${JSON.stringify(row)}\n`)
      .join('') + 'broken\n',
  );
  writeFileSync(
    join(workspace, 'security', 'canary-alerts.jsonl'),
    `${JSON.stringify({ ts: at(2000), summary: 'canary phrase found' })}\n`,
  );
}

/** In the shapes that Suy Sideguy's warden writes. */
export function predecessorLogs(dir: string): void {
  mkdirSync(join(dir, 'incidents'), { recursive: true });
  const at = new Date(T0 + 3000).toISOString().replace('Z', '123+00:00');
  const action = (verdictName: string, reason: string, target: string): unknown => ({
    timestamp: at,
    verdict: verdictName,
    reason,
    evaluator: 'rule_engine',
    confidence: 1,
    action: { timestamp: at, action_type: 'file_read', target, details: { mode: '', fd: 1 }, source_pid: 41538 },
  });
  writeFileSync(
    join(dir, 'actions_20260101_000000.jsonl'),
    [
      action('SAFE', 'Path is within allowed scope', '/w/a'),
      action('FLAG', 'Path outside allowed scope: /etc/hosts', '/etc/hosts'),
      action('KILL', 'Accessed forbidden path: /root/.ssh/id_rsa', '/root/.ssh/id_rsa'),
    ]
      .map((row) => `${JSON.stringify(row)}\n`)
      .join(''),
  );
  writeFileSync(
    join(dir, 'incidents', 'incident_20260101_000000_1767225603.json'),
    JSON.stringify({
      incident_report: { generated_at: at, generator: 'Little Warden v0.1.0', session_id: '20260101_000000', status: 'AGENT_TERMINATED' },
      kill_trigger: {
        timestamp: at,
        action_type: 'file_read',
        target: '/root/.ssh/id_rsa',
        details: {},
        reason: 'Accessed forbidden path: /root/.ssh/id_rsa',
        evaluator: 'rule_engine',
        confidence: 1,
      },
      session_summary: { total_actions_observed: 3, safe_actions: 1, flagged_actions: 1, kill_triggers: 1, session_duration_seconds: 3.5 },
      action_timeline: [],
      liability_statement: {
        agent_process_terminated: true,
        termination_method: 'SIGKILL',
        rollback_attempted: true,
        rollback_details: null,
      },
      kill_execution: { killed: true, pids_terminated: [41538], errors: [] },
    }),
  );
}

export function optionsOf(more: Partial<ReportOptions>): ReportOptions {
  return { sinceMs: T0 - HOUR_MS, untilMs: T0 + HOUR_MS, nowMs: T0 + HOUR_MS, ...more };
}
