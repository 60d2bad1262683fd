/**
 * Words as the shell expands them: quotes, escapes, braces, variables that the script gave a literal value, splitting.
 * Substitutions in them are followed on the way; what remains unknown is marked (see `field.ts`).
 */
import {
  type CommandExpansionPart,
  type DoubleQuotedChild,
  type ParameterExpansionPart,
  type ParsedScript,
  type ProcessSubstitutionPart,
  parse,
  type Word,
  type WordPart,
} from 'unbash';
import { checkArithmeticText, followArithmetic } from './arithmetic.ts';
import { expandBraces } from './braces.ts';
import { Builder } from './builder.ts';
import { type Context, followApart, INHERITED, UNKNOWN_INPUT } from './context.ts';
import { type Field, isDigits, isKnown, NUMBER, ONE, PROCESS_FILE, SPLIT, STAR, UNKNOWN, withoutMarks } from './field.ts';
import type { Value } from './state.ts';

/** The words one written word expands to: none, one or several. */
export function fieldsOf(word: Word, context: Context): readonly Field[] {
  const fields: Field[] = [];
  addFields(word, fields, context);
  return fields;
}

/** Adds them to those of the words before it. */
export function addFields(word: Word, fields: Field[], context: Context): void {
  context.recorder.countWords(1);
  if (isPlain(word.text)) fields.push(word.text);
  else fields.push(...expanded(word, context));
}

function expanded(word: Word, context: Context): readonly Field[] {
  const text = word.text;
  if (text.includes('{') && mayExpandBraces(text)) {
    // Where a substitution ends only the parser knows: `$(case x in x) ...)`.
    if (text.includes('(') || text.includes('`')) {
      return word.parts?.some((part) => part.type === 'BraceExpansion') === true ? [giveUp(word, context)] : expand(word, context);
    }
    const sources = expandBraces(text);
    if (sources === undefined) return [giveUp(word, context)];
    if (sources.length !== 1 || sources[0] !== text) return sources.flatMap((source) => fieldsOfSource(source, word, context));
  }
  return expand(word, context);
}

/** The word where nothing is split and no braces or patterns count: the value of an assignment, the word of `case`. */
export function textOf(word: Word, context: Context): Field {
  context.recorder.countWords(1);
  if (isPlain(word.text)) return word.text;
  const builder = new Builder(false);
  addWord(word, builder, context);
  return builder.whole();
}

/** The text of a here-document. */
export function textOfParts(parts: readonly WordPart[], context: Context): Field {
  const builder = new Builder(false);
  for (const part of parts) addPart(part, builder, context, true);
  return builder.whole();
}

/** Follows substitutions in a word whose value does not matter. */
export function followWord(word: Word, context: Context): void {
  void textOf(word, context);
}

