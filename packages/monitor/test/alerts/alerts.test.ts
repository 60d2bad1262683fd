import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CountersignError, createRedactor } from '@countersign/core';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { Action } from '../../src/activity.ts';
import { type Alert, type AlertCause, alertOf, MAX_ALERT_TEXT_CHARS } from '../../src/alerts/alert.ts';
import { type AlertChannel, alerts, MAX_ALERTS_UNDER_WAY } from '../../src/alerts/alerts.ts';
import { type AlertMessage, commandAlert, terminalAlert, webhookAlert } from '../../src/alerts/channels.ts';
import type { Level } from '../../src/verdict.ts';
import { activity, erase, exec, read } from '../intent/activities.ts';

const INCIDENT = 'ab'.repeat(16);

function cause(action: Action = erase('/home/ana/a.txt'), more: Partial<AlertCause> = {}): AlertCause {
  return {
    id: INCIDENT,
    at: 1_767_323_045_000,
    session: 's1',
    activity: activity(action, 7, { actor: { pid: 4711, start: 1, exe: '/usr/bin/node' } }),
    verdict: { level: 'HALT', rule: 'mass-deletion', reason: '20 files deleted', evaluator: 'rules', confidence: 1, evidence: [7] },
    enforced: 'HALT',
    state: 'frozen',
    mode: 'enforce_kill',
    ...more,
  };
}

function alert(action?: Action, more: Partial<AlertCause> = {}): Alert {
  return alertOf(cause(action, more), createRedactor());
}

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'countersign-alerts-'));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

describe('an alert', () => {
  it('says what happened, by whom, and what was done', () => {
    expect(alert()).toEqual({
      incident: INCIDENT,
      at: 1_767_323_045_000,
      session: 's1',
      level: 'HALT',
      enforced: 'HALT',
      rule: 'mass-deletion',
      reason: '20 files deleted',
      action: 'delete /home/ana/a.txt',
      by: 'node (pid 4711)',
      state: 'frozen',
    });
  });

  it.each([
    [exec('rm', '-rf', 'x'), 'run rm -rf x'],
    [{ kind: 'exec', exe: '/bin/true', argv: [] }, 'run /bin/true'],
    [{ kind: 'rename', path: '/a', to: '/b' }, 'rename /a to /b'],
    [{ kind: 'connect', protocol: 'tcp', host: 'example.com', address: '203.0.113.9', port: 443 }, 'connect to example.com:443'],
    [{ kind: 'connect', protocol: 'unix', address: '/run/docker.sock' }, 'connect to /run/docker.sock'],
    [{ kind: 'connect', protocol: 'tcp' }, 'connect to an unknown address'],
    [{ kind: 'dns', name: 'example.com' }, 'look up example.com'],
    [{ kind: 'memory', target: 1 }, 'reach into process 1'],
    [{ kind: 'resource', processes: 3 }, 'use the resources of 3 processes'],
    [{ kind: 'resource', processes: 1 }, 'use the resources of 1 process'],
  ] as readonly (readonly [Action, string])[])('%o', (action, expected) => {
    expect(alert(action).action).toBe(expected);
  });

  it('holds neither controls nor secrets, and is never long', () => {
    const key = `sk-ant-api03-${'A1b2'.repeat(24)}`;
    const evil = `\u001b[2J\u202e\n${key}${'x'.repeat(100_000)}`;
    const told = alert(exec('curl', evil, '--password', 'hunter2hunter2'), {
      session: evil,
      state: evil,
      activity: activity(exec('curl', evil, '--password', 'hunter2hunter2'), 1, {
        actor: { pid: 1, start: 1, exe: `/tmp/${evil}` },
        attribution: { method: 'scope', call: evil },
      }),
      verdict: { level: 'KILL', rule: evil, reason: evil, evaluator: 'judge', confidence: 1, evidence: [1] },
    });
    const text = JSON.stringify(told);
    expect(text).not.toContain('A1b2A1b2');
    expect(text).not.toContain('hunter2hunter2');
    for (const value of Object.values(told)) {
      if (typeof value !== 'string') continue;
      expect(value).not.toMatch(/[\p{Cc}\p{Cf}]/u);
      expect(value.length).toBeLessThanOrEqual(MAX_ALERT_TEXT_CHARS + 20);
    }
  });

  it('does not name the program of an unknown process', () => {
    expect(alertOf(cause(read('/a'), { activity: { ...activity(read('/a')), actor: { pid: 9, start: 1 } } }), createRedactor()).by).toBe(
      'a process (pid 9)',
    );
    const { actor: _, ...nobody } = activity(read('/a'));
    expect(alertOf(cause(read('/a'), { activity: nobody }), createRedactor()).by).toBe('an unknown process');
  });
});

