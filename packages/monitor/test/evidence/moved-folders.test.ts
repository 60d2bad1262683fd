/** Somebody moves the folder that evidence is written to, removes it, or lays a link in its place, while it is written. */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { CountersignError, Json } from '@countersign/core';
import { afterEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { openEvidence } from '../../src/evidence/evidence.ts';
import { readActivityLog } from '../../src/evidence/read-log.ts';
import { activity, tempFolder, verdict } from './samples.ts';

const SESSION = '0123456789abcdef0123456789abcdef';
const INCIDENT = 'ab'.repeat(16);

afterEach(() => {
  vi.useRealTimers();
});

function opened() {
  const dir = join(tempFolder(), 'logs');
  const notes: { readonly topic: string; readonly data: Json }[] = [];
  const troubles: CountersignError[] = [];
  const evidence = openEvidence({
    dir,
    session: SESSION,
    agent: 'bot',
    note: async (topic, data) => void notes.push({ topic, data }),
    onTrouble: (error) => void troubles.push(error),
    capture: async () => ({ at: 1, processes: [], omitted: 0 }),
  });
  onTestFinished(() => evidence.close());
  const write = async (seq: number): Promise<void> => {
    evidence.log.write(activity(seq), verdict());
    await evidence.log.flush();
  };
  return { dir, evidence, log: evidence.log, notes, troubles, write };
}

const seqs = (folder: string): readonly number[] =>
  [...readActivityLog(folder)].flatMap((line) => ('activity' in line ? [line.activity.seq] : []));
const segments = (folder: string): readonly string[] => readdirSync(folder).filter((name) => name.startsWith('activity-'));

type Made = ReturnType<typeof opened>;
const away = ({ dir }: Made): string => `${dir}.away`;
const GONE: readonly (readonly [string, (made: Made) => void])[] = [
  ['the folder of the session is renamed', (made) => renameSync(made.log.folder, away(made))],
  ['the folder of all sessions is renamed', (made) => renameSync(made.dir, away(made))],
  ['the folder of the session is removed', (made) => rmSync(made.log.folder, { recursive: true })],
  ['the folder of all sessions is removed', (made) => rmSync(made.dir, { recursive: true })],
  [
    'another folder lies in its place',
    (made) => {
      renameSync(made.log.folder, away(made));
      mkdirSync(made.log.folder, { mode: 0o700 });
    },
  ],
];
const LINKED: readonly (readonly [string, (made: Made) => void])[] = [
  [
    'a link to where it was moved lies in place of the folder of the session',
    (made) => {
      renameSync(made.log.folder, away(made));
      symlinkSync(away(made), made.log.folder);
    },
  ],
  [
    'a link to where it was moved lies in place of the folder of all sessions',
    (made) => {
      renameSync(made.dir, away(made));
      symlinkSync(away(made), made.dir);
    },
  ],
];

describe('the activity log', () => {
  it.each(GONE)('is told of before the next line, has its hash on record, and goes on where it is looked for: %s', async (_, move) => {
    const made = opened();
    await made.write(1);
    const before = readFileSync(join(made.log.folder, 'activity-000001.jsonl'));
    move(made);
    await made.write(2);
    expect(made.troubles).toMatchObject([{ code: 'ACTIVITY_LOG_FAILED', message: expect.stringContaining('removed or replaced') }]);
    expect(made.notes).toMatchObject([
      { topic: 'activity-segment', data: { segment: 1, sha256: createHash('sha256').update(before).digest('hex') } },
    ]);
    expect([seqs(made.log.folder), segments(made.log.folder)]).toEqual([[2], ['activity-000002.jsonl']]);
    expect(made.log.stats()).toMatchObject({ lost: 0 });
  });

  it.each(LINKED)('is not written through it, which is told and counted, until it is gone: %s', async (_, move) => {
    const made = opened();
    await made.write(1);
    move(made);
    await made.write(2);
    await made.write(3);
    expect(made.troubles.map(({ message }) => message)).toEqual([
      expect.stringContaining('removed or replaced'),
      expect.stringContaining('ACTIVITY IS NOT BEING LOGGED'),
    ]);
    expect(made.notes).toMatchObject([{ topic: 'activity-segment', data: { segment: 1 } }]);
    expect(made.log.stats()).toMatchObject({ lost: 2 });
    expect(segments(existsSync(join(away(made), SESSION)) ? join(away(made), SESSION) : away(made))).toEqual(['activity-000001.jsonl']);
    for (const link of [made.dir, made.log.folder]) rmSync(link, { force: true, recursive: true });
    await made.write(4);
    expect(made.troubles.at(-1)?.message).toContain('written again');
    expect(readFileSync(join(made.log.folder, 'activity-000002.jsonl'), 'utf8').split('\n')[0]).toBe('{"v":1,"lost":2}');
  });

  it('is told of within a second when nothing is written', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    const made = opened();
    await made.write(1);
    renameSync(made.log.folder, away(made));
    expect(made.troubles).toEqual([]);
    await vi.advanceTimersByTimeAsync(1_000);
    await vi.waitFor(() => expect(made.troubles).toMatchObject([{ message: expect.stringContaining('removed or replaced') }]), 20_000);
    await vi.waitFor(() => expect(made.notes).toHaveLength(1), 20_000);
  });

  it('says nothing while all is in its place', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    const made = opened();
    await made.write(1);
    await vi.advanceTimersByTimeAsync(5_000);
    await made.write(2);
    expect([made.troubles, made.notes, seqs(made.log.folder)]).toEqual([[], [], [1, 2]]);
  });
});

describe('what is beside it', () => {
  const incident = {
    id: INCIDENT,
    at: 1,
    session: SESSION,
    mode: 'enforce_kill',
    activity: activity(1),
    verdict: verdict('KILL', 1),
  } as const;

  it.each([
    ['the folder of incidents', (made: Made) => join(made.dir, 'incidents')],
    ['the folder of all sessions', (made: Made) => made.dir],
  ])('an incident is not written through a link in place of %s, and that is told', async (_, of) => {
    const made = opened();
    renameSync(of(made), away(made));
    symlinkSync(away(made), of(made));
    await expect(made.evidence.incidents.open(incident, [])).rejects.toMatchObject({ code: 'ACTIVITY_LOG_FAILED' });
    expect(readFileOrNone(join(made.dir, 'incidents', `${INCIDENT}.json`))).toBeUndefined();
    rmSync(of(made));
    await made.evidence.incidents.update(incident, []);
    expect(readFileOrNone(join(made.dir, 'incidents', `${INCIDENT}.json`))).toContain(INCIDENT);
  });

  it('what the session is goes through no link either', async () => {
    const made = opened();
    renameSync(made.log.folder, away(made));
    symlinkSync(away(made), made.log.folder);
    await made.evidence.describe({ startedAtMs: 1, mode: 'enforce_kill', level: 'L0', sensors: [] });
    expect(readdirSync(away(made))).toEqual([]);
    expect(made.troubles).toMatchObject([{ code: 'ACTIVITY_LOG_FAILED', message: expect.stringContaining('session.json') }]);
  });
});

function readFileOrNone(path: string): string | undefined {
  return existsSync(path) ? readFileSync(path, 'utf8') : undefined;
}
