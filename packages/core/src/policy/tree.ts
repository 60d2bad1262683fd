/** Walks the syntax tree of a condition. */
import type { ASTNode } from '@marcbachmann/cel-js';

export interface TreePlace {
  /** Inside a part that runs once per item of a list: the second and later arguments of `all`, `map` and the like. */
  readonly isInBody: boolean;
}

/** Visits every node, parents first, until a visit gives something; gives that. */
export function walkTree<T>(root: ASTNode, visit: (node: ASTNode, place: TreePlace) => T | undefined): T | undefined {
  const pending: { readonly node: ASTNode; readonly isInBody: boolean }[] = [{ node: root, isInBody: false }];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    const { node, isInBody } = next;
    const found = visit(node, { isInBody });
    if (found !== undefined) return found;
    if (isComprehension(node)) {
      const [, range, body] = node.args as unknown as readonly [string, ASTNode, readonly ASTNode[]];
      pending.push({ node: range, isInBody });
      for (const child of body) pending.push({ node: child, isInBody: true });
    } else for (const child of childrenOf(node.args)) pending.push({ node: child, isInBody });
  }
  return undefined;
}

/** True for `list.all(...)` and the like: the library puts what runs beside the call as it was written. */
function isComprehension(node: ASTNode): boolean {
  const { meta } = node as unknown as { readonly meta: { readonly alternate?: { readonly op: string } } };
  return node.op === 'rcall' && meta.alternate?.op === 'comprehension';
}

function childrenOf(args: unknown): readonly ASTNode[] {
  if (Array.isArray(args)) return args.flatMap(childrenOf);
  return isNode(args) ? [args] : [];
}

function isNode(value: unknown): value is ASTNode {
  return typeof value === 'object' && value !== null && 'op' in value && 'start' in value;
}