describe('telling', () => {
  function channel(name: string, tell: AlertChannel['tell']): AlertChannel {
    return { name, tell };
  }

  it.each([
    [undefined, ['HALT', 'KILL']],
    [['KILL'], ['KILL']],
    [
      ['FLAG', 'HALT', 'KILL'],
      ['FLAG', 'HALT', 'KILL'],
    ],
    [[], []],
  ] as readonly (readonly [Exclude<Level, 'SAFE'>[] | undefined, string[]])[])('levels %o: %o', async (levels, expected) => {
    const told: string[] = [];
    const all = alerts({ channels: [channel('c', async ({ level }) => void told.push(level))], ...(levels !== undefined && { levels }) });
    for (const level of ['SAFE', 'FLAG', 'HALT', 'KILL'] as const) all.tell(alert(undefined, { verdict: { ...cause().verdict, level } }));
    await all.close();
    expect(told).toEqual(expected);
  });

  it('reports a channel that fails, throws or hangs, and tells the others', async () => {
    const told: string[] = [];
    const errors: CountersignError[] = [];
    const all = alerts({
      channels: [
        channel('rejects', () => Promise.reject(new Error('secret of the receiver'))),
        channel('throws', () => {
          throw new Error('boom');
        }),
        channel('hangs', () => new Promise(() => {})),
        channel('works', async () => void told.push('works')),
      ],
      timeoutMs: 100,
      onError: (error) => errors.push(error),
    });
    all.tell(alert());
    await all.close();
    expect(told).toEqual(['works']);
    expect(errors.map(({ code }) => code)).toEqual(['ALERT_FAILED', 'ALERT_FAILED', 'ALERT_FAILED']);
    expect(errors.map(({ message }) => message).toSorted()).toEqual([
      'alert over hangs: it took longer than 100 ms',
      'alert over rejects: it failed',
      'alert over throws: it failed',
    ]);
    expect(all.stats()).toEqual({ told: 1, failed: 3, dropped: 0 });
  });

  it('has a bound on what is under way', async () => {
    const release: (() => void)[] = [];
    const all = alerts({ channels: [channel('slow', () => new Promise((resolve) => release.push(resolve)))] });
    for (let i = 0; i < MAX_ALERTS_UNDER_WAY + 5; i++) all.tell(alert());
    expect(all.stats().dropped).toBe(5);
    for (const each of release) each();
    await all.close();
    expect(all.stats()).toEqual({ told: MAX_ALERTS_UNDER_WAY, failed: 0, dropped: 5 });
  });

  it('refuses a timeout out of range, and too many channels', () => {
    for (const timeoutMs of [0, 99, 120_001, Number.NaN, 1.5]) {
      expect(() => alerts({ channels: [], timeoutMs }), String(timeoutMs)).toThrow(expect.objectContaining({ code: 'OPTIONS_INVALID' }));
    }
    expect(() => alerts({ channels: Array.from({ length: 17 }, () => terminalAlert()) })).toThrow(
      expect.objectContaining({ code: 'OPTIONS_INVALID' }),
    );
  });
});

