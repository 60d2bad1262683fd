/** Follows a parsed script from top to bottom: what runs, in which branch, with which variables. */
import type {
  AndOr,
  ArithmeticFor,
  Case,
  CompoundCommand,
  CompoundList,
  For,
  If,
  ParsedScript,
  Pipeline,
  PipelineNode,
  Redirected,
  Select,
  Statement,
  TestExpression,
  While,
} from 'unbash';
import { MAX_LOOP_ROUNDS } from './analysis.ts';
import { checkArithmeticText, followArithmetic } from './arithmetic.ts';
import { forgetAssigned } from './assigned.ts';
import { followCommand, followRedirects } from './command.ts';
import { type Context, type Input, UNKNOWN_INPUT } from './context.ts';
import { type Field, hasGlob, isHidden, UNKNOWN } from './field.ts';
import { outputOf } from './output.ts';
import { type Body, ShellState } from './state.ts';
import { fieldsOf, followWord, textOf } from './words.ts';

export function followScript(script: ParsedScript, context: Context): void {
  if (script.errors !== undefined && script.errors.length > 0) context.recorder.undecided('parse-error');
  followStatements(script.commands, context);
}

/** The body of a function. */
export function followBody(body: Body, context: Context): void {
  if (body.type === 'CompoundList') followList(body, context);
  else followNode(body, context);
}

function followList(list: CompoundList, context: Context): void {
  followStatements(list.commands, context);
}

function followStatements(statements: readonly Statement[], context: Context): void {
  for (const { command, background } of statements) {
    if (background === true) followChain(command, { ...context, state: context.state.fork(), besides: true });
    else followChain(command, context);
  }
}

function followChain(node: PipelineNode | AndOr, context: Context): void {
  if (node.type !== 'AndOr') {
    followNode(node, context);
    return;
  }
  const { state } = context;
  // What the shell remembers where a part of the chain did not run, or ran and failed.
  const skipped: ShellState[] = [];
  node.commands.forEach((command, i) => {
    if (i > 0 && node.operators[i - 1] === '||') for (const other of skipped) state.join(other);
    skipped.push(state.fork());
    followNode(command, context);
  });
  for (const other of skipped) state.join(other);
}

function followNode(node: PipelineNode, context: Context): void {
  switch (node.type) {
    case 'Pipeline':
      followPipeline(node, context);
      return;
    case 'Command':
      followCommand(node, context);
      return;
    case 'Redirected':
      followRedirected(node, context);
      return;
    case 'Function':
      context.state.definitions.define(node.name.text, node.body);
      return;
    case 'Coproc': {
      const apart = { ...context, state: context.state.fork(), input: UNKNOWN_INPUT, besides: true };
      if (node.body.type === 'CompoundList') followList(node.body, apart);
      else followNode(node.body, apart);
      return;
    }
    case 'If':
    case 'For':
    case 'ArithmeticFor':
    case 'Select':
    case 'While':
    case 'Subshell':
    case 'BraceGroup':
    case 'Case':
    case 'TestCommand':
    case 'ArithmeticCommand':
      followCompound(node, context);
      return;
    default:
      node satisfies never;
  }
}

function followPipeline(pipeline: Pipeline, context: Context): void {
  const [only] = pipeline.commands;
  if (pipeline.commands.length === 1 && only !== undefined) {
    followNode(only, context);
    return;
  }
  let input: Input = context.input;
  for (const command of pipeline.commands) {
    const inner = { ...context, state: context.state.fork(), input, besides: true };
    const printed = outputOf(command, inner);
    followNode(command, inner);
    input = printed === undefined ? UNKNOWN_INPUT : { kind: 'text', text: printed };
  }
}

function followRedirected(node: Redirected, context: Context): void {
  const input = followRedirects(node.redirects, context);
  followCompound(node.command, input === undefined ? context : { ...context, input });
}

function followCompound(node: CompoundCommand, context: Context): void {
  switch (node.type) {
    case 'Subshell':
      followList(node.body, { ...context, state: context.state.fork() });
      return;
    case 'BraceGroup':
      followList(node.body, context);
      return;
    case 'If':
      followIf(node, context);
      return;
    case 'For':
    case 'Select':
      followFor(node, context);
      return;
    case 'ArithmeticFor':
      followArithmeticFor(node, context);
      return;
    case 'While':
      followWhile(node, context);
      return;
    case 'Case':
      followCase(node, context);
      return;
    case 'TestCommand':
      followTest(node.expression, context);
      return;
    case 'ArithmeticCommand':
      wouldRunElsewhere((inner) => context.engine.runText(node.body, inner), context);
      if (node.expression !== undefined) followArithmetic(node.expression, context);
      else if (node.body.trim() !== '') checkArithmeticText(node.body, context);
      return;
    default:
      node satisfies never;
  }
}

