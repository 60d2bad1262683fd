/**
 * Which arguments a condition reads without having made sure that they are there.
 *
 * `has(args.to)` and `'to' in args` guard what is evaluated only when they are true: the right side of `&&`, the branch
 * of a `? :`, and, turned around, the right side of `||`.
 */
import type { ASTNode } from '@marcbachmann/cel-js';
import { argumentPath, childrenOf, pathText } from './tree.ts';

export interface ArgumentRead {
  readonly path: readonly string[];
  readonly isGuarded: boolean;
  /** Where it stands in the expression. */
  readonly at: number;
}

/** Every argument the expression may read, once; unguarded if one of its reads is. */
export function argumentReads(root: ASTNode, guarded: ReadonlySet<string> = new Set()): readonly ArgumentRead[] {
  const reads = new Map<string, ArgumentRead>();
  walk(root, guarded, reads);
  return [...reads.values()];
}

/** Arguments that are there when the expression is true. */
export function guardedWhenTrue(node: ASTNode): ReadonlySet<string> {
  return implied(node, true);
}

function walk(node: ASTNode, guarded: ReadonlySet<string>, reads: Map<string, ArgumentRead>): void {
  if (node.op === '&&' || node.op === '||') {
    const [left, right] = node.args;
    walk(left, guarded, reads);
    walk(right, union(guarded, implied(left, node.op === '&&')), reads);
    return;
  }
  if (node.op === '?:') {
    const [condition, yes, no] = node.args;
    walk(condition, guarded, reads);
    walk(yes, union(guarded, implied(condition, true)), reads);
    walk(no, union(guarded, implied(condition, false)), reads);
    return;
  }
  const tested = testedPath(node);
  if (tested !== undefined) {
    // Looking for `args.to.name` reads `args.to`.
    note(tested.slice(0, -1), node.start, guarded, reads);
    return;
  }
  const path = argumentPath(node);
  if (path !== undefined) note(path, node.start, guarded, reads);
  else for (const child of childrenOf(node)) walk(child, guarded, reads);
}

function note(path: readonly string[], at: number, guarded: ReadonlySet<string>, reads: Map<string, ArgumentRead>): void {
  for (let length = 1; length <= path.length; length++) {
    const part = path.slice(0, length);
    const key = pathText(part);
    const isGuarded = guarded.has(key);
    if (isGuarded && reads.has(key)) continue;
    if (reads.get(key)?.isGuarded === false) continue;
    reads.set(key, { path: part, isGuarded, at });
  }
}

/** The path of `has(args.to)` or of `'to' in args`. */
function testedPath(node: ASTNode): readonly string[] | undefined {
  if (node.op === 'call' && node.args[0] === 'has') {
    const [, [operand]] = node.args;
    const path = operand === undefined ? undefined : argumentPath(operand);
    return path === undefined || path.length === 0 ? undefined : path;
  }
  if (node.op !== 'in') return undefined;
  const [key, container] = node.args;
  const path = argumentPath(container);
  return path !== undefined && key.op === 'value' && typeof key.args === 'string' ? [...path, key.args] : undefined;
}

function implied(node: ASTNode, isTrue: boolean): ReadonlySet<string> {
  if (node.op === '!_') return implied(node.args, !isTrue);
  if (node.op === '&&' || node.op === '||') {
    const [left, right] = node.args.map((each) => implied(each, isTrue)) as [ReadonlySet<string>, ReadonlySet<string>];
    return (node.op === '&&') === isTrue ? union(left, right) : new Set([...left].filter((each) => right.has(each)));
  }
  const tested = isTrue ? testedPath(node) : undefined;
  if (tested === undefined) return new Set();
  return new Set(tested.map((_, index) => pathText(tested.slice(0, index + 1))));
}

function union(left: ReadonlySet<string>, right: ReadonlySet<string>): ReadonlySet<string> {
  return right.size === 0 ? left : new Set([...left, ...right]);
}