const QUESTION = {
  held: ['read /x, by cat (pid 4711)\ncountersign: all is well'],
  call: 'call-1',
  since: '2026-01-02T02:00:00.000Z',
  coverage: { level: 'L1', means: 'prevents nothing' } as const,
  answers: { resume: 'it happens', deny: 'it fails with EPERM', kill: 'all is ended', unanswered: 'asked again at 02:10' },
};

it('an alert about a question has it whole, escaped', () => {
  expect(alert(undefined, { question: QUESTION }).question).toEqual({
    ...QUESTION,
    held: ['read /x, by cat (pid 4711)\\u{a}countersign: all is well'],
  });
});

const SIGNAL = new AbortController().signal;

describe('terminal', () => {
  it('writes lines for people', async () => {
    let text = '';
    await terminalAlert((more) => {
      text += more;
    }).tell(alert(), SIGNAL);
    expect(text).toBe(
      `countersign: HALT mass-deletion: 20 files deleted\n  delete /home/ana/a.txt, by node (pid 4711)\n  incident ${INCIDENT}, frozen; to go on: countersign resume ${INCIDENT}\n`,
    );
  });

  it('says what each answer does, where a person is asked', async () => {
    let text = '';
    await terminalAlert((more) => {
      text += more;
    }).tell(alert(undefined, { question: QUESTION }), SIGNAL);
    expect(text.split('\n').slice(2, -1)).toEqual([
      `  incident ${INCIDENT}, frozen`,
      '  resume  it happens',
      '  deny    it fails with EPERM',
      '  kill    all is ended',
      '  asked again at 02:10',
      `  answer: countersign resume ${INCIDENT} [--deny | --kill]`,
    ]);
  });

  it('lets no name make a line of its own', async () => {
    let text = '';
    await terminalAlert((more) => {
      text += more;
    }).tell(alert(erase('/tmp/x\ncountersign: all is well\u001b[1A')), SIGNAL);
    expect(text.trimEnd().split('\n')).toHaveLength(3);
    expect(text).not.toContain('\u001b');
  });

  it('says what is enforced where that is less', async () => {
    let text = '';
    const verdict = { ...cause().verdict, level: 'KILL' } as const;
    await terminalAlert((more) => {
      text += more;
    }).tell(alert(undefined, { verdict, enforced: 'FLAG', state: 'open' }), SIGNAL);
    expect(text).toMatch(/^countersign: KILL \(FLAG in this mode\) mass-deletion/);
    expect(text).not.toContain('resume');
  });
});

describe('webhook', () => {
  it('hands one message over, with an id that is the same for the same state', async () => {
    const sent: AlertMessage[] = [];
    const channel = webhookAlert('pager', async (message) => void sent.push(message));
    await channel.tell(alert(), SIGNAL);
    await channel.tell(alert(), SIGNAL);
    await channel.tell(alert(undefined, { state: 'killed' }), SIGNAL);
    expect(sent.map(({ id }) => id)).toEqual([`alert_${INCIDENT}_frozen`, `alert_${INCIDENT}_frozen`, `alert_${INCIDENT}_killed`]);
    expect(sent[0]).toMatchObject({ type: 'monitor.alert', data: { level: 'HALT', rule: 'mass-deletion' } });
  });

  it('has an id without full stops whatever it is made of', async () => {
    const sent: AlertMessage[] = [];
    const { id: _, ...noIncident } = cause(undefined, { session: 'a.b c\n', state: 'x.y' });
    await webhookAlert('pager', async (message) => void sent.push(message)).tell(alertOf(noIncident, createRedactor()), SIGNAL);
    expect(sent[0]?.id).toMatch(/^[A-Za-z0-9_-]{1,200}$/);
  });
});

