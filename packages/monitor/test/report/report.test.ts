import { appendFileSync, mkdirSync, readFileSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MAX_BUCKETS } from '../../src/report/buckets.ts';
import { gatherReport, type ReportOptions } from '../../src/report/gather.ts';
import { reportMarkdown } from '../../src/report/markdown.ts';
import type { Report } from '../../src/report/report.ts';
import { reportText } from '../../src/report/write-report.ts';
import { T0, tempFolder } from '../evidence/samples.ts';
import { CALL, canaries, facts, INCIDENT, optionsOf, predecessorLogs, SESSION, story } from './story.ts';

const LOG = `${SESSION}/activity-000001.jsonl`;

async function reported(
  more: (dir: string) => Partial<ReportOptions> = () => ({}),
): Promise<{ readonly report: Report; readonly dir: string }> {
  const dir = join(tempFolder(), 'log');
  mkdirSync(dir, { mode: 0o700 });
  const records = await story(dir);
  return { report: gatherReport(optionsOf({ logDir: dir, ledger: { path: 'ledger.db', records }, ...more(dir) })), dir };
}

/** Same bytes wherever it runs. */
const fixed = (text: string, dir: string): string => text.replaceAll(dir, '/log').replaceAll(join(dir, '..'), '/w');

/**
 * A line of which no reader of Markdown makes more than text, code, and what we put around it: a heading, an item, or a row whose cells are
 * plain words and pieces of code without backticks, in which a pipe is escaped and no backslash stands before that.
 */
const WORD = '(?:[A-Za-z]{1,30}(?:-[a-z]+)*[,;:]?|[0-9](?:[0-9A-Za-z:-]|[.,](?=[0-9]))*,?)';
const CODE = '`(?:[^`|\\n]|(?<!\\\\)\\\\\\|)+`';
const CELL = `(?:|(?:${WORD}|${CODE})(?: (?:${WORD}|${CODE}))*)`;
const ITEM = CELL.replaceAll(CODE, '`[^`\\n]+`');
const MARKDOWN_LINE = new RegExp(
  `^(?:|#{1,2} [A-Za-z ,]+|\\| file \\| bytes \\| SHA-256 \\| ledger \\||- ${ITEM}|\\|(?: ${CELL} \\|)+|\\|(?:---\\|)+|[-0-9:Z ]+ to [-0-9:Z ]+\\. Made [-0-9:Z ]+ by \`countersign report\`\\.|\\d+ more are in the other formats\\.)$`,
);

describe('the report of a session', () => {
  it.each(['json', 'md', 'html'] as const)('as %s is exactly this', async (format) => {
    const workspace = tempFolder();
    canaries(workspace);
    const { report, dir } = await reported(() => ({ workspace }));
    await expect(fixed(reportText(report, format), dir).replaceAll(workspace, '/workspace')).toMatchFileSnapshot(
      `./golden/report.${format}`,
    );
  });

  it('tells calls beside what was seen of them', async () => {
    const { report } = await reported();
    expect(report.calls).toMatchObject([
      { tool: 'drop <table>', effect: 'deny', activities: 0 },
      {
        call: CALL,
        tool: 'files/read',
        effect: 'allow',
        answers: [{ answer: 'approve', by: 'ada' }],
        status: 'success',
        duration_ms: 120,
        activities: 10,
        candidates: 1,
      },
    ]);
    expect(report.counts).toMatchObject({
      activities: 107,
      verdicts: { SAFE: 105, FLAG: 1, HALT: 0, KILL: 1 },
      recorded_verdicts: { FLAG: 1, KILL: 1 },
      calls: 2,
      denied: 1,
      approvals: 1,
    });
  });

  it('says what became of an incident', async () => {
    const { report } = await reported();
    expect(report.incidents).toMatchObject([
      {
        id: INCIDENT,
        level: 'KILL',
        rule: 'secret-read',
        state: 'killed',
        processes: 1,
        steps: [{ event: 'frozen' }, { event: 'killed' }],
      },
    ]);
  });

  it('says of every file whether the ledger has its hash', async () => {
    const { report } = await reported();
    expect(report.evidence.map(({ status }) => status)).toStrictEqual(['matches', 'matches', 'matches']);
    expect(report.evidence.every(({ sha256 }) => /^[0-9a-f]{64}$/.test(sha256 ?? ''))).toBe(true);
  });

  it('does not take in what lies outside of the period', async () => {
    const { report } = await reported(() => ({ sinceMs: T0 + 100_500, untilMs: T0 + 120_000 }));
    expect(report.counts).toMatchObject({
      activities: 1,
      verdicts: { FLAG: 1, KILL: 0 },
      recorded_verdicts: { FLAG: 1, KILL: 0 },
      incidents: 0,
      calls: 0,
    });
  });
});