/** Characters of which a word can be made that means itself. */
function isPlain(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code >= 128) continue;
    if (PLAIN[code] !== 1) return false;
  }
  return true;
}
const PLAIN = new Uint8Array(128);
for (const character of 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:,=+%@~#^!]') PLAIN[character.charCodeAt(0)] = 1;

function mayExpandBraces(text: string): boolean {
  return text.includes(',') || text.includes('..');
}

function giveUp(word: Word, context: Context): Field {
  followWord(word, context);
  context.recorder.undecided('expansion');
  return SPLIT;
}

/** A word that brace expansion wrote: read it as the shell does, again from its source. */
function fieldsOfSource(source: string, whole: Word, context: Context): readonly Field[] {
  if (source === '') return [];
  if (isPlain(source)) {
    context.recorder.countWords(1);
    return [source];
  }
  const script = parse(`: ${source}`);
  const [statement, ...others] = script.commands;
  const command = statement?.command;
  const [word, ...more] = command?.type === 'Command' ? command.suffix : [];
  if (hasErrors(script) || others.length > 0 || more.length > 0 || word?.type !== 'Word') return [giveUp(whole, context)];
  context.recorder.countWords(1);
  return expand(word, context);
}

function hasErrors(script: ParsedScript): boolean {
  return script.errors !== undefined && script.errors.length > 0;
}

function expand(word: Word, context: Context): readonly Field[] {
  const builder = new Builder(true);
  addWord(word, builder, context);
  return builder.done();
}

function addWord(word: Word, builder: Builder, context: Context): void {
  const parts = word.parts;
  if (parts === undefined) builder.add(withoutMarks(word.value));
  else for (const part of parts) addPart(part, builder, context, false);
}

function addPart(part: WordPart, builder: Builder, context: Context, quoted: boolean): void {
  switch (part.type) {
    case 'Literal':
      builder.add(withoutMarks(part.value));
      return;
    case 'AnsiCQuoted':
      // A shell without $'...' ends the quotes at an escaped one, and runs what follows.
      if (part.text.includes("\\'")) context.recorder.undecided('other-shell');
      builder.quoted();
      builder.add(withoutMarks(part.value));
      return;
    case 'SingleQuoted':
      builder.quoted();
      builder.add(withoutMarks(part.value));
      return;
    case 'DoubleQuoted':
    case 'LocaleString':
      builder.quoted();
      for (const child of part.parts) addPart(child, builder, context, true);
      return;
    case 'Glob':
      for (const inner of part.parts ?? []) addPart(inner, new Builder(false), context, true);
      builder.add(part.kind === 'star' ? STAR : ONE);
      return;
    case 'ExtendedGlob':
      for (const inner of part.parts ?? []) addPart(inner, new Builder(false), context, true);
      builder.add(STAR);
      return;
    case 'BraceExpansion':
      // Ours comes first and knows the same braces; should the parser see some that we do not, nothing is certain.
      for (const inner of part.parts ?? []) addPart(inner, new Builder(false), context, true);
      context.recorder.undecided('expansion');
      builder.add(SPLIT);
      return;
    case 'ProcessSubstitution':
      followProcess(part, context);
      builder.add(PROCESS_FILE);
      return;
    case 'SimpleExpansion':
    case 'ParameterExpansion':
    case 'CommandExpansion':
    case 'ArithmeticExpansion':
      addExpansion(part, builder, context, quoted);
      return;
    default:
      part satisfies never;
  }
}

type Expansion = Exclude<DoubleQuotedChild, { type: 'Literal' }>;

function addExpansion(part: Expansion, builder: Builder, context: Context, quoted: boolean): void {
  switch (part.type) {
    case 'SimpleExpansion':
      addVariable(part.text.slice(1).replaceAll('\\\n', ''), builder, context, quoted);
      return;
    case 'ParameterExpansion':
      addParameter(part, builder, context, quoted);
      return;
    case 'CommandExpansion':
      followSubstitution(part, context);
      builder.add(printedBy(part) ?? (quoted ? UNKNOWN : SPLIT));
      return;
    case 'ArithmeticExpansion':
      if (part.expression !== undefined) followArithmetic(part.expression, context);
      builder.add(NUMBER);
      return;
    default:
      part satisfies never;
  }
}

function followSubstitution(part: CommandExpansionPart, context: Context): void {
  if (part.script === undefined) context.recorder.undecided('parse-error');
  else followApart(part.script, context);
}

/** What a few harmless commands print is known well enough: a new file in /tmp, the folder we are in, a date. */
function printedBy(part: CommandExpansionPart): Field | undefined {
  const [statement, ...others] = part.script?.commands ?? [];
  if (others.length > 0 || statement?.command.type !== 'Command') return undefined;
  const { name, suffix } = statement.command;
  if (name?.text === 'mktemp' && suffix.every((word) => word.type === 'Word' && (word.text === '-d' || word.text === '-q')))
    return '/tmp/tmp.made';
  if (name?.text === 'pwd' && suffix.length === 0) return '.';
  return undefined;
}

function followProcess(part: ProcessSubstitutionPart, context: Context): void {
  if (part.script === undefined) context.recorder.undecided('parse-error');
  else followApart(part.script, context, { input: part.operator === '>' ? UNKNOWN_INPUT : INHERITED, besides: true });
}

function addVariable(name: string, builder: Builder, context: Context, quoted: boolean): void {
  if (name === '@' || name === '*') addList(context.state.positional, builder, context, quoted, name === '*');
  else if (isDigits(name)) addValue(positional(Number(name), context), builder, context, quoted);
  else addValue(context.state.get(name), builder, context, quoted);
}

function positional(index: number, context: Context): Value {
  const fields = context.state.positional;
  return index === 0 || fields === undefined ? UNKNOWN : (fields[index - 1] ?? '');
}

function addValue(value: Value, builder: Builder, context: Context, quoted: boolean): void {
  const text = typeof value === 'string' ? value : (value[0] ?? '');
  if (quoted) builder.add(text);
  else if (text === NUMBER) builder.add(NUMBER);
  // An unknown text splits in ways nobody can tell, and so does a known one when the separators were changed.
  else if (!isKnown(text) || (context.state.isSet('IFS') && context.state.get('IFS') !== ' \t\n')) builder.add(SPLIT);
  else builder.addUnquoted(text);
}

function addList(items: readonly Field[] | undefined, builder: Builder, context: Context, quoted: boolean, joined: boolean): void {
  if (items === undefined || (!quoted && !items.every(isKnown)) || context.state.isSet('IFS')) {
    builder.add(quoted && joined ? UNKNOWN : SPLIT);
  } else if (quoted && joined) builder.add(items.join(' '));
  else builder.addItems(items, quoted);
}

function addParameter(part: ParameterExpansionPart, builder: Builder, context: Context, quoted: boolean): void {
  const index = part.index === undefined ? undefined : indexOf(part.index, context);
  if (part.operation !== undefined) followOperation(part, context);
  if (part.prefix === '!' || (part.prefix !== '#' && part.operation?.type === 'Transform')) {
    // ${!name} and ${name@P} read text as a name or a prompt, which may hold commands.
    if (part.operation?.type !== 'Names' && index === undefined) checkIndirect(part, context);
    builder.add(quoted && index !== '@' ? UNKNOWN : SPLIT);
  } else if (part.prefix === '#') builder.add(NUMBER);
  else if (part.operation !== undefined) addChanged(part, builder, context, quoted, index);
  else if (index === undefined) addVariable(part.parameter, builder, context, quoted);
  else addItem(part.parameter, index, builder, context, quoted);
}

/** The value is text of the environment, or given by the script: only the second can be a trap of the same text. */
function checkIndirect(part: ParameterExpansionPart, context: Context): void {
  const value = context.state.get(part.parameter);
  const text = typeof value === 'string' ? value : value.join(' ');
  if (!context.state.isSet(part.parameter) && part.prefix === '!') return;
  if (isKnown(text) && !text.includes('$') && !text.includes('`') && !text.includes('[') && !text.includes('\\')) return;
  context.recorder.undecided('expansion');
}

function indexOf(index: Word, context: Context): string {
  const text = textOf(index, context);
  if (text !== '@' && text !== '*' && !isDigits(text) && isKnown(text)) checkArithmeticText(text, context);
  return text;
}

function addItem(name: string, index: string, builder: Builder, context: Context, quoted: boolean): void {
  const value = context.state.get(name);
  const items = typeof value === 'string' ? undefined : value;
  if (index === '@' || index === '*')
    addList(items ?? (isKnown(String(value)) ? [String(value)] : undefined), builder, context, quoted, index === '*');
  else if (isDigits(index))
    addValue(items === undefined ? (index === '0' ? value : UNKNOWN) : (items[Number(index)] ?? ''), builder, context, quoted);
  else builder.add(quoted ? UNKNOWN : SPLIT);
}

/** `${name:-word}`, `${name#prefix}` and the like: only a default beside a known value is worked out. */
function addChanged(part: ParameterExpansionPart, builder: Builder, context: Context, quoted: boolean, index: string | undefined): void {
  const { operation, parameter } = part;
  const value = isDigits(parameter) ? positional(Number(parameter), context) : context.state.get(parameter);
  const isDefault = operation?.type === 'Default' && (operation.operator.endsWith('-') || operation.operator.endsWith('='));
  if (
    isDefault &&
    index === undefined &&
    typeof value === 'string' &&
    isKnown(value) &&
    value !== '' &&
    parameter !== '@' &&
    parameter !== '*'
  ) {
    addValue(value, builder, context, quoted);
    return;
  }
  if (operation?.type === 'Default' && operation.operator.endsWith('=')) context.state.set(parameter, UNKNOWN);
  builder.add(quoted && index !== '@' && parameter !== '@' ? UNKNOWN : SPLIT);
}

function followOperation(part: ParameterExpansionPart, context: Context): void {
  const { operation } = part;
  switch (operation?.type) {
    case 'Default':
    case 'Remove':
    case 'Transform':
      followWord(operation.operand, context);
      return;
    case 'CaseModification':
      if (operation.operand !== undefined) followWord(operation.operand, context);
      return;
    case 'Replace':
      followWord(operation.pattern, context);
      followWord(operation.replacement, context);
      return;
    case 'Slice':
      checkNumber(operation.offset, context);
      if (operation.length !== undefined) checkNumber(operation.length, context);
      return;
    case 'Names':
    case undefined:
      return;
    case 'Unknown':
      context.recorder.undecided('expansion');
      return;
    default:
      operation satisfies never;
  }
}

/** Offsets are arithmetic, which runs the commands in a subscript of a value. */
function checkNumber(word: Word, context: Context): void {
  const text = textOf(word, context);
  // The name of a variable stands for its value, which is evaluated in turn.
  if (isKnown(text)) checkArithmeticText(text, context);
  if (text.includes('[') || text.includes('`') || (text.includes(UNKNOWN) && !isNumeric(text))) context.recorder.undecided('arithmetic');
}

function isNumeric(text: string): boolean {
  for (const character of text) if (character !== NUMBER && !isDigits(character) && character !== '-' && character !== ' ') return false;
  return true;
}
