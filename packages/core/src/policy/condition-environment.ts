/**
 * The CEL environment of conditions: its variables, how numbers mix, and where the evaluator is stricter than CEL.
 *
 * JSON numbers are doubles and CEL literals such as `500` are integers. Instead of rewriting literals (list indexes and
 * `substring` need integers) mixed arithmetic and equality are defined here; mixed ordering exists in CEL already.
 *
 * Stricter than CEL, because a comparison that is silently false lets a deny rule pass:
 * - `==` and `!=` of two different types (not null) is an error: a redacted number is text, and `text == 5` is no answer;
 * - `x in list` is an error when no element could ever equal `x`;
 * - a result that is NaN or infinite is an error;
 * - `matches` takes RE2's regular expressions, in linear time, and only as a literal that is compiled with the rule;
 * - `json` is not available.
 */
import { type ASTNode, Environment } from '@marcbachmann/cel-js';
import { didYouMean } from '../config/nearest.ts';
import { linearPattern } from '../redact/linear-pattern.ts';
import { ConditionFault } from './condition-value.ts';
import { CHARS_PER_STEP, spend } from './evaluation.ts';
import { FUNCTION_WORDS, literalFault, registerFunctions } from './functions/index.ts';
import { type CountCollector, registerSessionCalls, tightenSessionCalls } from './functions/session.ts';
import { tightenTimes } from './functions/times.ts';
import { walkTree } from './tree.ts';

/** Names a condition may use. */
export const CONDITION_VARIABLES = [
  'tool',
  'server',
  'args',
  'annotations',
  'agent',
  'principal',
  'session',
  'time',
  'mode',
  'findings',
  'raw',
  'cost',
] as const;

const ANNOTATIONS: readonly string[] = ['title', 'readOnlyHint', 'destructiveHint', 'idempotentHint', 'openWorldHint'];

/** Methods that exist in the library and are not offered. */
const REFUSED_METHODS: ReadonlyMap<string, string> = new Map([['json', 'json() is not available: arguments are parsed already']]);

/** Words the library itself defines, offered as suggestions beside the variables. */
export const CONDITION_WORDS: readonly string[] = [
  ...CONDITION_VARIABLES,
  ...FUNCTION_WORDS,
  'true',
  'false',
  'null',
  'size',
  'has',
  'int',
  'double',
  'string',
];

/** Of the variable `result`. */
const RESULT_FIELDS = {
  value: 'dyn',
  text: 'string',
  size: 'double',
  is_error: 'bool',
  secrets: 'list<string>',
  instructions: 'list<string>',
  ansi: 'list<string>',
  hidden: 'list<string>',
};

const LIMITS = { maxAstNodes: 2000, maxDepth: 64, maxListElements: 500, maxMapEntries: 100, maxCallArguments: 8 };

/** A fault found in the syntax tree, with its place. */
export interface TreeFault {
  readonly at: number;
  readonly message: string;
}

/** @param on - `result`: of a rule on results, which sees `result` too. */
export function conditionEnvironment(on: 'call' | 'result' = 'call'): Environment {
  const environment = new Environment({ homogeneousAggregateLiterals: false, limits: LIMITS });
  for (const name of ['tool', 'server', 'agent', 'principal', 'mode']) environment.registerVariable(name, 'string');
  environment.registerVariable('args', 'dyn');
  environment.registerVariable('cost', 'double');
  environment.registerVariable('annotations', 'map');
  environment.registerVariable('raw', 'map');
  environment.registerVariable('findings', 'list<dyn>');
  environment.registerVariable('time', 'google.protobuf.Timestamp');
  environment.registerVariable({
    name: 'session',
    schema: { id: 'string', labels: 'list<string>', started: 'google.protobuf.Timestamp' },
  });
  registerSessionCalls(environment);
  if (on === 'result') environment.registerVariable({ name: 'result', schema: RESULT_FIELDS });
  registerNumbers(environment);
  registerMismatches(environment);
  registerFunctions(environment);
  return environment;
}

/**
 * Tightens a parsed tree in place and reports what it may not contain. Call it before the tree is checked or run.
 *
 * @param rawPointers - pointers the rule declares; `raw['/other']` is a fault.
 * @param counts - what `session.calls` of it counts is added; absent = it may not be used.
 */