describe('a report never says more than was seen', () => {
  it('names the level, what no sensor could see, and what sensors missed', async () => {
    const { report } = await reported();
    expect(report.limits).toStrictEqual([
      `session ${SESSION}: level L1: it was seen while or after it happened; outside of the probe nothing was prevented`,
      `session ${SESSION}: no sensor could see: files deleted, files renamed, names looked up, native code loaded, memory of other processes`,
      `session ${SESSION}: sensor seccomp saw nothing more from some time on`,
      `session ${SESSION}: sensor proc-poll knows of 2 observations that it missed`,
      'nothing in the ledger was verified for this report: that is countersign verify',
    ]);
  });

  it('tells a log that was edited after its hash was recorded', async () => {
    const dir = join(tempFolder(), 'log');
    mkdirSync(dir, { mode: 0o700 });
    const records = await story(dir);
    const path = join(dir, LOG);
    writeFileSync(path, readFileSync(path, 'utf8').replace('"level":"KILL"', '"level":"SAFE"'));
    const { evidence, limits } = gatherReport(optionsOf({ logDir: dir, ledger: { path: 'l', records } }));
    expect(evidence.find((file) => file.path.endsWith('.jsonl'))).toMatchObject({ status: 'changed' });
    expect(limits).toEqual(
      expect.arrayContaining([
        expect.stringContaining('the ledger has 1 verdict of KILL, the log 0'),
        expect.stringContaining('1 file is not what the ledger has the hash of'),
      ]),
    );
  });

  it('tells a log that was removed, and still what the ledger has of the session', async () => {
    const dir = join(tempFolder(), 'log');
    mkdirSync(dir, { mode: 0o700 });
    const records = await story(dir);
    rmSync(join(dir, SESSION), { recursive: true });
    const { sessions, counts, limits } = gatherReport(optionsOf({ logDir: dir, ledger: { path: 'l', records } }));
    expect(sessions).toMatchObject([{ session: SESSION, level: 'L1', activities: 0, open: true }]);
    expect(counts.recorded_verdicts).toMatchObject({ KILL: 1 });
    expect(limits.join('\n')).toContain('no end on record');
    expect(limits.join('\n')).toContain('no log in this folder');
    expect(counts.verdicts).toEqual({ SAFE: 0, FLAG: 1, HALT: 0, KILL: 1 });
  });

  it('knows from the ledger whose a session was and that it ended, wherever its log is', async () => {
    const dir = join(tempFolder(), 'log');
    mkdirSync(dir, { mode: 0o700 });
    const records = await story(dir);
    const end = facts(99, T0 + 130_000, 'session', {}, { session: SESSION, agent: 'billing-bot', event: 'end' });
    const late = facts(100, T0 + 130_001, 'session', { coverage: 'L0' }, { session: SESSION, agent: 'billing-bot', event: 'coverage' });
    rmSync(join(dir, SESSION), { recursive: true });
    const { sessions, limits } = gatherReport(optionsOf({ logDir: dir, ledger: { path: 'l', records: [...records, end, late] } }));
    expect(sessions).toMatchObject([{ session: SESSION, agent: 'billing-bot', level: 'L0', verdicts: { FLAG: 1, KILL: 1 } }]);
    expect(sessions[0]).not.toHaveProperty('open');
    expect(limits.join('\n')).not.toContain('no end on record');
    // It began anew.
    const again = facts(101, T0 + 140_000, 'session', { coverage: 'L1' }, { session: SESSION, agent: 'billing-bot', event: 'start' });
    const anew = gatherReport(optionsOf({ logDir: dir, ledger: { path: 'l', records: [...records, end, late, again] } }));
    expect(anew.sessions).toMatchObject([{ open: true }]);
  });

  it('believes the lower of two levels', async () => {
    const dir = join(tempFolder(), 'log');
    mkdirSync(dir, { mode: 0o700 });
    const records = await story(dir);
    const fallen = facts(99, T0 + 50_000, 'session', { coverage: 'L0' }, { session: SESSION, event: 'coverage' });
    const raised = facts(100, T0 + 60_000, 'session', { coverage: 'L3' }, { session: SESSION, event: 'coverage' });
    expect(gatherReport(optionsOf({ logDir: dir, ledger: { path: 'l', records: [...records, fallen, raised] } })).sessions).toMatchObject([
      { level: 'L0' },
    ]);
  });

  it('of a session that nothing describes says so', async () => {
    const dir = join(tempFolder(), 'log');
    mkdirSync(dir, { mode: 0o700 });
    await story(dir);
    rmSync(join(dir, SESSION, 'session.json'));
    const { sessions, limits, evidence } = gatherReport(optionsOf({ logDir: dir }));
    expect(sessions).toMatchObject([{ level: 'unknown', open: true, activities: 107 }]);
    expect(limits.join('\n')).toMatch(/no ledger was read.*\n.*absence of activity is no sign/s);
    expect(new Set(evidence.map(({ status }) => status))).toStrictEqual(new Set(['not-recorded']));
  });
});

