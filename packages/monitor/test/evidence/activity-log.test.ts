import { createHash } from 'node:crypto';
import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import type { CountersignError, Json } from '@countersign/core';
import { describe, expect, it } from 'vitest';
import type { Action } from '../../src/activity.ts';
import { type LoggedActivity, MAX_ACTIVITY_LINE_BYTES } from '../../src/evidence/activity-line.ts';
import { type ActivityLogOptions, activityLog, MAX_QUEUED_BYTES, MIN_LOG_BYTES, SEGMENT_AGE_MS } from '../../src/evidence/activity-log.ts';
import { readActivityLog } from '../../src/evidence/read-log.ts';
import { type SegmentFacts, writeBytes } from '../../src/evidence/segment.ts';
import { activity, NODE, T0, tempFolder, verdict } from './samples.ts';

const SESSION = '0123456789abcdef0123456789abcdef';

function opened(options: Partial<ActivityLogOptions> = {}) {
  const notes: { readonly topic: string; readonly data: Json }[] = [];
  const troubles: CountersignError[] = [];
  const log = activityLog({
    dir: tempFolder(),
    session: SESSION,
    note: async (topic, data) => void notes.push({ topic, data }),
    onTrouble: (error) => void troubles.push(error),
    ...options,
  });
  const texts = (): readonly string[] =>
    readdirSync(log.folder)
      .toSorted()
      .map((name) => readFileSync(join(log.folder, name), 'utf8'));
  return { log, notes, troubles, texts };
}

async function lineOf(
  action: Action,
  more: Parameters<typeof activity>[2] = {},
): Promise<{ readonly text: string; readonly logged: LoggedActivity }> {
  const { log, texts } = opened();
  log.write(activity(1, action, more), verdict());
  await log.close();
  const [logged] = readActivityLog(log.folder);
  return { text: texts()[0] ?? '', logged: logged as LoggedActivity };
}

describe('what is written', () => {
  it('is exactly these bytes', async () => {
    const { log, texts, notes } = opened();
    log.write(activity(1), verdict());
    log.write(
      activity(2, { kind: 'exec', exe: '/usr/bin/curl', argv: ['curl', '-u', 'ada:correct-horse-battery', 'https://x.example'] }),
      verdict('HALT', 2, { reason: 'curl' }),
    );
    await log.close();
    const text = texts().join('');
    await expect(text).toMatchFileSnapshot('./golden/activity.jsonl');
    expect(notes).toStrictEqual([
      {
        topic: 'activity-segment',
        data: {
          v: 1,
          session: SESSION,
          segment: 1,
          sha256: createHash('sha256').update(text).digest('hex'),
          bytes: Buffer.byteLength(text),
          lines: 2,
          first: { seq: 1, at: T0 + 1000 },
          last: { seq: 2, at: T0 + 2000 },
        },
      },
    ]);
  });

  it('is what the page on the format shows', () => {
    const page = readFileSync(new URL('../../../../docs/formats/activity-log.md', import.meta.url), 'utf8');
    const [line] = readFileSync(new URL('golden/activity.jsonl', import.meta.url), 'utf8').split('\n');
    expect(page).toContain(`\n${line}\n{"v":1,"lost":4}\n`);
  });

  it('is read back as it was written', async () => {
    const { log } = opened();
    const plain = { ...NODE, argv: ['node', 'agent.js'] };
    const actions: readonly Action[] = [
      { kind: 'write', path: '/a', resolved: '/b', existed: true },
      { kind: 'rename', path: '/a', to: '/b', existed: false },
      { kind: 'spawn', child: { pid: 9, start: 10.5 } },
      { kind: 'exit', signal: 'SIGKILL' },
      { kind: 'connect', protocol: 'tcp', host: 'x.example', address: '203.0.113.9', port: 443 },
      { kind: 'dns', name: 'x.example', addresses: ['203.0.113.9'] },
      { kind: 'load', path: '/usr/lib/x.node' },
      { kind: 'memory', target: 77 },
      { kind: 'resource', processes: 3, cpu_percent: 12.5, rss_bytes: 1000 },
    ];
    const written = actions.map((action, i) => ({
      activity: activity(i + 1, action, { actor: plain }),
      verdict: verdict('FLAG', i + 1, { ambiguous: true }),
    }));
    for (const each of written) log.write(each.activity, each.verdict);
    await log.close();
    expect([...readActivityLog(log.folder)]).toStrictEqual(written);
  });

  it('lies in files of the owner alone, under names without text of others', async () => {
    const { log } = opened({ session: '../../etc/<script>' });
    log.write(activity(1), verdict());
    await log.close();
    expect(log.folder).toMatch(/\/s-[0-9a-f]{32}$/);
    expect(statSync(log.folder).mode & 0o777).toBe(0o700);
    expect(statSync(join(log.folder, 'activity-000001.jsonl')).mode & 0o777).toBe(0o600);
  });
});

