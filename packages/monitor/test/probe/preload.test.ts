import { appendFileSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import type { Activity } from '../../src/activity.ts';
import { CALL_VARIABLE, HANDOVER_VARIABLE } from '../../src/probe/child-environment.ts';
import { MAX_HANDOVER_BYTES, readHandover, type WrittenHandover, writeHandover } from '../../src/probe/handover.ts';
import { ReportReader } from '../../src/probe/read-reports.ts';
import { MAX_REPORT_LINE } from '../../src/probe/report.ts';
import { loadScope } from '../../src/scope/load.ts';
import type { Verdict } from '../../src/verdict.ts';
import { type Ran, runNode, SOURCE } from './node.ts';

const REGISTER = fileURLToPath(new URL('../../register.cjs', import.meta.url));
const CALL = 'a'.repeat(32);

let folder: string;
let secret: string;

beforeEach(() => {
  folder = mkdtempSync(join(realpathSync(tmpdir()), 'probe-'));
  secret = join(folder, 'secret.txt');
  writeFileSync(secret, 'THE SECRET');
  const made = folder;
  return () => rmSync(made, { recursive: true, force: true });
});

function handedOver(): WrittenHandover {
  const written = writeHandover((own, reports) => ({
    v: 1,
    scope: loadScope({ text: `scope:\n  filesystem: { forbidden_paths: [${JSON.stringify(secret)}] }\n` }),
    rules: { workspace: folder, home: folder, own: { files: [own] } },
    mode: 'enforce_kill',
    tells: { folder: reports },
  }));
  onTestFinished(() => written.remove());
  return written;
}

function preloaded(code: string, reference: string | undefined, flags: readonly string[] = []): Promise<Ran> {
  const env = {
    PATH: process.env['PATH'],
    NODE_OPTIONS: `${SOURCE} --no-warnings --require="${REGISTER}"`,
    [CALL_VARIABLE]: CALL,
    ...(reference !== undefined && { [HANDOVER_VARIABLE]: reference }),
  };
  const file = join(folder, 'main.cjs');
  writeFileSync(file, code);
  return runNode([...flags, file], env);
}

const TRY = (path: string): string =>
  `try { console.log(require('fs').readFileSync(${JSON.stringify(path)}, 'utf8')) } catch (error) { console.log(error.code) }`;

describe('without a scope that is whole a process does nothing, and says why', () => {
  it.each<[string, (written: WrittenHandover) => string | undefined, string]>([
    ['none', () => undefined, 'no scope was handed over'],
    ['an empty one', () => '', 'no scope was handed over'],
    ['a file without a digest', ({ folder: own }) => join(own, 'scope.json'), 'no scope was handed over'],
    ['a file that is not there', ({ reference }) => `${reference}.gone`, 'ENOENT'],
    [
      'a file that was changed',
      ({ reference, folder: own }) => {
        appendFileSync(join(own, 'scope.json'), ' ');
        return reference;
      },
      'was changed',
    ],
    ['another digest', ({ reference }) => reference.replace(/^./, (digit) => (digit === '0' ? '1' : '0')), 'was changed'],
  ])('%s', async (_name, refer, why) => {
    const ran = await preloaded('console.log("ran")', refer(handedOver()));
    expect(ran.stderr).toContain('countersign: the probe refuses everything');
    expect(ran.stderr).toContain(why);
    expect(ran.stdout).not.toContain('ran');
    expect(ran.code).not.toBe(0);
  });

  it('a Node that is too old for it is not started', async () => {
    const old = join(folder, 'old.cjs');
    writeFileSync(old, `Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '20.20.2' } });`);
    const ran = await preloaded('console.log("ran")', handedOver().reference, ['--require', old]);
    expect(ran).toMatchObject({ code: 0 });
    // Ours comes first, by the command line it does not.
    const file = join(folder, 'main.cjs');
    const late = await runNode([SOURCE, '--require', old, '--require', REGISTER, file], { PATH: process.env['PATH'] });
    expect(late).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringContaining('Node.js 20.20.2 is not started: the probe needs 22.15'),
    });
  });

  it('--expose-internals gets below the probe', async () => {
    const ran = await preloaded('console.log("ran")', handedOver().reference, ['--expose-internals']);
    expect(ran.stderr).toContain('--expose-internals');
    expect(ran.code).not.toBe(0);
  });

  it.each([
    ['longer than it may be', Buffer.alloc(MAX_HANDOVER_BYTES + 1)],
    ['no JSON', Buffer.from('{')],
    ['of another version', Buffer.from('{"v":2,"mode":"enforce_kill"}')],
    ['of a mode that there is not', Buffer.from('{"v":1,"mode":"constructor"}')],
  ])('a scope %s is none', async (_name, bytes) => {
    const { createHash } = await import('node:crypto');
    const path = join(folder, 'scope.json');
    writeFileSync(path, bytes);
    expect(() => readHandover(`${createHash('sha256').update(bytes).digest('hex')}:${path}`)).toThrow(/longer than|JSON|version/);
  });
});

