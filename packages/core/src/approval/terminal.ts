/**
 * Asking the person at the guard's own terminal.
 *
 * One question at a time, whatever the number of guards and channels on a terminal. Everything shown may come from the
 * agent and is escaped; how much of the arguments was not shown is said. Stated plainly: a tool that runs in the guard's
 * process shares this terminal, so it can draw on it. Approvals that matter ask for a key.
 */
import { userInfo } from 'node:os';
import { createInterface, type Interface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { CountersignError } from '../errors.ts';
import type { ApprovalAnswer, ApprovalRequest, Approver, Channel } from '../interfaces.ts';
import { clip, escapeForTerminal } from './terminal-text.ts';

export interface TerminalChannelOptions {
  /** Default standard input. */
  readonly input?: Readable;
  /** Default standard error: standard output belongs to the program. */
  readonly output?: Writable;
  /** Name recorded with the answer; default `terminal:<user of the system>`. */
  readonly approver?: string;
  /** Lines that arrive this soon after a question were typed before it, and are ignored; default 300 ms. */
  readonly typeAheadMs?: number;
}

/** Lines of arguments in the first view, and in the detailed one. */
export const MAX_PROMPT_LINES = 20;
export const MAX_DETAIL_LINES = 2000;
/** Characters of one line in the first view, and in the detailed one. */
export const MAX_PROMPT_LINE_CHARS = 200;
export const MAX_DETAIL_LINE_CHARS = 20_000;
/** Longest line read from the terminal; the rest is cut. */
const MAX_ANSWER_CHARS = 1000;
const MAX_LABEL_CHARS = 300;
const TYPE_AHEAD_MS = 300;
const HELP = '[y] approve   [n] deny, words after it go to the agent   [d] details';

/**
 * A channel that asks on a terminal and takes the answer there.
 *
 * `ask` rejects when input or output is not a terminal, and when the input ends: the channel then counts as failed.
 */
export function terminalChannel(options: TerminalChannelOptions = {}): Channel {
  const { input = process.stdin, output = process.stderr, typeAheadMs = TYPE_AHEAD_MS } = options;
  const approver: Approver = { id: options.approver ?? `terminal:${userName()}`, method: 'terminal' };
  return {
    name: 'terminal',
    async ask(request, answer, signal) {
      if (!isTerminal(input) || !isTerminal(output)) {
        throw new CountersignError(
          'OPTIONS_INVALID',
          'the terminal channel needs a terminal: use another channel, or `countersign approvals`',
        );
      }
      await inTurn(input, async () => {
        if (!signal.aborted) await new Question(request, answer, signal, { input, output, approver, typeAheadMs }).run();
      });
    },
  };
}

/** Questions by terminal: the next one starts when the one before it is over. */
const queues = new WeakMap<Readable, Promise<void>>();

function inTurn(input: Readable, work: () => Promise<void>): Promise<void> {
  const turn = (queues.get(input) ?? Promise.resolve()).then(work);
  queues.set(
    input,
    // The asker gets the failure through `turn`; who comes next only waits for the end.
    turn.catch(() => {}),
  );
  return turn;
}

type GiveAnswer = Parameters<Channel['ask']>[1];

interface Place {
  readonly input: Readable;
  readonly output: Writable;
  readonly approver: Approver;
  readonly typeAheadMs: number;
}

class Question {
  readonly #request: ApprovalRequest;
  readonly #answer: GiveAnswer;
  readonly #signal: AbortSignal;
  readonly #place: Place;
  #shownAt = 0;

  constructor(request: ApprovalRequest, answer: GiveAnswer, signal: AbortSignal, place: Place) {
    this.#request = request;
    this.#answer = answer;
    this.#signal = signal;
    this.#place = place;
  }

  async run(): Promise<void> {
    const lines = createInterface({ input: this.#place.input, terminal: false });
    try {
      this.#write(questionText(this.#request, Date.now()));
      this.#shownAt = performance.now();
      const answer = await this.#read(lines);
      if (answer === 'withdrawn') this.#write(`\nwithdrawn: approval ${shortId(this.#request)} was answered elsewhere or has expired\n`);
      else await this.#give(answer);
    } finally {
      lines.close();
      // An open terminal must not keep a program alive that is otherwise done.
      this.#place.input.pause();
    }
  }

  #read(lines: Interface): Promise<ApprovalAnswer | 'withdrawn'> {
    return new Promise((resolve, reject) => {
      const withdraw = (): void => resolve('withdrawn');
      this.#signal.addEventListener('abort', withdraw, { once: true });
      lines.on('line', (line) => {
        const answer = this.#understand(line.slice(0, MAX_ANSWER_CHARS));
        if (answer !== undefined) resolve(answer);
      });
      lines.on('close', () => {
        this.#signal.removeEventListener('abort', withdraw);
        // Ignored after an answer: the promise is settled by then.
        reject(new CountersignError('APPROVER_REFUSED', 'the terminal was closed before the question was answered'));
      });
    });
  }

  #understand(line: string): ApprovalAnswer | undefined {
    if (performance.now() - this.#shownAt < this.#place.typeAheadMs) {
      this.#write('ignored: typed before the question was shown\n> ');
      return undefined;
    }
    const [word = '', ...rest] = line.trim().split(/\s+/);
    const message = rest.join(' ');
    switch (word.toLowerCase()) {
      case 'y':
      case 'yes':
        // Anything after it would be lost on approval; better to ask again than to guess.
        if (message === '') return { decision: 'approve' };
        break;
      case 'n':
      case 'no':
        return { decision: 'deny', ...(message !== '' && { message }) };
      case 'd':
      case 'details':
        this.#write(`${detailsText(this.#request)}\n${HELP}\n> `);
        return undefined;
    }
    this.#write(`${HELP}\n> `);
    return undefined;
  }

  async #give(answer: ApprovalAnswer): Promise<void> {
    try {
      await this.#answer(answer, this.#place.approver);
      this.#write(answer.decision === 'approve' ? 'approved\n' : 'denied\n');
    } catch (error) {
      // The question was put and read: others may still be entitled to answer it, so this channel has not failed.
      this.#write(`not answered: ${escapeForTerminal(error instanceof Error ? error.message : 'unknown error')}\n`);
    }
  }

  #write(text: string): void {
    this.#place.output.write(text);
  }
}