describe('hostile content', () => {
  it.each([
    ['a line feed', '/tmp/a\n{"v":1,"lost":0}'],
    ['an escape sequence', '/tmp/\u001b[2J\u001b]0;x\u0007'],
    ['reversed text', '/tmp/\u202egpj.exe'],
    ['a lone surrogate', '/tmp/\ud800x'],
    ['markup', '/tmp/</script><script>alert(1)</script>'],
    ['a name of a prototype', '__proto__'],
  ])('%s is one line, spelled, and read back as it was', async (_, path) => {
    const { text, logged } = await lineOf({ kind: 'delete', path });
    expect(text.split('\n')).toHaveLength(2);
    expect(text).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e\ufffd]/);
    expect(logged.activity.action).toStrictEqual({ kind: 'delete', path });
  });

  it('keeps no secret of arguments, paths or reasons', async () => {
    const { text } = await lineOf({
      kind: 'exec',
      exe: '/usr/bin/curl',
      argv: ['curl', '-H', 'Authorization: Bearer abcdefghijklmnopqrstuvwxyz0123', '--password', 'tr0ub4dor-and-3'],
    });
    expect(text).not.toMatch(/abcdefghijkl|tr0ub4dor|hunter2/);
    expect(text).toContain('[redacted:');
  });

  it.each([
    ['curl', '-u', 'ada:correct-horse-battery', 'https://x.example'],
    ['/usr/bin/curl', '-H', 'Accept: text/html, */*', '-u', 'ada:correct-horse-battery'],
    ['mysql', '-uroot', '-pcorrect-horse-battery', 'shop'],
    ['sh', '-c', 'mysql -pcorrect-horse-battery shop'],
    ['psql', 'postgres://ada:correct-horse-battery@db/x'],
  ])('keeps no password of %s', async (...argv) => {
    const { text } = await lineOf({ kind: 'exec', exe: argv[0] ?? '', argv });
    expect(text).not.toContain('correct-horse');
  });

  it('keeps no half of a secret where a text is cut', async () => {
    const secret = `ghp_${'a1B2c3D4e5'.repeat(4)}`;
    for (const before of [4070, 4090, 12_260, 12_280]) {
      const { text } = await lineOf({ kind: 'read', path: `/${' '.repeat(before)}${secret} ${'y'.repeat(9000)}` });
      expect(text).not.toContain('a1B2c3D4');
      expect(text).toContain('[cut]');
    }
  });

  it('is bounded, however much there is of it', async () => {
    const huge = '\u0001'.repeat(100_000);
    const argv = Array.from({ length: 5000 }, () => huge);
    const { text, logged } = await lineOf({ kind: 'exec', exe: huge, argv }, { actor: { ...NODE, exe: huge, argv, cwd: huge } });
    expect(Buffer.byteLength(text)).toBeLessThanOrEqual(MAX_ACTIVITY_LINE_BYTES);
    expect(logged.activity.action).toMatchObject({ kind: 'exec' });
    expect((logged.activity.action as { argv: readonly string[] }).argv.at(-1)).toMatch(/^\[\d+ more\]$/);
  });

  it('figures that are no numbers are left out', async () => {
    const { logged } = await lineOf({ kind: 'resource', processes: 1, cpu_percent: Number.NaN, rss_bytes: Number.POSITIVE_INFINITY });
    expect(logged.activity.action).toStrictEqual({ kind: 'resource', processes: 1 });
  });
});

