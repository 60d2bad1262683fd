/** `report` and `incidents`, on a session that was watched, and a ledger that has its hashes. */
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadConfig, monitorHost } from '@countersign/core';
import { storeFromConfig } from '@countersign/core/sqlite';
import { openEvidence } from '@countersign/monitor';
import { describe, expect, it } from 'vitest';
import { folder, json, project, run } from '../harness.ts';

const ID = '3f9a1c20'.repeat(4);
const EVIL = '</script>\u001b[2J\u202e\n| x |';

async function watched(): Promise<{ readonly cwd: string; readonly dir: string; readonly session: string }> {
  const cwd = await project();
  const config = loadConfig(join(cwd, 'countersign.yaml'));
  const store = storeFromConfig(config);
  const host = monitorHost({ store, agent: config.agent });
  const evidence = openEvidence({
    ...config.monitor.log,
    session: host.session,
    agent: config.agent,
    note: (topic, data) => host.note(topic, data),
  });
  await host.mark('start', { coverage: 'L1' });
  const at = Date.now() - 1000;
  const actor = { pid: 4711, start: 5, exe: '/usr/bin/node', argv: ['node', 'agent.js', '--token', 'hunter2hunter2'] };
  const seen = (seq: number, path: string) =>
    ({
      seq,
      at: at + seq,
      sensor: 'proc-poll',
      phase: 'after',
      actor,
      action: { kind: 'read', path },
      attribution: { method: 'none' },
    }) as const;
  const safe = { level: 'SAFE', rule: 'workspace', reason: '', evaluator: 'rules', confidence: 1, evidence: [] } as const;
  for (let seq = 1; seq < 30; seq++) evidence.log.write(seen(seq, `/w/${seq}`), { ...safe, evidence: [seq] });
  const activity = seen(30, `/home/ada/.ssh/${EVIL}`);
  const verdict = { ...safe, level: 'KILL', rule: 'secret-read', reason: `it read a key ${EVIL}`, evidence: [30] } as const;
  evidence.log.write(activity, verdict);
  await host.record({
    kind: 'verdict',
    session: host.session,
    level: 'KILL',
    enforced: 'KILL',
    mode: 'enforce_kill',
    rule: 'secret-read',
    evaluator: 'rules',
    confidence: 1,
    incident: ID,
    phase: 'after',
    activity: { reason: verdict.reason },
  });
  const incident = { id: ID, at: at + 31, session: host.session, mode: 'enforce_kill', activity, verdict } as const;
  await evidence.incidents.open(incident, [{ ...actor, attribution: { method: 'none' } }]);
  await evidence.incidents.update(incident, [{ at: at + 32, event: 'killed', count: 2, by: EVIL }]);
  await evidence.describe({ startedAtMs: at, endedAtMs: at + 100, mode: 'enforce_kill', level: 'L1', how: 'run', sensors: [] });
  await evidence.close();
  await store.close();
  return { cwd, dir: config.monitor.log.dir, session: host.session };
}