describe('with one', () => {
  it('refuses what it forbids, and tells it with the call that the process was started for', async () => {
    const { reference, reports } = handedOver();
    expect((await preloaded(TRY(secret), reference)).stdout.trim()).toBe('ACTIVITY_REFUSED');
    const told: { activity: Activity; verdict: Verdict }[] = [];
    const reader = new ReportReader(reports, (activity, verdict) => told.push({ activity, verdict }));
    reader.poll();
    reader.poll();
    const kills = told.filter(({ verdict }) => verdict.level === 'KILL');
    expect(kills).toHaveLength(1);
    expect(kills[0]?.activity).toMatchObject({ action: { kind: 'read', path: secret }, attribution: { method: 'marker', call: CALL } });
    expect(reader.lost).toBe(0);
  });

  it('a process that changes the scope makes those after it refuse everything, and none see more', async () => {
    const { reference, folder: own } = handedOver();
    // It cannot from inside: the folder is Countersign's own.
    const inside = await preloaded(
      `try { require('fs').writeFileSync(${JSON.stringify(join(own, 'scope.json'))}, '{}') } catch (error) { console.log(error.code) }`,
      reference,
    );
    expect(inside.stdout.trim()).toBe('ACTIVITY_REFUSED');
    const before = readFileSync(join(own, 'scope.json'), 'utf8');
    expect(before).not.toBe('{}');
    // And where it did all the same:
    writeFileSync(join(own, 'scope.json'), before.replace('secret.txt', 'nothing'));
    const after = await preloaded(TRY(secret), reference);
    expect(after.stdout).not.toContain('THE SECRET');
    expect(after.stderr).toContain('was changed');
  });

  it('no report is left in the folder of who reads nothing', async () => {
    const { reference, reports } = handedOver();
    rmSync(reports, { recursive: true });
    expect((await preloaded(TRY(secret), reference)).stdout.trim()).toBe('ACTIVITY_REFUSED');
  });
});

describe('what processes below tell is not believed further than it reaches', () => {
  const line = (activity: object, verdict: object): string => JSON.stringify({ activity, verdict });
  const ACTIVITY = {
    seq: 1,
    at: 1,
    sensor: 'probe',
    phase: 'before',
    action: { kind: 'read', path: '/a' },
    attribution: { method: 'none' },
  };
  const VERDICT = { level: 'FLAG', rule: 'r', reason: 'x', evaluator: 'rules', confidence: 1, evidence: [1] };

  function told(text: string): { readonly told: readonly Activity[]; readonly lost: number } {
    writeFileSync(join(folder, 'report.jsonl'), text);
    rmSync(secret, { force: true });
    const seen: Activity[] = [];
    const reader = new ReportReader(folder, (activity) => seen.push(activity));
    reader.poll();
    return { told: seen, lost: reader.lost };
  }

  it('takes a line that is one', () => {
    expect(told(`${line(ACTIVITY, VERDICT)}\n`)).toMatchObject({ told: [{ seq: 1, sensor: 'probe' }], lost: 0 });
    expect(readdirSync(folder)).toStrictEqual(['report.jsonl']);
  });

  it('waits for the end of a line', () => {
    expect(told(line(ACTIVITY, VERDICT))).toStrictEqual({ told: [], lost: 0 });
  });

  it('adds up what they lost themselves', () => {
    expect(told('{"lost":3}\n{"lost":4}\n')).toStrictEqual({ told: [], lost: 7 });
  });

  it.each([
    ['no JSON', 'x'],
    ['null', 'null'],
    ['a list', '[]'],
    ['nothing', '{}'],
    ['no verdict', JSON.stringify({ activity: ACTIVITY })],
    ['another level', line(ACTIVITY, { ...VERDICT, level: 'constructor' })],
    ['a rule that is long', line(ACTIVITY, { ...VERDICT, rule: 'r'.repeat(101) })],
    ['another evaluator', line(ACTIVITY, { ...VERDICT, evaluator: 'judge' })],
    ['a confidence of two', line(ACTIVITY, { ...VERDICT, confidence: 2 })],
    ['evidence that is text', line(ACTIVITY, { ...VERDICT, evidence: 'x' })],
    ['another phase', line({ ...ACTIVITY, phase: 'after' }, VERDICT)],
    ['another kind', line({ ...ACTIVITY, action: { kind: '__proto__' } }, VERDICT)],
    ['attribution by tree', line({ ...ACTIVITY, attribution: { method: 'tree', call: CALL } }, VERDICT)],
    ['a call that is no text', line({ ...ACTIVITY, attribution: { method: 'marker', call: {} } }, VERDICT)],
    ['a negative sequence', line({ ...ACTIVITY, seq: -1 }, VERDICT)],
    ['a loss below nothing', '{"lost":-1}'],
    ['a loss that is text', '{"lost":"many"}'],
    ['a line that is long', line({ ...ACTIVITY, action: { kind: 'read', path: 'x'.repeat(MAX_REPORT_LINE) } }, VERDICT)],
  ])('counts as lost: %s', (_name, text) => {
    expect(told(`${text}\n`)).toStrictEqual({ told: [], lost: 1 });
  });

  it('reads no link, no folder and no pipe', async () => {
    const { symlinkSync, mkdirSync } = await import('node:fs');
    const { execFileSync } = await import('node:child_process');
    symlinkSync(secret, join(folder, 'link.jsonl'));
    mkdirSync(join(folder, 'folder.jsonl'));
    execFileSync('mkfifo', [join(folder, 'pipe.jsonl')]);
    const reader = new ReportReader(folder, () => {});
    reader.poll();
    reader.poll();
    expect(reader.lost).toBe(3);
  });
});
