/** Arguments written in the rule, which are checked when the rule is loaded: a typing error is found by its author. */
import type { ASTNode } from '@marcbachmann/cel-js';

/** A call of a function as it stands in a rule; `receiver` is the namespace of `host.matches(...)`. */
export interface WrittenCall {
  readonly name: string;
  readonly receiver: ASTNode | undefined;
  readonly args: readonly ASTNode[];
}

/** What is wrong with the written arguments of a call, in a few words, or undefined. */
export type LiteralCheck = (call: WrittenCall) => string | undefined;

/** @returns undefined when the node calls nothing. */
export function writtenCall(node: ASTNode): WrittenCall | undefined {
  if (node.op === 'call') return { name: node.args[0], receiver: undefined, args: node.args[1] };
  if (node.op === 'rcall') return { name: node.args[0], receiver: node.args[1], args: node.args[2] };
  return undefined;
}

/** True for `name.function(...)`. */
export function isOn(call: WrittenCall, namespace: string): boolean {
  return call.receiver?.op === 'id' && call.receiver.args === namespace;
}

/** A text in quotes. */
export function literalText(node: ASTNode | undefined): string | undefined {
  return node?.op === 'value' && typeof node.args === 'string' ? node.args : undefined;
}

/** The texts in quotes of a list, or the one that stands there instead of a list. */
export function literalTexts(node: ASTNode | undefined): readonly string[] {
  const items = node?.op === 'list' ? node.args : [node];
  return items.flatMap((item) => literalText(item) ?? []);
}
