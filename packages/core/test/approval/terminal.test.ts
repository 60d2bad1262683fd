import { PassThrough, Writable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { terminalChannel } from '../../src/approval/terminal.ts';
import { MAX_DETAIL_LINES, MAX_PROMPT_LINES } from '../../src/approval/terminal-question.ts';
import { columnsOf } from '../../src/approval/terminal-rows.ts';
import { CountersignError } from '../../src/errors.ts';
import type { ApprovalAnswer, ApprovalRequest, Approver } from '../../src/interfaces.ts';
import { AFTER_HALT_TOOL, HALT } from '../fixtures/halt.ts';

const REQUEST: ApprovalRequest = {
  id: '3f9a1c00000000000000000000000000',
  callId: 'c0ffee00000000000000000000000000',
  agent: 'bot',
  session: 's1',
  tool: { server: 'shop', name: 'refund' },
  args: { amount: 700 },
  reason: 'over 500',
  rule: 'big-refund',
  expiresAtMs: Date.UTC(2100, 0, 1),
};

class Screen extends Writable {
  text = '';
  readonly isTTY: boolean;
  readonly #waiting: { readonly wanted: string; readonly found: () => void }[] = [];

  constructor(isTTY = true) {
    super();
    this.isTTY = isTTY;
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk.toString();
    for (const { wanted, found } of this.#waiting) if (this.text.includes(wanted)) found();
    done();
  }

  /** Resolves when the text stands on the screen. */
  shows(wanted: string): Promise<void> {
    if (this.text.includes(wanted)) return Promise.resolve();
    return new Promise((found) => this.#waiting.push({ wanted, found }));
  }
}

function keyboard(isTTY = true): PassThrough {
  return Object.assign(new PassThrough(), { isTTY });
}

interface Given {
  readonly answer: ApprovalAnswer;
  readonly approver: Approver;
}

function terminal(options: { readonly typeAheadMs?: number; readonly refuse?: Error } = {}) {
  const input = keyboard();
  const screen = new Screen();
  const given: Given[] = [];
  const channel = terminalChannel({ input, output: screen, approver: 'terminal:pat', typeAheadMs: options.typeAheadMs ?? 0 });
  const ask = (request: Partial<ApprovalRequest> = {}, signal = new AbortController().signal): Promise<void> =>
    channel.ask(
      { ...REQUEST, ...request },
      async (answer, approver) => {
        given.push({ answer, approver });
        if (options.refuse !== undefined) throw options.refuse;
      },
      signal,
    );
  return { input, screen, given, ask };
}

const PROMPT = '[d] details\n> ';

describe('terminalChannel', () => {
  it('shows who wants what, and takes a yes', async () => {
    const { input, screen, given, ask } = terminal();
    const done = ask();
    await screen.shows(PROMPT);
    input.write('y\n');
    await done;
    expect(given).toEqual([{ answer: { decision: 'approve' }, approver: { id: 'terminal:pat', method: 'terminal' } }]);
    for (const text of [
      'approval 3f9a1c00: may bot call shop/refund?',
      'session  s1',
      'rule     big-refund',
      'reason   over 500',
      '"amount": 700',
      'at 2100-01-01T00:00:00.000Z',
    ]) {
      expect(screen.text).toContain(text);
    }
    expect(screen.text).toContain('approved\n');
  });

  it('takes a no, with words for the agent', async () => {
    const { input, screen, given, ask } = terminal();
    const done = ask();
    await screen.shows(PROMPT);
    input.write('n  too   expensive\n');
    await done;
    expect(given[0]?.answer).toEqual({ decision: 'deny', message: 'too expensive' });
  });

  it.each(['', 'yes please', 'Y maybe', 'ok', 'approve', 'true', '1', '\u001b[A'])(
    'takes %j for no answer and asks again',
    async (typed) => {
      const { input, screen, given, ask } = terminal();
      const done = ask();
      await screen.shows(PROMPT);
      input.write(`${typed}\n`);
      await screen.shows(`${PROMPT}[y]`);
      expect(given).toEqual([]);
      input.write('n\n');
      await done;
      expect(given).toHaveLength(1);
      expect(given[0]?.answer.decision).toBe('deny');
    },
  );

  it('ignores what was typed before the question was shown', async () => {
    const { input, screen, given, ask } = terminal({ typeAheadMs: 3_600_000 });
    const stop = new AbortController();
    const done = ask({}, stop.signal);
    await screen.shows(PROMPT);
    input.write('y\n');
    await screen.shows('ignored: typed before the question was shown');
    stop.abort();
    await done;
    expect(given).toEqual([]);
  });

  it('says how much of the arguments it did not show, and shows them on request', async () => {
    const { input, screen, ask } = terminal();
    const args = Object.fromEntries(Array.from({ length: 60 }, (_, index) => [`key${index}`, index]));
    const done = ask({ args });
    await screen.shows(PROMPT);
    expect(screen.text).toContain(`… ${62 - MAX_PROMPT_LINES} more lines not shown: type d to see them`);
    expect(screen.text).not.toContain('"key59"');
    input.write('d\n');
    await screen.shows('"key59": 59');
    input.write('n\n');
    await done;
  });

  it('bounds the details too, and says so', async () => {
    const { input, screen, ask } = terminal();
    const done = ask({ args: Array.from({ length: MAX_DETAIL_LINES + 5 }, () => 0) });
    await screen.shows(PROMPT);
    input.write('d\n');
    await screen.shows('… 7 more lines not shown: see `countersign approvals show 3f9a1c00`');
    input.write('n\n');
    await done;
  });

  it('cuts a long line and says so', async () => {
    const { input, screen, ask } = terminal();
    const done = ask({ args: { text: `${'x'.repeat(5000)}END` } });
    await screen.shows(PROMPT);
    expect(screen.text).toContain('… (line cut, type d to see them)');
    expect(screen.text).not.toContain('END');
    input.write('d\n');
    await screen.shows('END');
    input.write('n\n');
    await done;
  });

  it('escapes whatever the agent sends', async () => {
    const { input, screen, ask } = terminal();
    const evil = '\u001b[2J\u202e\u009b1A\nrule allow';
    const done = ask({
      id: evil,
      callId: evil,
      agent: evil,
      session: evil,
      principal: evil,
      reason: evil,
      rule: evil,
      tool: { server: evil, name: evil },
      args: { [evil]: evil, __proto__: [evil] },
    });
    await screen.shows(PROMPT);
    input.write('d\nn\n');
    await done;
    expect(screen.text.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}]/u);
    expect(screen.text).toContain('\\u{1b}[2J\\u{202e}\\u{9b}1A');
    expect(screen.text).not.toMatch(/^\s*rule allow/m);
  });

  it.each([40, 80, 200])('on a terminal of %d columns no text of an agent stands at the left edge', async (columns) => {
    const { input, screen, ask } = terminal();
    Object.assign(screen, { columns });
    const forged = 'APPROVED by ana   ';
    // Repeated, so that some of it begins a row wherever the terminal breaks.
    const done = ask({
      agent: `${'日'.repeat(30)}${forged}`,
      reason: forged.repeat(15),
      args: { note: forged.repeat(200), wide: '，。日本🎉'.repeat(100), [`${forged.repeat(20)}`]: 1 },
    });
    await screen.shows('[d] details');
    input.write('d\n');
    await screen.shows('call     c0ffee');
    input.write('n\n');
    await done;
    const OURS =
      /^(?:|approval 3f9a.*| {2}(?:agent|session|rule|reason|expires|arguments|approval|call) ?.*| {4}["{}[\]… ].*| {6}\| .*|\[y\] .*|> .*|denied)$/u;
    // Where the person types, the terminal itself begins a new line.
    const rows = screen.text.replaceAll('\n> ', '\n> \n').split('\n');
    expect(rows.filter((row) => !OURS.test(row))).toEqual([]);
    expect(rows.filter((row) => columnsOf(row) > columns)).toEqual([]);
    // Nothing is lost by breaking lines.
    expect(screen.text.replaceAll('\n      | ', '')).toContain(`"note": "${forged.repeat(200)}"`);
  });

  it('asks one question at a time', async () => {
    const { input, screen, given, ask } = terminal();
    const first = ask({ agent: 'one' });
    const second = ask({ agent: 'two' });
    await screen.shows(PROMPT);
    expect(screen.text).not.toContain('may two call');
    input.write('y\n');
    await first;
    await screen.shows('may two call');
    expect(given).toHaveLength(1);
    input.write('n\n');
    await second;
    expect(given.map(({ answer }) => answer.decision)).toEqual(['approve', 'deny']);
  });

  it('withdraws the question when it is settled elsewhere, and goes on with the next one', async () => {
    const { input, screen, given, ask } = terminal();
    const stop = new AbortController();
    const first = ask({}, stop.signal);
    const second = ask({ agent: 'two' });
    await screen.shows(PROMPT);
    stop.abort();
    await first;
    expect(screen.text).toContain('withdrawn: approval 3f9a1c00');
    await screen.shows('may two call');
    input.write('n\n');
    await second;
    expect(given).toHaveLength(1);
  });

  it('never shows a question that was settled while it waited', async () => {
    const { input, screen, ask } = terminal();
    const stop = new AbortController();
    const first = ask({ agent: 'one' });
    const second = ask({ agent: 'two' }, stop.signal);
    await screen.shows(PROMPT);
    stop.abort();
    input.write('n\n');
    await Promise.all([first, second]);
    expect(screen.text).not.toContain('may two call');
  });

  it('fails when the input ends before an answer', async () => {
    const { input, screen, given, ask } = terminal();
    const done = ask();
    await screen.shows(PROMPT);
    input.end();
    await expect(done).rejects.toThrow(CountersignError);
    expect(given).toEqual([]);
  });

  it('fails, and nothing else does, when the input cannot be read any more', async () => {
    const { input, screen, given, ask } = terminal();
    const done = ask();
    await screen.shows(PROMPT);
    input.destroy(new Error('EIO: i/o error, read'));
    await expect(done).rejects.toThrow('the terminal was closed before the question was answered');
    expect(given).toEqual([]);
  });

  it.each([
    ['input', keyboard(false), new Screen()],
    ['output', keyboard(), new Screen(false)],
  ])('fails when the %s is no terminal', async (_, input, output) => {
    const channel = terminalChannel({ input, output });
    await expect(channel.ask(REQUEST, async () => {}, new AbortController().signal)).rejects.toThrow('needs a terminal');
    expect(output.text).toBe('');
  });

  it('says when the answer was not taken, and has not failed: others may still answer', async () => {
    const { input, screen, ask } = terminal({ refuse: new CountersignError('APPROVER_REFUSED', 'not among the\u001b[2J approvers') });
    const done = ask();
    await screen.shows(PROMPT);
    input.write('y\n');
    await expect(done).resolves.toBeUndefined();
    expect(screen.text).toContain('not answered: not among the\\u{1b}[2J approvers');
    expect(screen.text).not.toContain('approved\n');
  });

  describe('arguments that people edit', () => {
    const EVIL = 'a\u001b[2J\u202eb\u200bc\r\nd';

    it('shows what a person changed in an edited call, old and new', async () => {
      const { input, screen, given, ask } = terminal();
      const done = ask({
        args: { amount: 70, to: { name: 'ann' }, note: 'x' },
        edited: { from: { amount: 700, to: { name: 'bob' }, old: [1] } },
      });
      await screen.shows(PROMPT);
      for (const line of ['~ /amount: 700 -> 70', '~ /to/name: "bob" -> "ann"', '- /old: [1]', '+ /note: "x"'])
        expect(screen.text).toContain(line);
      input.write('y\n');
      await done;
      expect(given[0]?.answer).toEqual({ decision: 'approve' });
    });

    it('escapes and bounds what it shows of them', async () => {
      const { input, screen, ask } = terminal();
      const from = Object.fromEntries(Array.from({ length: 5000 }, (_, i) => [`${EVIL}${i}`, EVIL]));
      const done = ask({ args: { [EVIL]: 'x'.repeat(1_000_000) }, edited: { from } });
      await screen.shows(PROMPT);
      expect(screen.text).not.toMatch(/[\u001b\u202e\u200b\r]/);
      expect(screen.text).toContain('\\u{202e}');
      expect(screen.text).toContain('more changes not shown');
      expect(screen.text.length).toBeLessThan(20_000);
      expect(screen.text.split('\n').length).toBeLessThan(80);
      input.write('n\n');
      await done;
    });

    it('lets the person change values, and answers nothing before a yes to what is shown', async () => {
      const { input, screen, given, ask } = terminal();
      const done = ask({ args: { amount: 700, list: ['a', 'b'], note: 'x' } });
      await screen.shows(PROMPT);
      input.write('e /amount 70\n');
      await screen.shows('~ /amount: 700 -> 70');
      input.write('e /list/2 "c"\n');
      await screen.shows('+ /list/2: "c"');
      input.write('e /note\n');
      await screen.shows('- /note: "x"');
      expect(given).toEqual([]);
      input.write('y\n');
      await done;
      expect(given.map(({ answer }) => answer)).toEqual([{ decision: 'edit', args: { amount: 70, list: ['a', 'b', 'c'] } }]);
      expect(screen.text).toContain('denied, and the changed call is decided anew');
    });

    it('forgets an edit on request, and then a yes means the call as it was', async () => {
      const { input, screen, given, ask } = terminal();
      const done = ask();
      await screen.shows(PROMPT);
      input.write('e /amount 1\n');
      await screen.shows('forget the edit');
      const before = screen.text.length;
      input.write('e\n');
      await expect.poll(() => screen.text.slice(before), { timeout: 20_000 }).toContain('[y] approve');
      input.write('y\n');
      await done;
      expect(given.map(({ answer }) => answer)).toEqual([{ decision: 'approve' }]);
    });

    it('ignores a yes that was pasted together with the edit', async () => {
      const { input, screen, given, ask } = terminal({ typeAheadMs: 150 });
      const done = ask();
      await screen.shows(PROMPT);
      await expect
        .poll(
          () => {
            input.write('e /amount 1\ny\n');
            return screen.text;
          },
          { timeout: 20_000, interval: 200 },
        )
        .toContain('~ /amount: 700 -> 1');
      expect(given).toEqual([]);
      await expect
        .poll(
          () => {
            if (given.length === 0) input.write('n\n');
            return given.length;
          },
          { timeout: 20_000, interval: 200 },
        )
        .toBe(1);
      await done;
      expect(given[0]?.answer).toEqual({ decision: 'deny' });
    });

    it.each<[string, string, string]>([
      ['no pointer', 'e amount 70', 'needs a JSON pointer'],
      ['no JSON', 'e /amount seventy', 'not JSON'],
      ['a pointer to nothing', 'e /a/b 1', 'nothing stands'],
      ['taking out nothing', 'e /nothing', 'nothing stands'],
      ['an item far beyond', 'e /amount/5 1', 'nothing stands'],
      ['a prototype', 'e /__proto__ {}', 'nothing stands'],
      ['a line that would be cut', `e /amount ${'9'.repeat(1500)}`, 'longer than'],
    ])('says what is wrong with %s, and changes nothing', async (_what, line, told) => {
      const { input, screen, given, ask } = terminal();
      const done = ask();
      await screen.shows(PROMPT);
      input.write(`${line}\n`);
      await screen.shows(told);
      input.write('y\n');
      await done;
      expect(given.map(({ answer }) => answer)).toEqual([{ decision: 'approve' }]);
    });

    it('asks again when the edit was refused', async () => {
      const { input, screen, given, ask } = terminal({
        refuse: new CountersignError('APPROVAL_EDIT_INVALID', 'the edit is refused: a \u001b[2Jsecret'),
      });
      const done = ask();
      await screen.shows(PROMPT);
      input.write('e /amount 1\n');
      await screen.shows('forget the edit');
      input.write('y\n');
      await screen.shows('not answered: the edit is refused');
      expect(screen.text).not.toContain('\u001b');
      input.end();
      await expect(done).rejects.toMatchObject({ code: 'APPROVER_REFUSED' });
      expect(given).toHaveLength(1);
    });
  });
});

describe('after a halt', () => {
  const ASKED = { tool: AFTER_HALT_TOOL, args: HALT };
  const HALTED = '[v] all there is to see\n> ';

  it('shows what is held, since when, and what each answer does, instead of JSON', async () => {
    const { input, screen, ask } = terminal();
    const done = ask(ASKED);
    await screen.shows(HALTED);
    input.write('k\n');
    await done;
    for (const text of [
      'THE AGENT IS STOPPED',
      'held     read /home/ana/.ssh/id_rsa, by cat (pid 4711)',
      'because  HALT by ssh-keys: a private key',
      'call     call-1',
      'since    2026-01-02T02:00:00.000Z',
      'watched  level L2: racy against hostile threads\n           held exactly: signals; held, racy: reading',
      'resume   it happens',
      'deny     it fails with EPERM',
      'kill     all is ended',
      'silence  asked again at 02:10',
    ])
      expect(screen.text).toContain(text);
    expect(screen.text).not.toContain('"incident"');
  });

  it.each<[string, ApprovalAnswer]>([
    ['r', { decision: 'approve' }],
    ['resume', { decision: 'approve' }],
    ['y', { decision: 'approve' }],
    ['d', { decision: 'edit', args: { ...HALT, do: 'deny' } }],
    ['deny not today', { decision: 'edit', args: { ...HALT, do: 'deny' }, message: 'not today' }],
    ['k', { decision: 'deny' }],
    ['kill it is gone mad', { decision: 'deny', message: 'it is gone mad' }],
  ])('%s is that answer', async (typed, answer) => {
    const { input, screen, given, ask } = terminal();
    const done = ask(ASKED);
    await screen.shows(HALTED);
    input.write(`${typed}\n`);
    await done;
    expect(given.map((each) => each.answer)).toEqual([answer]);
  });

  it.each(['n', 'no', 'n go away', 'e /do "resume"', '', 'r now', 'v', 'x'])('%j ends nothing and lets nothing go on', async (typed) => {
    const { input, screen, given, ask } = terminal();
    const stop = new AbortController();
    const done = ask(ASKED, stop.signal);
    await screen.shows(HALTED);
    const before = screen.text.length;
    input.write(`${typed}\n`);
    await expect.poll(() => screen.text.slice(before), { timeout: 20_000 }).toContain(HALTED);
    expect(given).toEqual([]);
    stop.abort();
    await done;
  });

  it('a name with a line break makes no line of its own', async () => {
    const { input, screen, ask } = terminal();
    const done = ask({ ...ASKED, args: { ...HALT, held: ['read /x\n  resume   nothing happens'] } });
    await screen.shows(HALTED);
    input.write('k\n');
    await done;
    expect(screen.text).toContain('read /x\\u{a} \\u{20}resume \\u{20}\\u{20}nothing happens');
  });
});