function followIf(node: If, context: Context): void {
  followList(node.clause, context);
  const { state } = context;
  const otherwise = state.fork();
  followList(node.then, context);
  const ends: ShellState[] = [];
  const elseContext = { ...context, state: otherwise };
  for (const branch of node.elif) {
    followList(branch.clause, elseContext);
    const taken = otherwise.fork();
    followList(branch.then, { ...context, state: taken });
    ends.push(taken);
  }
  if (node.else !== undefined) followList(node.else, elseContext);
  for (const end of [...ends, otherwise]) state.join(end);
}

function followFor(node: For | Select, context: Context): void {
  const { state } = context;
  const name = node.name.text;
  const words = node.wordlist?.flatMap((word) => fieldsOf(word, context));
  const before = state.fork();
  forgetAssigned([node.body], state);
  const isKnownList = words !== undefined && node.type === 'For' && words.length <= MAX_LOOP_ROUNDS && !words.some(isHidden);
  if (!isKnownList) {
    state.set(name, oneOf(words));
    followList(node.body, context);
  } else {
    for (const word of words) {
      forgetAssigned([node.body], state);
      state.set(name, word);
      followList(node.body, context);
    }
  }
  state.join(before);
}

/** What a loop variable may be when its words are not followed one by one. */
function oneOf(words: readonly string[] | undefined): string {
  const [first] = words ?? [];
  return words?.length === 1 && first !== undefined && hasGlob(first) ? first : UNKNOWN;
}

function followArithmeticFor(node: ArithmeticFor, context: Context): void {
  if (node.initialize !== undefined) followArithmetic(node.initialize, context);
  const before = context.state.fork();
  forgetAssigned([node.body], context.state);
  if (node.test !== undefined) followArithmetic(node.test, context);
  if (node.update !== undefined) followArithmetic(node.update, context);
  followList(node.body, context);
  context.state.join(before);
}

function followWhile(node: While, context: Context): void {
  const before = context.state.fork();
  forgetAssigned([node.clause, node.body], context.state);
  followList(node.clause, context);
  followList(node.body, context);
  context.state.join(before);
}

function followCase(node: Case, context: Context): void {
  followWord(node.word, context);
  const before = context.state.fork();
  for (const item of node.items) {
    for (const pattern of item.pattern) followWord(pattern, context);
    const branch = before.fork();
    // With ;& the next branch goes on where this one ended: everything a branch sets may be there already.
    if (item.terminator !== undefined && item.terminator !== ';;')
      forgetAssigned(
        node.items.map(({ body }) => body),
        before,
      );
    followList(item.body, { ...context, state: branch });
    context.state.join(branch);
  }
}

const ARITHMETIC_TESTS: ReadonlySet<string> = new Set(['-eq', '-ne', '-lt', '-le', '-gt', '-ge']);

function followTest(expression: TestExpression, context: Context): void {
  switch (expression.type) {
    case 'TestUnary': {
      const text = textOf(expression.operand, context);
      if (expression.operator === '-v' || expression.operator === '-R') checkArithmeticText(text, context);
      return;
    }
    case 'TestBinary': {
      const left = textOf(expression.left, context);
      const right = textOf(expression.right, context);
      if (expression.operator === '>') context.recorder.path('write', right, context.state.places);
      if (!ARITHMETIC_TESTS.has(expression.operator)) return;
      for (const [word, text] of [
        [expression.left, left],
        [expression.right, right],
      ] as const) {
        if (text === UNKNOWN && isFromOutside(word.text, context)) continue;
        checkArithmeticText(text, context);
      }
      return;
    }
    case 'TestLogical':
      for (const operand of expression.operands) {
        followTest(operand, context);
        wouldRunElsewhere((inner) => context.engine.run(firstWords(operand, inner), inner), context);
      }
      return;
    case 'TestNot':
      followTest(expression.operand, context);
      return;
    case 'TestGroup':
      followTest(expression.expression, context);
      return;
    default:
      expression satisfies never;
  }
}

/**
 * A POSIX shell has no `((` and no `[[`: it takes the first for two subshells and the second for a command, so that
 * `((reboot))` and `[[ a || reboot ]]` reboot. Only what would be found then counts, or every test would be undecided.
 */
function wouldRunElsewhere(run: (inner: Context) => void, context: Context): void {
  const recorder = context.recorder.apart();
  run({ ...context, recorder, state: new ShellState() });
  if (recorder.result().found.length > 0) context.recorder.undecided('other-shell');
}

function firstWords(expression: TestExpression, context: Context): readonly Field[] {
  if (expression.type === 'TestUnary') return [textOf(expression.operand, context)];
  if (expression.type === 'TestBinary') return [textOf(expression.left, context), expression.operator, textOf(expression.right, context)];
  return [];
}

/** `$name` or `$1` that the script did not set. */
function isFromOutside(text: string, context: Context): boolean {
  const name = text.replaceAll('"', '').replaceAll('{', '').replaceAll('}', '');
  if (!name.startsWith('$') || name.includes('(') || name.includes('`') || name.includes('[')) return false;
  return !context.state.isSet(name.slice(1));
}
