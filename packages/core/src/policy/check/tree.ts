/** Looking at the syntax tree of a condition without running it. */
import type { ASTNode } from '@marcbachmann/cel-js';

/** Every node, the root first. */
export function* nodesOf(root: ASTNode): Generator<ASTNode> {
  const pending: ASTNode[] = [root];
  for (let node = pending.pop(); node !== undefined; node = pending.pop()) {
    yield node;
    pending.push(...childrenOf(node));
  }
}

export function childrenOf(node: ASTNode): readonly ASTNode[] {
  const children: ASTNode[] = [];
  collect(node.args, children);
  return children;
}

function collect(args: unknown, into: ASTNode[]): void {
  if (Array.isArray(args)) for (const item of args) collect(item, into);
  else if (isNode(args)) into.push(args);
}

function isNode(value: unknown): value is ASTNode {
  return typeof value === 'object' && value !== null && 'op' in value && 'start' in value;
}

/** The parts of `a && b && c`, or of `a || b || c`. */
export function partsOf(node: ASTNode, operator: '&&' | '||'): readonly ASTNode[] {
  if (node.op !== operator) return [node];
  const [left, right] = node.args;
  return [...partsOf(left, operator), ...partsOf(right, operator)];
}

/** As it stands in the rule. */
export function sourceOf(node: ASTNode): string {
  return node.input.slice(node.start, node.end);
}

/** Whether it names a variable at all, or a namespace of functions. */
export function isConstant(node: ASTNode): boolean {
  for (const each of nodesOf(node)) if (each.op === 'id') return false;
  return true;
}

export function readsName(node: ASTNode, name: string): boolean {
  for (const each of nodesOf(node)) if (each.op === 'id' && each.args === name) return true;
  return false;
}

/** The keys of `args.to.name` or `args['to'].name`, without `args`; undefined for any other expression. */
export function argumentPath(node: ASTNode): readonly string[] | undefined {
  const keys: string[] = [];
  let at: ASTNode = node;
  for (;;) {
    if (at.op === 'id') return at.args === 'args' ? keys.toReversed() : undefined;
    if (at.op === '.') {
      keys.push(at.args[1]);
      at = at.args[0];
    } else if (at.op === '[]') {
      const [left, index] = at.args;
      if (index.op !== 'value' || typeof index.args !== 'string') return undefined;
      keys.push(index.args);
      at = left;
    } else return undefined;
  }
}

/** `args.to.name`. */
export function pathText(path: readonly string[]): string {
  return ['args', ...path].reduce(
    (text, key) => (/^\w+$/.test(key) ? (text === '' ? key : `${text}.${key}`) : `${text}[${JSON.stringify(key)}]`),
    '',
  );
}
