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
import type { Json } from '../call.ts';
import { CountersignError } from '../errors.ts';
import { haltQuestion } from '../halt/halt-question.ts';
import type { ApprovalAnswer, ApprovalRequest, Approver, Channel } from '../interfaces.ts';
import { editByLine, MAX_EDIT_LINE_CHARS } from './terminal-edit.ts';
import { detailsText, promptChanges, questionText, shortId } from './terminal-question.ts';
import { terminalRows } from './terminal-rows.ts';
import { escapeForTerminal } from './terminal-text.ts';

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

/** Longest line read from the terminal; the rest is cut. */
const MAX_ANSWER_CHARS = 1000;
const TYPE_AHEAD_MS = 300;
const HELP = '[y] approve   [n] deny, words after it go to the agent   [e] edit: e /pointer value   [d] details';
/** After a halt. No letter of the others is asked to mean what ends everything. */
const HALT_HELP = '[r] resume   [d] deny   [k] kill, words after it go on record   [v] all there is to see';
const EDIT_HELP = '[y] propose this instead   [n] deny   [e] edit more, alone: forget the edit';

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

const HALT_DONE = { approve: 'resume', edit: 'deny', deny: 'kill' } as const;

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
  readonly #halt: ReturnType<typeof haltQuestion>;
  #shownAt = 0;
  #isClosed = false;
  /** The arguments as the person would have them. */
  #edit: Json | undefined;

  constructor(request: ApprovalRequest, answer: GiveAnswer, signal: AbortSignal, place: Place) {
    this.#request = request;
    this.#answer = answer;
    this.#signal = signal;
    this.#place = place;
    this.#halt = haltQuestion(request);
  }

  async run(): Promise<void> {
    const lines = createInterface({ input: this.#place.input, terminal: false });
    lines.once('close', () => (this.#isClosed = true));
    // As when it is another job's by now: the question has failed here.
    lines.once('error', () => lines.close());
    try {
      this.#show(`${questionText(this.#request, Date.now())}\n${this.#help()}\n> `);
      for (let isAnswered = false; !isAnswered; ) {
        const answer = await this.#read(lines);
        if (answer === 'withdrawn') {
          this.#write(`\nwithdrawn: approval ${shortId(this.#request)} was answered elsewhere or has expired\n`);
          return;
        }
        isAnswered = await this.#give(answer);
      }
    } finally {
      lines.close();
      // An open terminal must not keep a program alive that is otherwise done.
      this.#place.input.pause();
    }
  }

  #read(lines: Interface): Promise<ApprovalAnswer | 'withdrawn'> {
    return new Promise((resolve, reject) => {
      if (this.#signal.aborted) return resolve('withdrawn');
      const finish = (settle: () => void): void => {
        this.#signal.removeEventListener('abort', withdraw);
        lines.off('line', take).off('close', fail);
        settle();
      };
      const withdraw = (): void => finish(() => resolve('withdrawn'));
      const take = (line: string): void => {
        const answer = this.#understand(line);
        if (answer !== undefined) finish(() => resolve(answer));
      };
      const fail = (): void =>
        finish(() => reject(new CountersignError('APPROVER_REFUSED', 'the terminal was closed before the question was answered')));
      this.#signal.addEventListener('abort', withdraw, { once: true });
      lines.on('line', take).on('close', fail);
      if (this.#isClosed) fail();
    });
  }

  #understand(line: string): ApprovalAnswer | undefined {
    if (performance.now() - this.#shownAt < this.#place.typeAheadMs) {
      this.#write('ignored: typed before the question was shown\n> ');
      return undefined;
    }
    const [word = '', ...rest] = line.slice(0, MAX_ANSWER_CHARS).trim().split(/\s+/);
    const message = rest.join(' ');
    if (this.#halt !== undefined) return this.#understandHalt(word.toLowerCase(), message, this.#halt.deny);
    switch (word.toLowerCase()) {
      case 'y':
      case 'yes':
        // Anything after it would be lost on approval; better to ask again than to guess.
        if (message === '') return this.#edit === undefined ? { decision: 'approve' } : { decision: 'edit', args: this.#edit };
        break;
      case 'n':
      case 'no':
        return { decision: 'deny', ...(message !== '' && { message }) };
      case 'e':
      case 'edit':
        this.#takeEdit(line.trim().slice(word.length));
        return undefined;
      case 'd':
      case 'details':
        this.#write(`${detailsText(this.#request)}\n${this.#help()}\n> `);
        return undefined;
    }
    this.#write(`${this.#help()}\n> `);
    return undefined;
  }

  #understandHalt(word: string, message: string, deny: Json): ApprovalAnswer | undefined {
    const said = { ...(message !== '' && { message }) };
    switch (word) {
      case 'r':
      case 'resume':
      case 'y':
      case 'yes':
        if (message === '') return { decision: 'approve' };
        break;
      case 'd':
      case 'deny':
        return { decision: 'edit', args: deny, ...said };
      case 'k':
      case 'kill':
        return { decision: 'deny', ...said };
      case 'v':
        this.#write(`${detailsText(this.#request)}\n`);
        break;
      case 'n':
      case 'no':
        this.#write('n could mean two things here: d makes what waits fail, k ends everything\n');
    }
    this.#write(`${this.#help()}\n> `);
    return undefined;
  }

  /** Shows what would change; only a yes after it answers anything. */
  #takeEdit(line: string): void {
    if (line.trim() === '') {
      this.#edit = undefined;
      return this.#show(`${HELP}\n> `);
    }
    if (line.length > MAX_EDIT_LINE_CHARS) return this.#write(`the line is longer than ${MAX_EDIT_LINE_CHARS} characters\n> `);
    const edited = editByLine(this.#edit ?? this.#request.args, line);
    if ('fault' in edited) return this.#write(`${edited.fault}\n> `);
    this.#edit = edited.args;
    const changes = promptChanges(this.#request.args, edited.args, 'd shows what was asked for');
    this.#show(`  changed\n${changes.length === 0 ? '    nothing' : changes.join('\n')}\n${EDIT_HELP}\n> `);
  }

  /** @returns false when the person has to say it differently. */
  async #give(answer: ApprovalAnswer): Promise<boolean> {
    try {
      await this.#answer(answer, this.#place.approver);
      const done = { approve: 'approved', deny: 'denied', edit: 'denied, and the changed call is decided anew' } as const;
      this.#write(`${(this.#halt === undefined ? done : HALT_DONE)[answer.decision]}\n`);
    } catch (error) {
      // The question was put and read: others may still be entitled to answer it, so this channel has not failed.
      this.#write(`not answered: ${escapeForTerminal(error instanceof Error ? error.message : 'unknown error')}\n`);
      if (!CountersignError.is(error) || error.code !== 'APPROVAL_EDIT_INVALID') return true;
      this.#edit = undefined;
      this.#show(`${this.#help()}\n> `);
      return false;
    }
    return true;
  }

  #help(): string {
    if (this.#halt !== undefined) return HALT_HELP;
    return this.#edit === undefined ? HELP : EDIT_HELP;
  }

  /** What a person has to read before a line counts. */
  #show(text: string): void {
    this.#write(text);
    this.#shownAt = performance.now();
  }

  #write(text: string): void {
    const { output } = this.#place;
    output.write(terminalRows(text, 'columns' in output && typeof output.columns === 'number' ? output.columns : undefined));
  }
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