describe('an empty period', () => {
  it('is told as one, in every form', () => {
    const report = gatherReport(optionsOf({ logDir: join(tempFolder(), 'absent'), ledger: { path: 'l', records: [] } }));
    expect(report).toMatchObject({ duration_ms: 0, sessions: [], events: [], evidence: [], incidents: [] });
    expect(report.limits).toEqual(
      expect.arrayContaining([expect.stringContaining('there is no log folder'), expect.stringContaining('no process was watched')]),
    );
    for (const format of ['html', 'json', 'md'] as const) expect(reportText(report, format)).toContain('no process was watched');
  });
});

describe('logs that are broken', () => {
  it('are counted line by line', async () => {
    const dir = join(tempFolder(), 'log');
    mkdirSync(dir, { mode: 0o700 });
    await story(dir);
    appendFileSync(join(dir, LOG), `broken\n{"v":1,"lost":7}\n${'x'.repeat(70_000)}\n{"v":1,"activ`);
    const { counts, limits } = gatherReport(optionsOf({ logDir: dir }));
    expect(counts).toMatchObject({ activities: 107, lost: 7, bad_lines: 3 });
    expect(limits.join('\n')).toMatch(/7 activities are in no file/);
  });

  it.each([
    ['a folder', (path: string) => mkdirSync(path)],
    ['a hole of a terabyte', (path: string) => (writeFileSync(path, ''), truncateSync(path, 1e12))],
    ['a link to itself', (path: string) => symlinkSync(path, path)],
  ])('that are %s keep nothing else from being told', async (_, make) => {
    const dir = join(tempFolder(), 'log');
    mkdirSync(dir, { mode: 0o700 });
    await story(dir);
    make(join(dir, SESSION, 'activity-000002.jsonl'));
    const [line = ''] = readFileSync(join(dir, LOG), 'utf8').split('\n');
    writeFileSync(join(dir, SESSION, 'activity-000003.jsonl'), `${line}\n`);
    const { counts, limits, evidence } = gatherReport(optionsOf({ logDir: dir }));
    expect(counts).toMatchObject({ activities: 108 });
    expect(limits.join('\n')).toMatch(/a file of its log cannot be read to its end/);
    expect(evidence.find(({ path }) => path.endsWith('2.jsonl'))).toMatchObject({ status: 'unreadable' });
  });

  it('an incident that is none is passed over, and its file is still listed', async () => {
    const dir = join(tempFolder(), 'log');
    mkdirSync(dir, { mode: 0o700 });
    const records = await story(dir);
    writeFileSync(join(dir, 'incidents', `${INCIDENT}.json`), '{"v":1}');
    const { incidents, events } = gatherReport(optionsOf({ logDir: dir, ledger: { path: 'l', records } }));
    expect(incidents).toStrictEqual([]);
    expect(events.filter(({ incident }) => incident === INCIDENT)).toHaveLength(3);
  });
});