describe('segments', () => {
  const big = (seq: number) => activity(seq, { kind: 'write', path: `/${String(seq).padStart(3000, 'x')}` });

  it('are closed by size, each on record, and no line is in two of them or in none', async () => {
    const { log, notes } = opened({ maxBytes: MIN_LOG_BYTES });
    for (let seq = 1; seq <= 1000; seq++) log.write(big(seq), verdict());
    await log.close();
    const seqs = [...readActivityLog(log.folder)].map((line) => (line as LoggedActivity).activity.seq);
    expect(seqs).toStrictEqual(Array.from({ length: 1000 }, (_, i) => i + 1));
    expect(notes.length).toBeGreaterThan(2);
    let next = 1;
    for (const data of notes.map((note) => note.data as unknown as SegmentFacts)) {
      expect(data.first?.seq).toBe(next);
      expect(data.bytes).toBeLessThanOrEqual(MIN_LOG_BYTES);
      next = (data.last?.seq ?? 0) + 1;
    }
    expect(next).toBe(1001);
  });

  it('are closed by age, with the first line after it', async () => {
    let now = T0;
    const { log, notes } = opened({ nowMs: () => now });
    log.write(activity(1), verdict());
    await log.flush();
    now += SEGMENT_AGE_MS - 1;
    log.write(activity(2), verdict());
    await log.flush();
    expect(log.stats().segments).toBe(0);
    now += 1;
    log.write(activity(3), verdict());
    await log.close();
    expect(notes.map(({ data }) => (data as { lines: number }).lines)).toStrictEqual([2, 1]);
  });

  it('beyond those that are kept are removed, and that is on record', async () => {
    let now = T0;
    const { log, notes } = opened({ keep: 2, nowMs: () => now });
    for (let seq = 1; seq <= 5; seq++) {
      log.write(activity(seq), verdict());
      await log.flush();
      now += SEGMENT_AGE_MS;
    }
    await log.close();
    expect(readdirSync(log.folder).toSorted()).toStrictEqual(['activity-000004.jsonl', 'activity-000005.jsonl']);
    expect(
      notes.filter(({ topic }) => topic === 'activity-removed').flatMap(({ data }) => (data as { segments: number[] }).segments),
    ).toStrictEqual([1, 2, 3]);
  });

  it('of an earlier run stay as they are: half a line at the end of one joins nothing', async () => {
    const dir = tempFolder();
    const first = opened({ dir });
    first.log.write(activity(1), verdict());
    await first.log.close();
    const path = join(first.log.folder, 'activity-000001.jsonl');
    appendFileSync(path, '{"v":1,"activ');
    const before = readFileSync(path);
    const second = opened({ dir });
    second.log.write(activity(2), verdict());
    await second.log.close();
    expect(readFileSync(path)).toStrictEqual(before);
    expect([...readActivityLog(first.log.folder)]).toMatchObject([
      { activity: { seq: 1 } },
      { bad: 'torn', line: 2 },
      { activity: { seq: 2 } },
    ]);
  });

  it('are never written through a link that lies in wait', async () => {
    const dir = tempFolder();
    mkdirSync(join(dir, SESSION), { mode: 0o700 });
    const victim = join(dir, 'victim');
    writeFileSync(victim, 'precious');
    symlinkSync(victim, join(dir, SESSION, 'activity-000001.jsonl'));
    const { log } = opened({ dir });
    log.write(activity(1), verdict());
    await log.close();
    expect(readFileSync(victim, 'utf8')).toBe('precious');
    expect(existsSync(join(dir, SESSION, 'activity-000002.jsonl'))).toBe(true);
  });

  it('say that they were moved away while they were written', async () => {
    const { log, troubles } = opened();
    log.write(activity(1), verdict());
    await log.flush();
    renameSync(join(log.folder, 'activity-000001.jsonl'), join(log.folder, 'elsewhere'));
    await log.close();
    expect(troubles).toMatchObject([{ code: 'ACTIVITY_LOG_FAILED', message: expect.stringContaining('removed or replaced') }]);
  });
});

