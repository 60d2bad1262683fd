/** One simple command: its redirects, its assignments, its words, and what they run. */
import type { Assignment, Command, HereDoc, Redirect, Redirection, Word } from 'unbash';
import { checkArithmeticText } from './arithmetic.ts';
import { checkCarried } from './carried.ts';
import type { Handler } from './commands/call.ts';
import { COMMANDS } from './commands/index.ts';
import { type Context, deeper, type Input, UNKNOWN_INPUT } from './context.ts';
import { checkVariable } from './environment.ts';
import { baseName, type Field, isDigits, isHidden, isKnown, NUMBER, PROCESS_FILE, UNKNOWN } from './field.ts';
import { mayBeVital, mentionPaths } from './mentions.ts';
import type { Value } from './state.ts';
import { addFields, fieldsOf, textOf, textOfParts } from './words.ts';

export function followCommand(node: Command, context: Context): void {
  context.recorder.countCommand();
  const input = followRedirects(node.redirects, context);
  const inner = input === undefined ? context : { ...context, input };
  const prefix = node.prefix.length === 0 ? [] : node.prefix.filter((part) => part.type === 'Assignment');
  if (node.name === undefined) {
    for (const assignment of prefix) assign(assignment, inner);
    return;
  }
  const fields = wordsOf(node.name, node.suffix, inner);
  if (prefix.length === 0) {
    runFields(fields, inner);
    noteDownloads(node.redirects, inner);
    return;
  }
  // An assignment before a command holds while it runs.
  const { state } = inner;
  const saved = prefix.map(({ name }) => [name, state.own(name)] as const);
  for (const assignment of prefix) assign(assignment, inner);
  runFields(fields, inner);
  for (const [name, value] of saved.toReversed()) state.restore(name, value);
}

/** Runs a command that is given as words. */
export function runFields(fields: readonly Field[], context: Context): void {
  const first = fields[0];
  if (first === undefined) return;
  const args = fields.slice(1);
  const { recorder, state } = context;
  // No program is called by a number alone.
  if (first === NUMBER) return;
  if (!isKnown(first) || first === '') {
    recorder.runsUnknown('command-name');
    mentionPaths(args, context);
    return;
  }
  const { definitions } = state;
  const bodies = definitions.functions?.get(first);
  if (bodies !== undefined) callFunction(first, args, context);
  const alias = definitions.aliases?.get(first);
  if (alias !== undefined) callAlias(first, alias, args, context);
  // Not every shell follows aliases: the program of that name may run all the same.
  if (bodies === undefined) runProgram(first, args, context);
}

function runProgram(path: string, args: readonly Field[], context: Context): void {
  const { recorder, state } = context;
  const plain = COMMANDS.get(path);
  if (plain !== undefined) {
    // As it stands in the table it has no folder, no capitals and nothing odd.
    recorder.command(path, args);
    handleKnown(plain, path, args, context);
    return;
  }
  const name = programName(path);
  if (first(path) === '=' || first(path) === '!' || hasBlank(path)) recorder.undecided('command-name');
  recorder.command(name, args);
  if (path.includes('/') && !isStandardFolder(path)) recorder.script(path, state.places);
  if (path.startsWith('/dev/') || path.startsWith('/proc/')) recorder.runsUnknown('script');
  const known = COMMANDS.has(name) ? name : withoutVersion(name);
  const handle = COMMANDS.get(known);
  if (handle === undefined) {
    mentionPaths(args, context);
    checkCarried(args, context);
  } else handleKnown(handle, known, args, context);
}

function handleKnown(handle: Handler, name: string, args: readonly Field[], context: Context): void {
  if (args.length !== 1 || !ASKS_ABOUT_ITSELF.has(args[0] ?? '')) handle({ name, args, context });
}

const ASKS_ABOUT_ITSELF: ReadonlySet<string> = new Set(['--help', '--version']);

/** Lower case, since some file systems do not tell `RM` from `rm`. */
function programName(path: string): string {
  const name = baseName(path).toLowerCase();
  return name.endsWith('.exe') ? name.slice(0, -4) : name;
}

/** `lua5.4`, `node18`, and `rimraf@5` as `npx` takes it. */
function withoutVersion(name: string): string {
  return name.replace(/(?<=\w)(?:@[\w.^~-]*|-?\d+(?:\.\d+)*)$/, '');
}

function first(text: string): string {
  return text.slice(0, 1);
}

/** No program has such a name; what the shell was meant to read is something else. */
function hasBlank(text: string): boolean {
  return text.includes(' ') || text.includes('\t') || text.includes('\n');
}

const STANDARD_FOLDERS: readonly string[] = [
  '/bin/',
  '/sbin/',
  '/usr/bin/',
  '/usr/sbin/',
  '/usr/local/bin/',
  '/opt/homebrew/bin/',
  'node_modules/.bin/',
  './node_modules/.bin/',
];
function isStandardFolder(path: string): boolean {
  return STANDARD_FOLDERS.some((folder) => path.startsWith(folder) && !path.includes('/', folder.length));
}

function callFunction(name: string, args: readonly Field[], context: Context): void {
  const { recorder, state } = context;
  const { running, called, functions } = state.definitions;
  called?.add(name);
  if (running.includes(name)) {
    recorder.undecided('recursion');
    if (context.besides) recorder.find('destructive'); // two of itself each time: a fork bomb
    return;
  }
  const inner = deeper(context);
  if (inner === undefined) return;
  const outer = state.positional;
  running.push(name);
  for (const body of functions?.get(name) ?? []) {
    state.positional = args;
    context.engine.followBody(body, inner);
  }
  running.pop();
  state.positional = outer;
}