describe('what other programs left', () => {
  it('canary logs: rows, blocks, lines that are none', () => {
    const workspace = tempFolder();
    canaries(workspace);
    const { external, events } = gatherReport(optionsOf({ workspace }));
    expect(external).toMatchObject([
      { rows: 2, blocked: 1, bad_lines: 1, samples: [{ safe: true }, { safe: false, summary: 'Input blocked by canary_probe (2.561s)' }] },
      { rows: 1, blocked: 0, samples: [{ summary: 'canary phrase found' }] },
    ]);
    expect(events.map(({ what }) => what)).toStrictEqual(['input blocked', 'alert']);
  });

  it.each(['logDir', 'predecessorLogs'] as const)("the predecessor's logs in %s", (where) => {
    const dir = tempFolder();
    predecessorLogs(dir);
    const { predecessor, evidence } = gatherReport(optionsOf({ [where]: dir }));
    expect(predecessor).toMatchObject({
      actions: 3,
      verdicts: { SAFE: 1, FLAG: 1, KILL: 1 },
      kill_reasons: ['Accessed forbidden path: /root/.ssh/id_rsa'],
      incidents: [{ session: '20260101_000000', status: 'AGENT_TERMINATED', target: '/root/.ssh/id_rsa', killed: true }],
    });
    expect(evidence).toHaveLength(2);
  });

  it('are redacted: nobody did before', () => {
    const dir = tempFolder();
    const secret = `ghp_${'a1B2c3D4e5'.repeat(4)}`;
    const row = {
      timestamp: new Date(T0).toISOString(),
      verdict: 'KILL',
      reason: `used ${secret}`,
      action: { action_type: 'process_exec', target: `curl -u ada:${secret}` },
    };
    writeFileSync(join(dir, 'actions_1.jsonl'), `${JSON.stringify(row)}\n`);
    const report = gatherReport(optionsOf({ logDir: dir }));
    expect(report.predecessor?.actions).toBe(1);
    for (const format of ['html', 'json', 'md'] as const) expect(reportText(report, format)).not.toContain('a1B2c3D4');
  });

  it.each([
    'null',
    '[]',
    '"x"',
    '{"timestamp":5,"verdict":"KILL"}',
    '{"timestamp":"now","verdict":"KILL"}',
    '{"timestamp":"2026-01-01T00:00:00Z","verdict":"constructor"}',
    '{"__proto__":{"timestamp":"2026-01-01T00:00:00Z","verdict":"KILL"}}',
  ])('a line of %s is none', (line) => {
    const dir = tempFolder();
    writeFileSync(join(dir, 'actions_1.jsonl'), `${line}\n`);
    expect(gatherReport(optionsOf({ logDir: dir })).predecessor).toMatchObject({ actions: 0, bad_lines: 1 });
  });
});