function questionText(request: ApprovalRequest, nowMs: number): string {
  const { agent, principal, session, reason, rule } = request;
  const facts: readonly (readonly [string, string | undefined])[] = [
    ['agent', agent],
    ['for', principal],
    ['session', session],
    ['rule', rule],
    ['reason', reason],
  ];
  const shown = facts.flatMap(([name, value]) => (value === undefined ? [] : [`  ${name.padEnd(8)} ${label(value)}`]));
  return [
    '',
    `approval ${shortId(request)}: may ${label(agent)} call ${label(toolName(request))}?`,
    ...shown,
    `  expires  ${expiryText(request.expiresAtMs, nowMs)}`,
    '  arguments',
    ...argumentLines(request, MAX_PROMPT_LINES, MAX_PROMPT_LINE_CHARS, 'type d to see them'),
    HELP,
    '> ',
  ].join('\n');
}

function detailsText(request: ApprovalRequest): string {
  const advice = `see \`countersign approvals show ${shortId(request)}\``;
  return [
    `  approval ${label(request.id)}`,
    `  call     ${label(request.callId)}`,
    '  arguments',
    ...argumentLines(request, MAX_DETAIL_LINES, MAX_DETAIL_LINE_CHARS, advice),
  ].join('\n');
}

/** The shown arguments as indented JSON, escaped line by line, and what was left out. */
function argumentLines(request: ApprovalRequest, maxLines: number, maxChars: number, advice: string): readonly string[] {
  const lines = JSON.stringify(request.args, undefined, 2).split('\n');
  const shown = lines.slice(0, maxLines).map((line) => {
    const safe = escapeForTerminal(line);
    const cut = clip(safe, maxChars);
    return `    ${cut}${cut === safe ? '' : ` (line cut, ${advice})`}`;
  });
  const hidden = lines.length - shown.length;
  return hidden > 0 ? [...shown, `    … ${hidden} more lines not shown: ${advice}`] : shown;
}

function expiryText(expiresAtMs: number, nowMs: number): string {
  const seconds = Math.max(0, Math.round((expiresAtMs - nowMs) / 1000));
  const left = seconds < 120 ? `${seconds} s` : `${Math.round(seconds / 60)} min`;
  return `in ${left}, at ${new Date(expiresAtMs).toISOString()}`;
}

function toolName({ tool }: ApprovalRequest): string {
  return tool.server === undefined ? tool.name : `${tool.server}/${tool.name}`;
}

function label(text: string): string {
  return clip(escapeForTerminal(text), MAX_LABEL_CHARS);
}

function shortId({ id }: ApprovalRequest): string {
  return label(id).slice(0, 8);
}

function isTerminal(stream: Readable | Writable): boolean {
  return 'isTTY' in stream && stream.isTTY === true;
}

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    // A user id without an entry in the system's list.
    return typeof process.getuid === 'function' ? `uid-${process.getuid()}` : 'unknown';
  }
}