export function tightenTree(root: ASTNode, rawPointers: ReadonlySet<string>, counts?: CountCollector): TreeFault | undefined {
  return walkTree(root, (node, { isInBody }) => {
    const fault = nodeFault(node, rawPointers) ?? literalFault(node) ?? tightenMatches(node, isInBody) ?? tightenSessionCalls(node, counts);
    if (fault !== undefined) return { at: node.start, message: fault };
    tightenTimes(node);
    tightenNode(node);
    return undefined;
  });
}

/** True when the expression names this variable. */
export function readsVariable(root: ASTNode, name: string): boolean {
  return walkTree(root, (node) => (node.op === 'id' && node.args === name) || undefined) ?? false;
}

/** `text.matches('pattern')`: as in CEL the pattern may match anywhere. Ours, since the library's engine backtracks. */
function tightenMatches(node: ASTNode, isInBody: boolean): string | undefined {
  // With two arguments it is host.matches(h, [...]).
  if (node.op !== 'rcall' || node.args[0] !== 'matches' || node.args[2].length !== 1) return undefined;
  const [, receiver, [argument]] = node.args;
  if (argument?.op !== 'value' || typeof argument.args !== 'string')
    return 'the pattern of matches() must be written in the rule, in quotes';
  const pattern = linearPattern(argument.args);
  if ('fault' in pattern) return `the pattern of matches() ${pattern.fault}`;
  const live = node as unknown as LiveNode;
  live.setMeta('evaluate', (evaluator, _self, context) => {
    const text = evaluator.run(receiver, context);
    if (typeof text !== 'string') throw new ConditionFault('matches() needs a text');
    if (isInBody) spend(text.length / CHARS_PER_STEP);
    return pattern.test(text);
  });
  return undefined;
}

function nodeFault(node: ASTNode, rawPointers: ReadonlySet<string>): string | undefined {
  if (node.op === 'rcall') return REFUSED_METHODS.get(node.args[0]);
  if (node.op === 'id' && node.args === 'raw' && rawPointers.size === 0) return 'raw needs declared pointers: add raw: [/path] to the rule';
  const hint = unknownHint(node);
  if (hint !== undefined) return hint;
  if (node.op !== '[]') return undefined;
  const [left, index] = node.args;
  if (left.op !== 'id' || left.args !== 'raw' || index.op !== 'value' || typeof index.args !== 'string') return undefined;
  return rawPointers.has(index.args) ? undefined : `raw pointer ${JSON.stringify(index.args)} is not declared in raw of the rule`;
}

/** Of annotations there is a closed list: a misspelt hint would be missing for ever, and a deny rule that asks `has()` silent. */
function unknownHint(node: ASTNode): string | undefined {
  if (node.op !== '.' && node.op !== '.?' && node.op !== '[]' && node.op !== '[?]') return undefined;
  const [left, right] = node.args;
  if (left.op !== 'id' || left.args !== 'annotations') return undefined;
  const name = typeof right === 'string' ? right : right.op === 'value' ? right.args : undefined;
  if (typeof name !== 'string' || ANNOTATIONS.includes(name)) return undefined;
  return `annotations has no ${JSON.stringify(name)}${didYouMean(name, ANNOTATIONS)}`;
}

type Evaluate = (evaluator: NodeEvaluator, node: Operands, context: unknown) => unknown;
interface NodeEvaluator {
  run(node: unknown, context: unknown): unknown;
}
interface Operands {
  readonly left: unknown;
  readonly right: unknown;
  handle(left: unknown, right: unknown, node: Operands, evaluator: NodeEvaluator): unknown;
}
/** What a node has at run time beside its declared type; the library's own macros use the same two members. */
interface LiveNode {
  readonly meta: { readonly evaluate: Evaluate };
  setMeta(key: 'evaluate', value: Evaluate): unknown;
}

const FINITE_OPERATORS: ReadonlySet<string> = new Set(['+', '-', '*', '/', '%', 'call']);