describe('a full disk', () => {
  it('loses lines, says so at once and afterwards, and leaves no half line', async () => {
    let room = 700;
    const { log, troubles, notes } = opened({
      writeBytes: async (file, bytes) => {
        if (room === 0) throw Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });
        const written = await writeBytes(file, bytes.subarray(0, room));
        room -= written;
        return written;
      },
    });
    for (let seq = 1; seq <= 5; seq++) {
      log.write(activity(seq), verdict());
      await log.flush();
    }
    expect(troubles).toMatchObject([{ code: 'ACTIVITY_LOG_FAILED', message: expect.stringMatching(/NOT BEING LOGGED.*ENOSPC/) }]);
    expect(log.stats()).toMatchObject({ written: 1, lost: 4 });
    room = Number.MAX_SAFE_INTEGER;
    log.write(activity(6), verdict());
    await log.close();
    expect([...readActivityLog(log.folder)]).toMatchObject([{ activity: { seq: 1 } }, { lost: 4 }, { activity: { seq: 6 } }]);
    expect(troubles.at(-1)?.message).toContain('4 activities are in no file');
    const text = readFileSync(join(log.folder, 'activity-000001.jsonl'));
    expect(notes).toMatchObject([{ data: { sha256: createHash('sha256').update(text).digest('hex'), lines: 3 } }]);
  });

  it('that never takes anything throws into nobody', async () => {
    const { log, troubles, notes } = opened({ writeBytes: async () => 0 });
    for (let seq = 1; seq <= 100; seq++) log.write(activity(seq), verdict('KILL', seq));
    await log.close();
    expect(log.stats()).toMatchObject({ written: 0, lost: 100 });
    expect(troubles).toHaveLength(1);
    expect(notes).toMatchObject([{ data: { lines: 0, bytes: 0 } }]);
  });

  it('and a disk that hangs: what waits is bounded', async () => {
    let release = (): void => {};
    const gate = new Promise<void>((resolve) => (release = resolve));
    const { log, troubles } = opened({ writeBytes: async (file, bytes) => (await gate, writeBytes(file, bytes)) });
    const line = activity(1, { kind: 'write', path: `/${'x'.repeat(4000)}` });
    for (let i = 0; i < MAX_QUEUED_BYTES / 4000; i++) log.write(line, verdict());
    expect(log.stats().lost).toBeGreaterThan(0);
    expect(troubles[0]?.message).toContain('wait for the disk');
    release();
    await log.close();
    const { written, lost } = log.stats();
    expect(written + lost).toBe(Math.ceil(MAX_QUEUED_BYTES / 4000));
  });

  it('a listener that throws is not heard of', async () => {
    const { log } = opened({
      writeBytes: async () => 0,
      onTrouble: () => {
        throw new Error('me too');
      },
    });
    log.write(activity(1), verdict());
    await log.close();
    expect(log.stats().lost).toBe(1);
  });
});

describe('notes', () => {
  it('that the ledger does not take are tried again, in order, and counted until then', async () => {
    let now = T0;
    let isBusy = true;
    const taken: number[] = [];
    const { log, troubles } = opened({
      nowMs: () => now,
      note: async (_, data) => {
        if (isBusy) throw new Error('busy');
        taken.push((data as { segment: number }).segment);
      },
    });
    for (let seq = 1; seq <= 3; seq++) {
      log.write(activity(seq), verdict());
      await log.flush();
      now += SEGMENT_AGE_MS;
    }
    expect(log.stats()).toMatchObject({ segments: 2, unrecorded: 2 });
    isBusy = false;
    await log.close();
    expect(taken).toStrictEqual([1, 2, 3]);
    expect(log.stats().unrecorded).toBe(0);
    expect(troubles).toHaveLength(1);
  });

  it('are not waited for by lines', async () => {
    let now = T0;
    const { log } = opened({ nowMs: () => now, note: () => new Promise(() => {}) });
    log.write(activity(1), verdict());
    await log.flush();
    now += SEGMENT_AGE_MS;
    log.write(activity(2), verdict());
    await log.flush();
    expect(log.stats()).toMatchObject({ written: 2, unrecorded: 1 });
  });
});