function callAlias(name: string, text: string, args: readonly Field[], context: Context): void {
  const { recorder, state } = context;
  const { running } = state.definitions;
  if (running.includes(name)) {
    runProgram(name, args, context);
    return;
  }
  const inner = deeper(context);
  if (inner === undefined) return;
  running.push(name);
  // The words that follow go to the last command of the alias; they are known words, so quoting them is exact.
  if (args.every(isKnown)) context.engine.runText(`${text} ${args.map(quote).join(' ')}`, inner);
  else {
    recorder.undecided('alias');
    context.engine.runText(text, inner);
  }
  running.pop();
}

function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

const DECLARES: ReadonlySet<string> = new Set(['export', 'declare', 'typeset', 'local', 'readonly']);

function wordsOf(name: Word, suffix: Command['suffix'], context: Context): readonly Field[] {
  const fields: Field[] = [];
  addFields(name, fields, context);
  for (const part of suffix) {
    if (part.type === 'Word') addFields(part, fields, context);
    else if (part.type === 'Assignment') {
      const value = assign(part, context, DECLARES.has(fields[0] ?? ''));
      fields.push(`${part.name}=${typeof value === 'string' ? value : UNKNOWN}`);
    }
  }
  return fields;
}

/** @returns the value, also when it is not to be kept. */
function assign(assignment: Assignment, context: Context, keeps = true): Value {
  const { state } = context;
  const { name, index } = assignment;
  if (index !== undefined) checkArithmeticText(textOf(index, context), context);
  const value = valueOf(assignment, context);
  const whole = index !== undefined ? UNKNOWN : assignment.append === true ? appended(state.get(name), value) : value;
  if (state.definitions.integers?.has(name) === true)
    for (const text of typeof value === 'string' ? [value] : value) checkArithmeticText(text, context);
  checkVariable(name, whole, context);
  if (keeps) state.set(name, whole);
  return whole;
}

function valueOf(assignment: Assignment, context: Context): Value {
  if (assignment.value.type === 'Word') return textOf(assignment.value, context);
  const items: Field[] = [];
  let isPlain = true;
  for (const element of assignment.value.elements) {
    if (element.text.startsWith('[')) isPlain = false;
    addFields(element, items, context);
  }
  return isPlain ? items : UNKNOWN;
}

function appended(old: Value, added: Value): Value {
  if (typeof old === 'string' && typeof added === 'string') return isHidden(old) ? UNKNOWN : old + added;
  if (typeof old !== 'string' && typeof added !== 'string') return [...old, ...added];
  return UNKNOWN;
}

/** @returns what the command reads, where a redirect says so. */
export function followRedirects(redirects: readonly Redirection[], context: Context): Input | undefined {
  let input: Input | undefined;
  for (const redirect of redirects) {
    const isInput = redirect.descriptor === undefined || (redirect.descriptor.type === 'FileDescriptor' && redirect.descriptor.value === 0);
    if (redirect.type === 'HereDoc') {
      const text = hereText(redirect, context);
      if (isInput) input = inputOf(text);
    } else if (redirect.type === 'HereString') {
      const text = redirect.target === undefined ? UNKNOWN : textOf(redirect.target, context);
      if (isInput) input = inputOf(text);
    } else {
      followRedirect(redirect, context);
      if (isInput && redirect.operator.startsWith('<')) input = UNKNOWN_INPUT;
    }
  }
  return input;
}

function inputOf(text: Field): Input {
  return isKnown(text) ? { kind: 'text', text } : UNKNOWN_INPUT;
}

function hereText(redirect: HereDoc, context: Context): Field {
  const { body } = redirect;
  // Without its end it takes the rest of the text, and not every reader agrees where that is.
  if (redirect.closing === undefined) context.recorder.undecided('parse-error');
  return body.parts === undefined ? body.text : textOfParts(body.parts, context);
}

function followRedirect(redirect: Redirect, context: Context): void {
  const { recorder, state } = context;
  const { operator, target } = redirect;
  if (target === undefined) {
    recorder.undecided('parse-error');
    return;
  }
  const [path, ...others] = fieldsOf(target, context);
  if (path === undefined || others.length > 0) {
    recorder.undecided('redirect');
    return;
  }
  if ((operator === '>&' || operator === '<&') && isDescriptor(path)) return;
  if (path === PROCESS_FILE) return;
  noteNetworkFile(path, context);
  if (operator === '<' || operator === '<&') recorder.path('read', path, state.places);
  else {
    recorder.path(operator === '>>' || operator === '&>>' || operator === '<>' ? 'append' : 'write', path, state.places);
    recorder.made(path);
    if (mayBeVital(path)) recorder.undecided('redirect');
  }
}

/** What a command that talks to the network was made to write is a download. */
function noteDownloads(redirects: readonly Redirection[], { recorder }: Context): void {
  if (redirects.length === 0 || !recorder.hasFound('network')) return;
  for (const redirect of redirects)
    if (redirect.type === 'Redirect' && !redirect.operator.startsWith('<')) recorder.download(redirect.target?.value ?? '');
}

function isDescriptor(path: string): boolean {
  return path === '-' || isDigits(path) || (path.endsWith('-') && isDigits(path.slice(0, -1)));
}

/** `/dev/tcp/host/port` is a connection that the shell makes itself. */
function noteNetworkFile(path: string, { recorder }: Context): void {
  if (!path.includes('/dev/')) return;
  const [, dev, protocol, host = ''] = path.split('/');
  if (dev === 'dev' && (protocol === 'tcp' || protocol === 'udp')) recorder.host(host);
}
