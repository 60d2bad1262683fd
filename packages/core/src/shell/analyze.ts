import { parse } from 'unbash';
import { MAX_SHELL_CHARS, MAX_SHELL_WORDS, type ShellAnalysis } from './analysis.ts';
import { runFields } from './command.ts';
import { type Context, deeper, type Engine, INHERITED } from './context.ts';
import type { Field } from './field.ts';
import { type OnProgram, Recorder, TooMuch } from './recorder.ts';
import { followBody, followScript } from './script.ts';
import { ShellState } from './state.ts';
import { textOfParts } from './words.ts';

/**
 * Judges the text of a shell command, written for bash or a POSIX shell.
 *
 * @param text - anything an agent sent. Longer than `MAX_SHELL_CHARS`, with control characters, or what is no shell gives
 *   an undecided analysis; nothing throws, and the work grows with the length only.
 * @param onProgram - told of every program that would run, the base name first, with its words; undefined for a word of which
 *   some is not known. A loop tells of the same one several times.
 */
export function analyzeShell(text: string, onProgram?: OnProgram): ShellAnalysis {
  return analyze(onProgram, (recorder) => {
    if (text.length > MAX_SHELL_CHARS) recorder.undecided('too-large');
    else if (hasControlCharacter(text)) recorder.undecided('control-character');
    else {
      checkRedacted([text], recorder);
      runText(text, startingContext(recorder));
    }
  });
}

/**
 * Judges a command that is given as words, as `execve` takes them: no shell reads them.
 *
 * @param words - the program and its arguments.
 * @param onProgram - told of every program, the base name first; undefined for a word of which some is not known.
 */
export function analyzeArguments(words: readonly string[], onProgram?: OnProgram): ShellAnalysis {
  return analyze(onProgram, (recorder) => {
    let size = 0;
    for (const word of words) size += word.length + 1;
    if (size > MAX_SHELL_CHARS || words.length > MAX_SHELL_WORDS) recorder.undecided('too-large');
    else if (words.some(hasControlCharacter)) recorder.undecided('control-character');
    else {
      checkRedacted(words, recorder);
      runFields(words, startingContext(recorder));
    }
  });
}

function analyze(onProgram: OnProgram | undefined, follow: (recorder: Recorder) => void): ShellAnalysis {
  const recorder = new Recorder(onProgram);
  try {
    follow(recorder);
  } catch (error) {
    // A parser or a rule of ours that fails on hostile text has not looked at all of it.
    recorder.undecided(error instanceof TooMuch || error instanceof RangeError ? 'too-much' : 'parse-error');
  }
  return recorder.result();
}

/** What a placeholder stands for may have held more than a secret: `KEY=...;rm` is one word to a redactor. */
function checkRedacted(texts: readonly string[], recorder: Recorder): void {
  if (texts.some((text) => text.includes('[redacted:'))) recorder.undecided('redacted');
}

function startingContext(recorder: Recorder): Context {
  return { recorder, state: new ShellState(), input: INHERITED, depth: 0, besides: false, engine: ENGINE };
}

const ENGINE: Engine = { followScript, followBody, runText, run: runNested, textOfParts };

function runText(text: string, context: Context): void {
  const inner = deeper(context);
  if (inner === undefined) return;
  inner.recorder.countWords(text.length / CHARS_PER_WORD);
  followScript(parse(text), inner);
  followUncalled(inner);
}
/** Texts that are parsed again (eval, functions in loops) are paid for by length. */
const CHARS_PER_WORD = 8;

function runNested(fields: readonly Field[], context: Context): void {
  const inner = deeper(context);
  if (inner === undefined) return;
  inner.recorder.countCommand();
  runFields(fields, inner);
}

/** A function that nothing was seen to call may be called all the same: by a name made up, or by the shell itself. */
function followUncalled(context: Context): void {
  if (context.depth !== 1) return;
  const { functions, called } = context.state.definitions;
  for (const [name, bodies] of functions ?? []) {
    if (called?.has(name) === true) continue;
    called?.add(name);
    const state = context.state.fork();
    state.forgetVariables();
    for (const body of bodies) followBody(body, { ...context, state });
  }
}

/** Everything below a blank but tab and newline, and DEL: no command needs one, and our marks are among them. */
function hasControlCharacter(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if ((code < 32 && code !== 9 && code !== 10) || code === 127) return true;
  }
  return false;
}
