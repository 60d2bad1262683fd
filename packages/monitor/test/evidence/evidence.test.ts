import { appendFileSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CountersignError, Json } from '@countersign/core';
import { describe, expect, it } from 'vitest';
import { checkActivityLog, RecordedFiles } from '../../src/evidence/check-log.ts';
import { type EvidenceOptions, openEvidence } from '../../src/evidence/evidence.ts';
import { readIncident } from '../../src/evidence/incident-files.ts';
import { readSessionFile, type SessionFacts } from '../../src/evidence/session-file.ts';
import { activity, NODE, T0, tempFolder, verdict } from './samples.ts';

const SESSION = '0123456789abcdef0123456789abcdef';
const DAY_MS = 86_400_000;
const FACTS: SessionFacts = {
  startedAtMs: T0,
  mode: 'enforce_kill',
  level: 'L1',
  grade: 'cgroup',
  how: 'run',
  command: ['node', 'agent.js', '--token', 'hunter2hunter2'],
  pids: [4711],
  sensors: [{ name: 'proc-poll', level: 'L0', gives: ['spawn', 'read'], isAlive: true, seen: 3, lost: 1 }],
};

function opened(dir: string, more: Partial<EvidenceOptions> = {}) {
  const recorded = new RecordedFiles();
  const troubles: CountersignError[] = [];
  const notes: { topic: string; data: Json }[] = [];
  const evidence = openEvidence({
    dir,
    session: SESSION,
    agent: 'billing-bot',
    note: async (topic, data) => {
      notes.push({ topic, data });
      recorded.add(topic, data);
    },
    onTrouble: (error) => void troubles.push(error),
    capture: async () => ({ at: T0, processes: [], omitted: 0 }),
    ...more,
  });
  return { evidence, recorded, troubles, notes };
}

async function session(dir: string, more: Partial<EvidenceOptions> = {}) {
  const all = opened(dir, more);
  const { evidence } = all;
  await evidence.describe(FACTS);
  evidence.log.write(activity(1), verdict());
  evidence.log.write(activity(2), verdict('HALT', 2));
  const incident = {
    id: 'c'.repeat(32),
    at: T0,
    session: SESSION,
    mode: 'enforce_kill',
    activity: activity(2),
    verdict: verdict('HALT', 2),
  } as const;
  await evidence.incidents.open(incident, [{ ...NODE, attribution: { method: 'none' } }]);
  await evidence.incidents.update(incident, [{ at: T0, event: 'killed', count: 1 }]);
  await evidence.describe({ ...FACTS, endedAtMs: T0 + 9000 });
  await evidence.close();
  return all;
}

const statuses = (dir: string, recorded: RecordedFiles) =>
  Object.fromEntries(checkActivityLog(dir, recorded).map(({ path, status }) => [path, status]));
const LOG = `${SESSION}/activity-000001.jsonl`;
const FACTS_FILE = `${SESSION}/session.json`;
const INCIDENT = `incidents/${'c'.repeat(32)}.json`;

describe('a session', () => {
  it('leaves a log, an incident with what led to it, and what could be seen', async () => {
    const dir = tempFolder();
    const { recorded, troubles } = await session(dir);
    expect(readSessionFile(join(dir, FACTS_FILE))).toMatchObject({
      session: SESSION,
      level: 'L1',
      endedAtMs: T0 + 9000,
      command: ['node', 'agent.js', '--token', '[redacted:key-name]'],
    });
    expect(readIncident(dir, 'c'.repeat(32)).timeline).toHaveLength(2);
    expect(statuses(dir, recorded)).toStrictEqual({ [LOG]: 'matches', [FACTS_FILE]: 'matches', [INCIDENT]: 'matches' });
    expect(troubles).toStrictEqual([]);
  });
});

