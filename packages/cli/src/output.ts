/** What a command says: for people on a terminal, plain when piped, one JSON document with `--json`. */
import { escapeForTerminal, escapeJson, escapeLines, nameText } from '@countersign/core';
import type { Failure } from './failure.ts';
import type { Io } from './io.ts';

const COLOURS = { bold: '1', dim: '2', bad: '31', good: '32', warn: '33' } as const;
export type Style = keyof typeof COLOURS;

const BAR_CHARS = 24;

/** Where lines for people are laid out. */
export interface Page {
  readonly columns: number;
  style(style: Style, text: string): string;
}

export class Output implements Page {
  readonly json: boolean;
  readonly columns: number;
  readonly isTerminal: boolean;
  readonly #io: Io;
  readonly #colours: boolean;
  /** Standard output carries data of its own: no error document may be mixed in. */
  #isRaw = false;
  #broken: NodeJS.ErrnoException | undefined;
  #progressShown = false;

  constructor(io: Io, json: boolean) {
    this.#io = io;
    this.json = json;
    this.columns = io.columns;
    this.isTerminal = io.isTTY.stdout;
    const { NO_COLOR: noColour = '', TERM: terminal } = io.env;
    this.#colours = io.isTTY.stdout && noColour === '' && terminal !== 'dumb';
    io.stdout.on('error', (error: NodeJS.ErrnoException) => {
      this.#broken ??= error;
    });
    // Nobody reads what we complain about: no reason to stop.
    io.stderr.on('error', () => {});
  }

  /** One line for people. Anything in it that we did not write ourselves must be `safe` already. */
  line(text = ''): void {
    if (!this.json) this.#put(`${text}\n`);
  }

  /** The result, with `--json`: the one document on standard output. */
  result(value: unknown): void {
    if (this.json) this.#put(`${escapeJson(JSON.stringify(value))}\n`);
  }

  /** One line for people beside the result, on standard error. */
  note(text: string): void {
    this.#clearProgress();
    this.#io.stderr.write(`${text}\n`);
  }

  fail(failure: Failure): void {
    const { code, message, next } = failure;
    this.note(`countersign: ${escapeLines(message)} [${escapeForTerminal(code)}]`);
    if (next !== undefined) this.note(`  next: ${next}`);
    if (!this.#isRaw) this.result({ error: { code, message } });
  }

  /** From here on standard output carries raw data, or a protocol. */
  raw(): void {
    this.#isRaw = true;
  }

  /**
   * Raw data, waiting while the reader is slow.
   * @returns false when nobody reads any more.
   */
  async data(text: string): Promise<boolean> {
    if (this.#broken === undefined && !this.#io.stdout.write(text)) await drained(this.#io.stdout);
    return this.#broken === undefined;
  }

  style(style: Style, text: string): string {
    return this.#colours ? `\u001b[${COLOURS[style]}m${text}\u001b[0m` : text;
  }

  /** How wide a part of the page is that stands so many columns to the right. */
  narrowed(columns: number): Page {
    return { columns: this.columns - columns, style: (style, text) => this.style(style, text) };
  }

  /** A bar on standard error, only where somebody can see it move. */
  progress(done: number, total: number): void {
    if (!this.#io.isTTY.stderr || total === 0) return;
    const filled = Math.round((Math.min(done, total) / total) * BAR_CHARS);
    this.#io.stderr.write(`\r[${'#'.repeat(filled)}${'.'.repeat(BAR_CHARS - filled)}] ${done}/${total}`);
    this.#progressShown = true;
  }

  /** Waits until everything was written. @returns what went wrong with standard output, unless its reader just left. */
  async flush(): Promise<NodeJS.ErrnoException | undefined> {
    this.#clearProgress();
    await Promise.all([flushed(this.#io.stdout), flushed(this.#io.stderr)]);
    return this.#broken?.code === 'EPIPE' ? undefined : this.#broken;
  }

  #put(text: string): void {
    this.#clearProgress();
    if (this.#broken === undefined) this.#io.stdout.write(text);
  }

  #clearProgress(): void {
    if (!this.#progressShown) return;
    this.#progressShown = false;
    this.#io.stderr.write('\r\u001b[K');
  }
}

/** Text that came from a ledger, an agent or a file, for one line of output. */
export function safe(text: string): string {
  return escapeForTerminal(text);
}

/** A name that came from there, told from every other one, however long it is. */
export function safeName(text: string): string {
  return nameText(text, Number.POSITIVE_INFINITY, '');
}

/** A value that came from there, as indented and escaped JSON. */
export function safeJsonLines(value: unknown): readonly string[] {
  return JSON.stringify(value, undefined, 2).split('\n').map(safe);
}

async function drained(stream: Io['stdout']): Promise<void> {
  await new Promise<void>((resolve) => {
    const done = (): void => {
      for (const event of ['drain', 'close', 'error']) stream.off(event, done);
      resolve();
    };
    for (const event of ['drain', 'close', 'error']) stream.on(event, done);
  });
}

async function flushed(stream: Io['stdout']): Promise<void> {
  if (stream.destroyed || stream.writableEnded) return;
  await new Promise<void>((resolve) => {
    stream.once('error', () => resolve());
    stream.write('', () => resolve());
  });
}