describe('options', () => {
  it.each([
    ['too small a segment', { maxBytes: MIN_LOG_BYTES - 1 }],
    ['no whole number', { maxBytes: 2_000_000.5 }],
    ['nothing kept', { keep: 0 }],
  ])('refuses %s', (_, options) => {
    expect(() => opened(options)).toThrow(expect.objectContaining({ code: 'OPTIONS_INVALID' }));
  });

  it('refuses a folder that others may write to, and a file', () => {
    const dir = tempFolder();
    chmodSync(dir, 0o777);
    expect(() => opened({ dir })).toThrow(
      expect.objectContaining({ code: 'OPTIONS_INVALID', message: expect.stringContaining('chmod 700') }),
    );
    const link = join(tempFolder(), 'link');
    symlinkSync(tempFolder(), link);
    expect(() => opened({ dir: link })).toThrow(expect.objectContaining({ code: 'OPTIONS_INVALID' }));
  });

  it('counts what comes after the end', async () => {
    const { log } = opened();
    await log.close();
    log.write(activity(1), verdict());
    await log.close();
    expect(log.stats()).toMatchObject({ written: 0, lost: 1 });
  });
});

describe('reading', () => {
  const good =
    '{"v":1,"activity":{"seq":1,"at":1,"sensor":"s","phase":"after","action":{"kind":"read","path":"/a"},"attribution":{"method":"none"}},"verdict":{"level":"SAFE","rule":"r","reason":"","evaluator":"rules","confidence":1,"evidence":[1]}}';

  function read(text: string | Buffer) {
    const path = join(tempFolder(), 'x.jsonl');
    writeFileSync(path, text);
    return [...readActivityLog(path)];
  }

  it('takes a line of ours, with members it does not know', () => {
    expect(read(`${good}\n`)).toMatchObject([{ activity: { seq: 1 } }]);
    expect(read(`${good.replace('"seq":1', '"seq":1,"new":{}')}\n`)).toMatchObject([{ activity: { seq: 1 } }]);
  });

  it.each([
    ['no JSON', 'x'],
    ['an empty line', ''],
    ['an array', '[]'],
    ['null', 'null'],
    ['another version', good.replace('"v":1', '"v":2')],
    ['no verdict', good.replace(/,"verdict".*/, '}')],
    ['an unknown level', good.replace('"SAFE"', '"OK"')],
    ['a level of a prototype', good.replace('"SAFE"', '"constructor"')],
    ['an unknown action', good.replace('"kind":"read"', '"kind":"toString"')],
    ['no action', good.replace('{"kind":"read","path":"/a"}', 'null')],
    ['a path that is no text', good.replace('"/a"', '["/a"]')],
    ['a path by its prototype', good.replace('"path":"/a"', '"__proto__":{"path":"/a"}')],
    ['a negative seq', good.replace('"seq":1', '"seq":-1')],
    ['a seq as text', good.replace('"seq":1', '"seq":"1"')],
    ['a confidence of 2', good.replace('"confidence":1', '"confidence":2')],
    ['evidence that is no number', good.replace('[1]', '["1"]')],
    ['a phase of its own', good.replace('"after"', '"now"')],
    ['an actor without a start', good.replace('"sensor"', '"actor":{"pid":1},"sensor"')],
    ['a loss of nothing countable', '{"v":1,"lost":-3}'],
  ])('says that %s is none', (_, line) => {
    expect(read(`${line}\n${good}\n`)).toMatchObject([{ bad: 'invalid', line: 1 }, { activity: { seq: 1 } }]);
  });

  it('skips a line longer than any of ours', () => {
    expect(read(`${'x'.repeat(MAX_ACTIVITY_LINE_BYTES + 1)}\n${good}\n`)).toMatchObject([
      { bad: 'too long', line: 1 },
      { activity: { seq: 1 } },
    ]);
  });

  it('every cut of a line is torn, none is taken for a line', () => {
    for (let length = 1; length <= good.length; length++) expect(read(good.slice(0, length))).toMatchObject([{ bad: 'torn' }]);
  });

  it.each([
    ['nothing', (dir: string) => join(dir, 'absent')],
    ['an empty folder', (dir: string) => dir],
  ])('refuses %s', (_, at) => {
    expect(() => [...readActivityLog(at(tempFolder()))]).toThrow(expect.objectContaining({ code: 'ACTIVITY_LOG_FAILED' }));
  });
});