describe('checking the files against the ledger', () => {
  it.each([
    ['a line that was edited', LOG, (text: string) => text.replace('"SAFE"', '"FLAG"')],
    ['a line that was taken out', LOG, (text: string) => text.slice(text.indexOf('\n') + 1)],
    ['a line that was added', LOG, (text: string) => text + text],
    ['an incident that was edited', INCIDENT, (text: string) => text.replace('"killed"', '"resumed"')],
    ['coverage that was raised', FACTS_FILE, (text: string) => text.replace('"L1"', '"L3"')],
  ])('tells %s', async (_, file, edit) => {
    const dir = tempFolder();
    const { recorded } = await session(dir);
    const path = join(dir, file);
    const text = readFileSync(path, 'utf8');
    const edited = edit(text);
    expect(edited).not.toBe(text);
    writeFileSync(path, edited);
    expect(statuses(dir, recorded)).toMatchObject({ [file]: 'changed' });
    expect(Object.values(statuses(dir, recorded)).filter((status) => status === 'changed')).toHaveLength(1);
  });

  it('tells a file that is gone, and one that nobody recorded', async () => {
    const dir = tempFolder();
    const { recorded } = await session(dir);
    rmSync(join(dir, LOG));
    writeFileSync(join(dir, SESSION, 'activity-000007.jsonl'), '');
    mkdirSync(join(dir, 'other'));
    writeFileSync(join(dir, 'other', 'activity-000001.jsonl'), '');
    expect(statuses(dir, recorded)).toMatchObject({
      [LOG]: 'missing',
      [`${SESSION}/activity-000007.jsonl`]: 'not-recorded',
      'other/activity-000001.jsonl': 'not-recorded',
    });
  });

  it('without a ledger nothing matches', async () => {
    const dir = tempFolder();
    await session(dir);
    expect(new Set(Object.values(statuses(dir, new RecordedFiles())))).toStrictEqual(new Set(['not-recorded']));
  });

  it('takes no note for more than it is', () => {
    const recorded = new RecordedFiles();
    const sha256 = 'a'.repeat(64);
    for (const data of [
      null,
      1,
      [],
      { session: 1, segment: 1, sha256 },
      { session: SESSION, segment: '1', sha256 },
      { session: SESSION, segment: 1, sha256: 'x' },
      { session: SESSION, segment: -1, sha256 },
    ])
      recorded.add('activity-segment', data);
    recorded.add('another-topic', { session: SESSION, segment: 1, sha256 });
    recorded.add('activity-removed', { session: SESSION, segments: 'all' });
    expect(recorded.hashes.size).toBe(0);
  });

  it('a note of a session that names another folder leads nowhere else', () => {
    const recorded = new RecordedFiles();
    recorded.add('activity-segment', { session: '../../etc', segment: 1, sha256: 'a'.repeat(64) });
    expect([...recorded.hashes.keys()]).toStrictEqual([expect.stringMatching(/^s-[0-9a-f]{32}\/activity-000001\.jsonl$/)]);
  });
});

describe('what is too old', () => {
  function age(dir: string, ...files: readonly string[]): void {
    const then = new Date(Date.now() - 40 * DAY_MS);
    for (const file of files) utimesSync(join(dir, file), then, then);
  }

  it('is removed when a session begins, and that is on record', async () => {
    const dir = tempFolder();
    const first = await session(dir);
    age(dir, LOG, FACTS_FILE, INCIDENT);
    const { evidence, notes } = opened(dir, { session: 'b'.repeat(32) });
    await evidence.close();
    expect(existsSync(join(dir, SESSION))).toBe(false);
    for (const { topic, data } of notes) first.recorded.add(topic, data);
    expect(statuses(dir, first.recorded)).toStrictEqual({ [LOG]: 'removed', [FACTS_FILE]: 'removed', [INCIDENT]: 'removed' });
  });

  it('stays when it was written to since, when it is the session itself, and when it is not ours', async () => {
    const dir = tempFolder();
    await session(dir);
    age(dir, LOG, INCIDENT);
    mkdirSync(join(dir, 'mine'));
    writeFileSync(join(dir, 'mine', 'precious.txt'), 'x');
    const elsewhere = tempFolder();
    writeFileSync(join(elsewhere, 'activity-000001.jsonl'), 'x');
    symlinkSync(elsewhere, join(dir, 'link'));
    age(elsewhere, 'activity-000001.jsonl');
    age(dir, 'mine/precious.txt');
    await opened(dir, { session: 'b'.repeat(32) }).evidence.close();
    expect(existsSync(join(dir, LOG))).toBe(true);
    expect(existsSync(join(dir, 'mine', 'precious.txt'))).toBe(true);
    expect(existsSync(join(elsewhere, 'activity-000001.jsonl'))).toBe(true);
    age(dir, FACTS_FILE);
    await opened(dir).evidence.close();
    expect(existsSync(join(dir, LOG))).toBe(true);
  });

  it('leaves what others keep in the folder of a session', async () => {
    const dir = tempFolder();
    await session(dir);
    writeFileSync(join(dir, SESSION, 'notes.txt'), 'x');
    age(dir, LOG, FACTS_FILE, INCIDENT);
    await opened(dir, { session: 'b'.repeat(32) }).evidence.close();
    expect(existsSync(join(dir, SESSION, 'notes.txt'))).toBe(true);
    expect(existsSync(join(dir, LOG))).toBe(false);
  });
});

describe('trouble', () => {
  it('of a session file is told, and nothing else stops', async () => {
    const dir = tempFolder();
    const { evidence, troubles } = opened(dir);
    mkdirSync(join(dir, FACTS_FILE));
    await evidence.describe(FACTS);
    evidence.log.write(activity(1), verdict());
    await evidence.close();
    expect(troubles).toMatchObject([{ code: 'ACTIVITY_LOG_FAILED', message: expect.stringContaining('session.json') }]);
    expect(evidence.log.stats().written).toBe(1);
  });

  it.each(['{}', 'null', '[]', 'x', '{"v":1}'])('a session file that holds %s is none', async (text) => {
    const path = join(tempFolder(), 'session.json');
    writeFileSync(path, text);
    expect(readSessionFile(path)).toBeUndefined();
    appendFileSync(path, ' '.repeat(2_000_000));
    expect(readSessionFile(path)).toBeUndefined();
  });
});
