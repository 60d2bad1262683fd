import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { cappedAt, type EnforcementInput, enforcementOf } from '../../src/enforcement.ts';
import { readSessionFile, SESSION_FILE } from '../../src/evidence/session-file.ts';
import { preventionLines } from '../../src/report/prevention.ts';
import { makeReport, REPORT_FORMATS, reportText } from '../../src/report/write-report.ts';
import { T0 } from '../evidence/samples.ts';
import { facts, SESSION, story } from './story.ts';

const of = (over: Partial<EnforcementInput> = {}) =>
  enforcementOf({
    mode: 'enforce_kill',
    gives: ['exec', 'read'],
    seenLevel: 'L1',
    freeze: 'gate',
    kernel: { trapReads: 'broker' },
    ...over,
  });

it('says what was held exactly, what was racy, and what was only seen', () => {
  expect(preventionLines({ enforcement: of() })).toEqual([
    'held before it happened, and what happened is what was decided: reading, writing, deleting, renaming, signals to the monitor',
    'held before it happened, though a hostile program with several threads can get around that: programs, connections, memory of other processes',
    'what is racy is no sandbox: a hostile program with several threads can exchange what it names while that is judged',
    'files are opened for it: a process with other rights than the monitor opens its own, and that is racy',
  ]);
});

it('claims nothing held at L1, nothing at all where nothing watched, and is empty where nothing is known', () => {
  expect(preventionLines({ enforcement: cappedAt(of(), 'L1') }).join()).not.toMatch(/held before it happened/);
  expect(preventionLines({ enforcement: cappedAt(of(), 'none') })[0]).toMatch(/^not seen: programs, .*signals to the monitor$/);
  expect(preventionLines({})).toEqual([]);
});

it('tells what shut it in, and what fell', () => {
  const fell = [{ at: 0, level: 'L1', sensor: 'seccomp', why: 'its thread ended' }];
  const text = preventionLines({ enforcement: of({ contain: 'landlock' }), fell }).join('\n');
  expect(text).toContain('shut in by landlock');
  expect(text).toContain('on at level L1: sensor seccomp died: its thread ended');
});

it('is bounded, whatever a file holds', () => {
  const fell = Array.from({ length: 10_000 }, (_, at) => ({ at, level: 'L1', sensor: 's', why: 'w' }));
  expect(preventionLines({ enforcement: of(), fell })).toHaveLength(50);
});

/** As the file of a session would have it whose owner claims more than there was. */
async function claiming(change: (document: Record<string, unknown>) => void, coverage: string) {
  const dir = mkdtempSync(join(tmpdir(), 'countersign-prevention-'));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  await story(dir);
  const file = join(dir, SESSION, SESSION_FILE);
  const document = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>;
  change(document);
  writeFileSync(file, JSON.stringify(document));
  const records = [facts(0, T0, 'session', { coverage }, { session: SESSION, event: 'start' })];
  const report = makeReport({
    logDir: dir,
    sinceMs: T0 - 1,
    untilMs: T0 + 3_600_000,
    ledger: { path: 'ledger.db', records },
    nowMs: T0,
  });
  return { report, file };
}

it('a file that claims more than the ledger is cut down to it, in every format', async () => {
  const { report } = await claiming((document) => {
    document['level'] = 'L3';
    document['enforcement'] = of({ contain: 'landlock' });
  }, 'L1');
  expect(report.sessions[0]).toMatchObject({ level: 'L1', enforcement: { level: 'L1', actions: { read: 'seen', exec: 'seen' } } });
  for (const format of REPORT_FORMATS) {
    const text = reportText(report, format);
    expect(text).not.toMatch(/held before it happened, /);
    expect(text).not.toMatch(/shut in by|"contain"/);
  }
});

it.each([
  ['no list of actions', { level: 'L3', freeze: 'gate', actions: [], notes: [] }],
  ['a hold that is none', { level: 'L3', freeze: 'gate', actions: { read: 'perfect' }, notes: [] }],
  ['notes that are no texts', { level: 'L3', freeze: 'gate', actions: {}, notes: [1] }],
  ['a containment that is none', { level: 'L3', freeze: 'gate', actions: {}, notes: [], contain: 'docker' }],
  ['a text', 'L3'],
])('a file with %s as enforcement is none', async (_, enforcement) => {
  const { file, report } = await claiming((document) => {
    document['enforcement'] = enforcement;
  }, 'L2');
  expect(readSessionFile(file)).toBeUndefined();
  expect(report.sessions[0]).not.toHaveProperty('enforcement');
});

it('what a file says of the fall is escaped like every text', async () => {
  const { report } = await claiming((document) => {
    document['fell'] = [{ at: T0, level: '<b>', sensor: '<script>', why: '[x](http://evil.example)' }];
  }, 'L2');
  expect(reportText(report, 'html')).not.toMatch(/<script>|<b> /);
  expect(reportText(report, 'md')).toMatch(/sensor `<script>` died: `\[x\]\(http:\/\//);
});