describe('report', () => {
  it('tells the session, and of each file that the ledger has its hash', async () => {
    const { cwd, session } = await watched();
    const ran = await run(['report', '--format', 'json'], { cwd });
    expect(ran.code).toBe(0);
    const report = json(ran);
    expect(report).toMatchObject({
      v: 1,
      counts: { sessions: 1, activities: 30, verdicts: { SAFE: 29, KILL: 1 }, recorded_verdicts: { KILL: 1 }, incidents: 1 },
      sessions: [{ session, level: 'L1' }],
      evidence: [{ status: 'matches' }, { status: 'matches' }, { status: 'matches' }],
    });
    expect(ran.stderr).toBe('');
  });

  it('tells a log that was edited', async () => {
    const { cwd, dir, session } = await watched();
    const path = join(dir, session, 'activity-000001.jsonl');
    writeFileSync(path, readFileSync(path, 'utf8').replace('"KILL"', '"SAFE"'));
    const ran = await run(['report'], { cwd });
    expect(ran.stdout).toContain('CHANGED: not what the ledger has the hash of');
    const out = await run(['report', '--out', 'r.html'], { cwd });
    expect(out.stdout).toContain('1 file is NOT what the ledger has the hash of');
  });

  it('writes a file of its owner, whole, and replaces none without --force', async () => {
    const { cwd } = await watched();
    const first = await run(['report', '--out', 'r.html'], { cwd });
    expect(first.code).toBe(0);
    expect(first.stdout).toContain('1 session, 30 activities: 0 FLAG, 0 HALT, 1 KILL; 1 incident');
    const file = join(cwd, 'r.html');
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const html = readFileSync(file, 'utf8');
    expect(html).toMatch(/^<!doctype html>/);
    expect(html).not.toMatch(/<script|\u001b|\u202e|hunter2/);
    expect((await run(['report', '--out', 'r.html'], { cwd })).code).toBe(1);
    expect(json(await run(['report', '--out', 'r.html', '--force', '--json'], { cwd }))).toMatchObject({
      format: 'html',
      counts: { activities: 30 },
    });
    await run(['report', '--out', 'r.md'], { cwd });
    expect(readFileSync(join(cwd, 'r.md'), 'utf8')).toMatch(/^# What the processes did\n/);
  });

  it('on a terminal cannot act on it', async () => {
    const { cwd } = await watched();
    for (const words of [
      ['report'],
      ['report', '--format', 'html'],
      ['report', '--json'],
      ['incidents', 'list'],
      ['incidents', 'show', '--all'],
    ]) {
      const ran = await run(words, { cwd, tty: true, columns: 300 });
      expect(ran.code).toBe(0);
      expect(ran.stdout.replaceAll('\n', '').replaceAll(/\u001b\[\d{1,2}m/g, '')).not.toMatch(/[\p{Cc}\p{Cf}]/u);
      expect(ran.stdout).not.toContain('hunter2');
    }
  });

  it('of an empty time says what to do', async () => {
    const ran = await run(['report'], { cwd: await project() });
    expect(ran.code).toBe(0);
    expect(ran.stdout).toContain('no process was watched in this period');
    expect(ran.stderr).toContain('countersign run -- <agent>');
  });

  it('without a configuration reads a folder that is named, the predecessor’s too', async () => {
    const cwd = folder();
    const env = { COUNTERSIGN_STATE_DIR: folder() };
    mkdirSync(join(cwd, 'logs'));
    const row = {
      timestamp: new Date(Date.now() - 1000).toISOString(),
      verdict: 'KILL',
      reason: 'x',
      action: { action_type: 'file_read', target: '/k' },
    };
    writeFileSync(join(cwd, 'logs', 'actions_1.jsonl'), `${JSON.stringify(row)}\n`);
    for (const words of [
      ['--log-dir', 'logs'],
      ['--log-dir', 'none', '--sysmond-logs', 'logs'],
    ])
      expect(json(await run(['report', '--json', ...words], { cwd, env }))).toMatchObject({
        predecessor: { actions: 1, verdicts: { KILL: 1 } },
      });
    expect((await run(['report'], { cwd, env })).code).toBe(4);
    expect(existsSync(join(env.COUNTERSIGN_STATE_DIR, 'unconfigured'))).toBe(false);
  });

  it.each([
    [['--format', 'pdf'], 'unknown format "pdf"'],
    [['--last', 'yesterday'], '--last "yesterday" is no time'],
    [['--last', '2999-01-01'], '--last "2999-01-01" is no time'],
    [['--force'], '--force replaces a file'],
    [['extra'], 'unexpected argument "extra"'],
  ])('%j is refused', async (words, message) => {
    const ran = await run(['report', ...words], { cwd: await project() });
    expect(ran.code).toBe(2);
    expect(ran.stderr).toContain(message);
  });
});

describe('incidents list', () => {
  it('shows what became of each', async () => {
    const { cwd, session } = await watched();
    const ran = await run(['incidents', 'list'], { cwd });
    expect(ran.stdout).toMatch(/^INCIDENT +WHEN +LEVEL +STATE +RULE +REASON\n3f9a1c20 +\ds ago +KILL +killed +secret-read +it read a key/);
    expect(json(await run(['incidents', 'list', '--json'], { cwd }))).toMatchObject({
      incidents: [{ id: ID, session, level: 'KILL', rule: 'secret-read', state: 'killed', mode: 'enforce_kill' }],
      unreadable: [],
      limited: false,
    });
  });

  it('names files that hold no incident', async () => {
    const { cwd, dir } = await watched();
    writeFileSync(join(dir, 'incidents', `${'e'.repeat(32)}.json`), '{}');
    expect((await run(['incidents', 'list'], { cwd })).stderr).toContain('holds no incident');
  });

  it('of none says what to do', async () => {
    const ran = await run(['incidents', 'list'], { cwd: await project() });
    expect(ran.code).toBe(0);
    expect(ran.stdout).toMatch(/no incident in .*\n`countersign run -- <agent>`/);
    expect((await run(['incidents', 'list', '--limit', '0'], { cwd: await project() })).code).toBe(2);
  });
});

describe('incidents show', () => {
  it.each([[[]], [['3f9a']], [[ID]]])('tells the incident of %j', async (words) => {
    const { cwd } = await watched();
    const ran = await run(['incidents', 'show', ...words], { cwd });
    expect(ran.code).toBe(0);
    for (const text of [
      'KILL secret-read: it read a key',
      `incident  ${ID}`,
      'state     killed',
      'node agent.js --token',
      '10 activities before',
      '(4711)',
    ])
      expect(ran.stdout).toContain(text);
    expect((await run(['incidents', 'show', ...words, '--all'], { cwd })).stdout).toContain('read /w/1 ');
    expect(json(await run(['incidents', 'show', '--json', ...words], { cwd }))).toMatchObject({ v: 1, id: ID });
  });

  it.each(['3f9', 'ffff', '../../x', '__proto__'])('%s names none', async (id) => {
    const { cwd } = await watched();
    const ran = await run(['incidents', 'show', id], { cwd });
    expect(ran.code).toBe(1);
    expect(ran.stderr).toMatch(/\[INCIDENT_NOT_FOUND\]\n {2}next: run `countersign incidents list`/);
  });

  it('where there is none', async () => {
    const ran = await run(['incidents', 'show'], { cwd: await project() });
    expect(ran.stderr).toContain('[INCIDENT_NOT_FOUND]');
  });
});
