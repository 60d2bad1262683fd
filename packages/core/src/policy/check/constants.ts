/**
 * Conditions whose answer does not depend on the call, and conditions that contradict themselves.
 *
 * Only what can be seen cheaply: an expression without variables is run; of `a && b && ...` the comparisons of one thing
 * with literals are laid side by side, so that `args.amount > 500 && args.amount < 100` is found.
 */
import type { ASTNode } from '@marcbachmann/cel-js';
import { MODES } from '../../config/schema.ts';
import { compileCondition } from '../conditions.ts';
import type { PolicyInput } from '../policy.ts';
import { isConstant, partsOf, sourceOf } from './tree.ts';

/** The one answer of an expression without variables; `fails` when it can never be evaluated; undefined when it depends on the call. */
export function constantAnswer(source: string, tree: ASTNode): boolean | 'fails' | undefined {
  if (!isConstant(tree)) return undefined;
  try {
    return compileCondition(source, 'condition')(NO_CALL);
  } catch {
    return 'fails';
  }
}

const NO_CALL: PolicyInput = {
  tool: { name: '-' },
  args: null,
  findings: [],
  agent: '-',
  session: { id: '-', labels: [], halted: false, startedAtMs: 0, version: 0 },
  mode: 'enforce',
  atMs: 0,
  raw: () => undefined,
};

/** What contradicts itself in a condition, as it stands there; undefined when nothing obvious does. */
export function contradiction(tree: ASTNode): string | undefined {
  const ranges = new Map<string, Range>([['mode', { texts: new Set<unknown>(MODES) }]]);
  for (const part of partsOf(tree, '&&')) {
    const compared = comparison(part);
    if (compared === undefined) continue;
    const range = narrowed(ranges.get(compared.subject) ?? {}, compared);
    if (isEmpty(range)) return sourceOf(part);
    ranges.set(compared.subject, range);
  }
  return undefined;
}

interface Range {
  readonly least?: Bound;
  readonly most?: Bound;
  readonly texts?: ReadonlySet<unknown>;
}
interface Bound {
  readonly value: number;
  readonly isOpen: boolean;
}
interface Comparison {
  readonly subject: string;
  readonly operator: string;
  readonly values: readonly unknown[];
}

const MIRRORED: ReadonlyMap<string, string> = new Map([
  ['<', '>'],
  ['<=', '>='],
  ['>', '<'],
  ['>=', '<='],
  ['==', '=='],
]);

function comparison(node: ASTNode): Comparison | undefined {
  if (node.op === 'in') {
    const [subject, list] = node.args;
    if (list.op !== 'list' || isConstant(subject)) return undefined;
    const values = list.args.map(literal);
    return values.includes(undefined) ? undefined : { subject: sourceOf(subject), operator: 'in', values };
  }
  const mirrored = MIRRORED.get(node.op);
  if (mirrored === undefined) return undefined;
  const [left, right] = node.args as [ASTNode, ASTNode];
  const [leftValue, rightValue] = [literal(left), literal(right)];
  if (rightValue !== undefined && !isConstant(left)) return { subject: sourceOf(left), operator: node.op, values: [rightValue] };
  if (leftValue !== undefined && !isConstant(right)) return { subject: sourceOf(right), operator: mirrored, values: [leftValue] };
  return undefined;
}

/** Text or number; undefined for anything else. */
function literal(node: ASTNode): string | number | undefined {
  if (node.op === '-_') {
    const value = literal(node.args);
    return typeof value === 'number' ? -value : undefined;
  }
  if (node.op !== 'value') return undefined;
  if (typeof node.args === 'bigint') return Number(node.args);
  return typeof node.args === 'string' || typeof node.args === 'number' ? node.args : undefined;
}

function narrowed(range: Range, { operator, values }: Comparison): Range {
  const [value] = values;
  if (operator === 'in' || operator === '==') {
    const texts = new Set(values);
    return { ...range, texts: range.texts === undefined ? texts : new Set([...range.texts].filter((each) => texts.has(each))) };
  }
  if (typeof value !== 'number') return range;
  const bound = { value, isOpen: operator === '<' || operator === '>' };
  if (operator.startsWith('>')) return { ...range, least: stricter(range.least, bound, (left, right) => left > right) };
  return { ...range, most: stricter(range.most, bound, (left, right) => left < right) };
}

function stricter(known: Bound | undefined, next: Bound, isStricter: (left: number, right: number) => boolean): Bound {
  if (known === undefined || isStricter(next.value, known.value)) return next;
  return next.value === known.value && next.isOpen ? next : known;
}

function isEmpty({ least, most, texts }: Range): boolean {
  if (least !== undefined && most !== undefined) {
    if (least.value > most.value || (least.value === most.value && (least.isOpen || most.isOpen))) return true;
  }
  if (texts === undefined) return false;
  return [...texts].every((value) => typeof value === 'number' && !isWithin(value, least, most));
}

function isWithin(value: number, least: Bound | undefined, most: Bound | undefined): boolean {
  if (least !== undefined && (value < least.value || (value === least.value && least.isOpen))) return false;
  return most === undefined || value < most.value || (value === most.value && !most.isOpen);
}