describe('hostile texts', () => {
  const attack = `"'><script>alert(1)</script><img src=x onerror=alert(2)>\u001b[2J\u202e\n| [x](javascript:alert(3)) ![](http://x.example/p.png) @root https://x.example www.x.example \`code\``;

  function hostile(): Report {
    const workspace = tempFolder();
    mkdirSync(join(workspace, 'security'));
    writeFileSync(
      join(workspace, 'security', 'canary-audit.jsonl'),
      `${JSON.stringify({ ts: new Date(T0).toISOString(), safe: false, summary: attack })}\n`,
    );
    const records = [
      facts(
        0,
        T0,
        'decision',
        {},
        { call: CALL, effect: attack, tool: { server: attack, name: attack }, rule: attack, reasonCode: attack },
      ),
      facts(1, T0, 'approval', {}, { call: CALL, answer: attack, approver: attack }),
      facts(
        2,
        T0,
        'verdict',
        { level: 'KILL', enforced: attack, incident: attack },
        { session: attack, rule: attack, shown: new Map([['activity', { reason: attack }]]) },
      ),
      facts(3, T0, 'containment', { event: attack, grade: attack, incident: attack }, { event: attack, reasonCode: attack }),
      facts(4, T0, 'verdict', { level: '__proto__' }, { session: '__proto__', rule: 'constructor' }),
    ];
    return gatherReport(optionsOf({ workspace, ledger: { path: attack, records } }));
  }

  it('are text in HTML: no element, no attribute, no address of theirs', () => {
    const html = reportText(hostile(), 'html');
    expect(html).not.toMatch(/<script|<img|onerror=|javascript:alert\(3\)\)"|\u001b|\u202e/);
    const tags = new Set([...html.matchAll(/<([a-z0-9]+)/g)].map(([, name]) => name));
    expect(
      [...tags].filter(
        (name) =>
          ![
            'html',
            'head',
            'meta',
            'title',
            'style',
            'body',
            'main',
            'h1',
            'h2',
            'p',
            'dl',
            'div',
            'dt',
            'dd',
            'ul',
            'ol',
            'li',
            'b',
            'br',
            'code',
            'span',
            'table',
            'thead',
            'tbody',
            'tr',
            'th',
            'td',
            'figure',
            'figcaption',
            'svg',
            'text',
            'line',
            'rect',
            'circle',
            'polyline',
          ].includes(name ?? ''),
      ),
    ).toStrictEqual([]);
    expect(html).not.toMatch(/\s(?:href|src|style|on[a-z]+)=/);
    expect(html).toContain("default-src 'none'; style-src 'sha256-");
  });

  it('are text or code in Markdown, and no further row', () => {
    const markdown = reportText(hostile(), 'md');
    expect(markdown).not.toMatch(/\u001b|\u202e/);
    expect(markdown.split('\n').filter((line) => !MARKDOWN_LINE.test(line))).toEqual([]);
    expect(markdown).toContain('alert(1)');
  });

  it.each([
    ['mass-deletion', 'mass-deletion'],
    ['4.8 KiB', '4.8 KiB'],
    ['CHANGED: not what the ledger has', 'CHANGED: not what the ledger has'],
    ['2026-01-01 00:00:01Z', '2026-01-01 00:00:01Z'],
    ['1. x', '`1.` x'],
    ['- x', '`-` x'],
    ['    x', '`    x`'],
    [' x ', '`  x  `'],
    ['12:30:01 :smile:', '`12:30:01 :smile:`'],
    ['https://x', '`https://x`'],
    ['www.x.example', '`www.x.example`'],
    ['a@b.example', '`a@b.example`'],
    ['@root', '`@root`'],
    ['#12', '`#12`'],
    ['GH-12', '`GH-12`'],
    ['deadbeef', '`deadbeef`'],
    ['<b>&amp;', '`<b>&amp;`'],
    ['![x](http://y)', '`![x](http://y)`'],
    ['$x$', '`$x$`'],
    ['a`b``c', '`a\\u{60}b\\u{60}\\u{60}c`'],
    ['cat x | sh', 'cat x `\\|` sh'],
    ['session ab12cd3: it read /a b', 'session `ab12cd3:` it read `/a` b'],
    ['a|b\\|c\\\\|d', '`a\\|b\\u{7c}c\\\\u{7c}d`'],
    ['a\\', '`a\\`'],
    ['a\nb', '`a\\u{a}b`'],
    ['\u202ex', '`\\u{202e}x`'],
  ])('%j is text or code in Markdown', (given, written) => {
    const records = [
      facts(0, T0, 'approval', {}, { answer: 'approve', approver: 'x' }),
      facts(1, T0, 'verdict', { level: 'FLAG' }, { session: 's', rule: given }),
    ];
    const lines = reportText(gatherReport(optionsOf({ ledger: { path: 'l', records } })), 'md').split('\n');
    expect(lines.filter((line) => line.endsWith(`| FLAG | ${written} |  |`))).toHaveLength(1);
    expect(lines.filter((line) => !MARKDOWN_LINE.test(line))).toEqual([]);
  });

  it('whatever is put together: each line of Markdown is one of ours, with cells of words and code', () => {
    const piece = fc.constantFrom(
      ...[
        '`',
        '```',
        '~~~',
        '|',
        '\\',
        '\\|',
        '\n',
        '\r',
        '\t',
        ' ',
        '    ',
        '#',
        '- ',
        '1. ',
        '> ',
        '---',
        '===',
        '<!--',
        '-->',
        '<script>',
        '&#124;',
      ],
      ...[
        '[x](http://y)',
        '![',
        '](',
        '[^1]:',
        '[ ] ',
        'http://a.b',
        'www.a.b',
        'a@b.c',
        '@x',
        ':smile:',
        '$$',
        '\u202e',
        '\u2028',
        '\u0085',
        '\ud800',
        'x',
        'é',
      ],
    );
    const hostileText = fc.oneof(
      fc.array(piece, { maxLength: 12 }).map((pieces) => pieces.join('')),
      fc.string({ unit: 'binary', maxLength: 400 }),
    );
    fc.assert(
      fc.property(hostileText, hostileText, (rule, limit) => {
        const plain = gatherReport(optionsOf({}));
        const event = { at: T0, kind: 'verdict', level: 'FLAG', what: rule, text: limit } as const;
        const lines = reportMarkdown({ ...plain, limits: [limit], events: [event] }).split('\n');
        expect(lines.filter((line) => !MARKDOWN_LINE.test(line))).toEqual([]);
        expect(lines.filter((line) => line.startsWith('- '))).toHaveLength(1);
        expect(lines).toHaveLength(
          reportMarkdown({ ...plain, limits: ['x'], events: [{ ...event, what: 'x', text: 'x' }] }).split('\n').length,
        );
        // Four cells, whatever is in them.
        const row = lines.findLast((line) => line.includes('| FLAG |')) ?? '';
        expect(row.replaceAll('\\|', '').split('|')).toHaveLength(6);
      }),
      { numRuns: 500 },
    );
  });

  it('are one line of JSON', () => {
    const json = reportText(hostile(), 'json');
    expect(json.trimEnd()).not.toMatch(/[\u0000-\u001f\u202e]/);
    expect((JSON.parse(json) as Report).events.some(({ text }) => text === attack || text?.includes('alert(1)'))).toBe(true);
  });
});

describe('bounds', () => {
  it('many calls, many events: the newest, and how many are not told', () => {
    const records = Array.from({ length: 5000 }, (_, i) =>
      facts(i, T0 + i, 'decision', {}, { call: String(i).padStart(32, '0'), effect: 'allow', tool: { name: 't' } }),
    );
    const report = gatherReport(optionsOf({ ledger: { path: 'l', records } }));
    expect(report.calls).toHaveLength(500);
    expect(report.calls[0]?.call).toBe('4999'.padStart(32, '0'));
    expect(report).toMatchObject({ calls_omitted: 4500, events_omitted: 4700, counts: { calls: 5000 } });
  });

  it('the timeline has as many intervals as it may, however long it is', async () => {
    const { report } = await reported();
    expect(report.timeline.buckets.length).toBeLessThanOrEqual(MAX_BUCKETS);
    expect(report.timeline.buckets.reduce((sum, bucket) => sum + bucket.SAFE, 0)).toBe(105);
  });
});