function tightenNode(node: ASTNode): void {
  const isEquality = node.op === '==' || node.op === '!=';
  if (node.op !== 'in' && !isEquality && !FINITE_OPERATORS.has(node.op)) return;
  // The declared type leaves these members out. A version without them fails here, at load, not open.
  const live = node as unknown as LiveNode;
  if (isEquality) {
    live.setMeta('evaluate', (evaluator, self, context) => {
      const left = evaluator.run(self.left, context);
      const right = evaluator.run(self.right, context);
      requireSameKind(left, right);
      return self.handle(left, right, self, evaluator);
    });
    return;
  }
  if (node.op === 'in') {
    live.setMeta('evaluate', (evaluator, self, context) => {
      const left = evaluator.run(self.left, context);
      const right = evaluator.run(self.right, context);
      if (Array.isArray(right)) requireComparable(left, right);
      return self.handle(left, right, self, evaluator);
    });
    return;
  }
  const original = live.meta.evaluate;
  live.setMeta('evaluate', (evaluator, self, context) => finite(original(evaluator, self, context)));
}

function finite(value: unknown): unknown {
  if (typeof value === 'number' && !Number.isFinite(value)) throw new ConditionFault('the result is not a finite number');
  return value;
}

/** The library takes a text and a timestamp, or any other two objects of different types, for unequal. */
function requireSameKind(left: unknown, right: unknown): void {
  if (left === null || right === null || kindOf(left) === kindOf(right)) return;
  throw new ConditionFault('"==" or "!=" compares different types');
}

function requireComparable(value: unknown, list: readonly unknown[]): void {
  if (value === null || list.length === 0) return;
  const kind = kindOf(value);
  for (const item of list) if (item === null || kindOf(item) === kind) return;
  throw new ConditionFault('"in" compares different types');
}

function kindOf(value: unknown): unknown {
  if (typeof value === 'bigint') return 'number';
  if (typeof value !== 'object' || value === null) return typeof value;
  // The library's unsigned numbers, whose class its types do not name.
  if (typeof value.valueOf() === 'bigint') return 'number';
  if (Array.isArray(value)) return 'list';
  const prototype: unknown = Object.getPrototypeOf(value);
  return value instanceof Map || prototype === Object.prototype || prototype === null ? 'map' : value.constructor;
}

function registerNumbers(environment: Environment): void {
  const arithmetic: readonly (readonly [string, (left: number, right: number) => number])[] = [
    ['+', (left, right) => left + right],
    ['-', (left, right) => left - right],
    ['*', (left, right) => left * right],
    ['/', (left, right) => left / right],
  ];
  for (const [left, right] of [
    ['int', 'double'],
    ['double', 'int'],
  ] as const) {
    for (const [operator, apply] of arithmetic) {
      environment.registerOperator(`${left} ${operator} ${right}: double`, (a: number | bigint, b: number | bigint) =>
        apply(exact(a), exact(b)),
      );
    }
  }
  for (const [left, right] of [
    ['int', 'double'],
    ['double', 'int'],
    ['double', 'double'],
  ] as const) {
    environment.registerOperator(`${left} % ${right}: double`, (a: number | bigint, b: number | bigint) => integer(a) % integer(b));
  }
  environment.registerOperator('int == double', (a: bigint, b: number) => Number.isInteger(b) && BigInt(b) === a);
}

function exact(value: number | bigint): number {
  if (typeof value === 'number') return value;
  const converted = Number(value);
  if (!Number.isSafeInteger(converted)) throw new ConditionFault('an integer is too large to mix with other numbers');
  return converted;
}

function integer(value: number | bigint): number {
  const converted = exact(value);
  if (!Number.isSafeInteger(converted)) throw new ConditionFault('% needs whole numbers');
  return converted;
}

const COMPARED_KINDS: readonly (readonly string[])[] = [['string'], ['int', 'double'], ['bool'], ['list'], ['map']];

/** Equality of different kinds is an error, in both directions. */
function registerMismatches(environment: Environment): void {
  COMPARED_KINDS.forEach((kinds, index) => {
    for (const left of kinds) {
      for (const right of COMPARED_KINDS.slice(index + 1).flat()) {
        environment.registerOperator(`${left} == ${right}`, () => {
          throw new ConditionFault('"==" or "!=" compares different types');
        });
      }
    }
  });
}