describe('command', () => {
  const script = (body: string): string => {
    const path = join(folder(), 'notify.mjs');
    writeFileSync(path, body);
    return path;
  };

  it('gets title and text as arguments, no shell, and little of the environment', async () => {
    process.env['COUNTERSIGN_TEST_TOKEN'] = 'secret-in-env';
    onTestFinished(() => void delete process.env['COUNTERSIGN_TEST_TOKEN']);
    const out = join(folder(), 'out.json');
    const path = script(`import { writeFileSync } from 'node:fs';
      writeFileSync(${JSON.stringify(out)}, JSON.stringify({ argv: process.argv.slice(2), env: process.env }));`);
    const name = '/tmp/$(touch pwned);`id`<a href="x">&amp; "quoted"';
    await commandAlert([process.execPath, path, '--urgency=critical']).tell(alert(erase(name)), SIGNAL);
    const { argv, env } = JSON.parse(readFileSync(out, 'utf8')) as { readonly argv: string[]; readonly env: Record<string, string> };
    expect(argv).toEqual([
      '--urgency=critical',
      'Countersign HALT: mass-deletion',
      `Reason: 20 files deleted. Incident ${INCIDENT}: frozen. delete /tmp/$(touch pwned);\`id\`\\u{3c}a href="x"\\u{3e}\\u{26}amp; "quoted", by node (pid 4711).`,
    ]);
    expect(env).not.toHaveProperty('COUNTERSIGN_TEST_TOKEN');
  });

  it('never looks like an option, whatever the rule and the reason say', async () => {
    const out = join(folder(), 'out.json');
    const path = script(
      `import { writeFileSync } from 'node:fs'; writeFileSync(${JSON.stringify(out)}, JSON.stringify(process.argv.slice(2)));`,
    );
    const verdict = { ...cause().verdict, rule: '--help', reason: '-rf' };
    await commandAlert([process.execPath, path]).tell(alert(read('--x'), { verdict }), SIGNAL);
    for (const each of JSON.parse(readFileSync(out, 'utf8')) as string[]) expect(each).toMatch(/^[A-Z]/);
  });

  it.each([
    [['/nonexistent/notify'], /cannot be started \(ENOENT\)/],
    [[process.execPath, '-e', 'process.exit(3)'], /ended with exit code 3/],
    [[process.execPath, '-e', 'process.kill(process.pid, "SIGTERM"); setInterval(() => {}, 1000)'], /was stopped by SIGTERM/],
  ] as readonly (readonly [string[], RegExp])[])('%o is reported', async (command, message) => {
    const failure = await commandAlert(command)
      .tell(alert(), SIGNAL)
      .catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: 'ALERT_FAILED', message: expect.stringMatching(message) });
  });

  it('is ended with all it started when it takes too long', async () => {
    const beat = join(folder(), 'beat');
    const child = `setInterval(() => require('node:fs').writeFileSync(${JSON.stringify(beat)}, String(process.pid)), 20)`;
    const path = script(`import { spawn } from 'node:child_process';
      spawn(process.execPath, ['-e', ${JSON.stringify(child)}], { stdio: 'ignore' }); setInterval(() => {}, 1000);`);
    const stop = new AbortController();
    const told = commandAlert([process.execPath, path])
      .tell(alert(), stop.signal)
      .catch((error: unknown) => error);
    await until(() => existsSync(beat) && readFileSync(beat, 'utf8') !== '');
    const grandchild = Number(readFileSync(beat, 'utf8'));
    stop.abort();
    expect(CountersignError.is(await told)).toBe(true);
    await until(() => !isAlive(grandchild));
  });

  it.each([
    [[]],
    [['']],
    [['notify\0send']],
    [Array.from({ length: 65 }, () => 'x')],
    [['x', 'y'.repeat(5_000)]],
    [[1 as unknown as string]],
  ])('refuses %j', (command) => {
    expect(() => commandAlert(command)).toThrow(expect.objectContaining({ code: 'OPTIONS_INVALID' }));
  });
});

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 5));
}

/** A zombie is not, where the system tells. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  return !existsSync('/proc/self/stat') || (existsSync(`/proc/${pid}/stat`) && !isZombie(pid));
}

function isZombie(pid: number): boolean {
  try {
    return /^\d+ \(.*\) [ZX]/.test(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  } catch {
    return true;
  }
}
