/**
 * Counts the work of a condition where an agent decides how much there is: in the bodies of `all`, `exists`,
 * `exists_one`, `map` and `filter`. Three of them nested over a list of a thousand are a billion turns.
 *
 * Outside such a body every node runs at most once, and the rule's author wrote how many there are.
 */
import type { ASTNode } from '@marcbachmann/cel-js';
import { CHARS_PER_STEP, isExhausted, spend } from './evaluation.ts';
import { walkTree } from './tree.ts';

/** A turn costs a step per so many nodes of its body. */
const NODES_PER_STEP = 16;
/** An error that the next turn or an `||` takes up carries a stack, which takes as long as this many turns. */
const STEPS_PER_FAULT = 16;
/** Comparing costs a step per so many items and members, nested ones included. */
const ITEMS_PER_STEP = 4;

/** Call it once, after the tree is checked, which puts the handlers in place, and before it runs. */
export function meterTree(root: ASTNode): void {
  walkTree(root, (node, { isInBody }) => {
    // The declared type leaves these members out. A version without them fails here, at load, not open.
    const live = node as unknown as LiveNode;
    const { macro, alternate } = live.meta;
    if (alternate?.op === 'comprehension') {
      meterRange(alternate);
      meterTurns(alternate.args.step, node);
      endWhenExhausted(alternate);
    } else if (isInBody && macro === undefined && alternate === undefined) meterOperands(live);
    if (isInBody && (node.op === '||' || node.op === '&&')) meterFaults(node.args[0] as unknown as LiveNode);
    return undefined;
  });
}

type Evaluate = (evaluator: unknown, node: unknown, context: unknown) => unknown;
type Handle = (...operands: readonly unknown[]) => unknown;
interface LiveNode {
  readonly op: string;
  handle: Handle;
  readonly meta: {
    readonly evaluate: Evaluate;
    readonly macro?: unknown;
    readonly alternate?: Comprehension;
  };
  setMeta(key: 'evaluate', value: Evaluate): unknown;
}

interface Comprehension {
  readonly op: string;
  readonly args: { readonly step: LiveNode; condition?: (soFar: unknown) => boolean };
  handle: Handle;
}

/** The keys of a map are copied before the first turn, and the first turn may be the last. */
function meterRange(comprehension: Comprehension): void {
  const { handle } = comprehension;
  comprehension.handle = (range, ...rest) => {
    if (range instanceof Map) spend(range.size / ITEMS_PER_STEP);
    return handle(range, ...rest);
  };
}

function meterTurns(step: LiveNode, call: ASTNode): void {
  let nodes = 0;
  walkTree(call, () => {
    nodes++;
    return undefined;
  });
  const cost = Math.max(1, nodes / NODES_PER_STEP);
  const { evaluate } = step.meta;
  step.setMeta('evaluate', (evaluator, self, context) => {
    spend(cost);
    return evaluate(evaluator, self, context);
  });
  meterFaults(step);
}

/** Of a comprehension or `has` this is not read; turns count the faults of the one, and the other gives none of its own. */
function meterFaults(node: LiveNode): void {
  const { evaluate } = node.meta;
  node.setMeta('evaluate', (evaluator, self, context) => {
    try {
      return evaluate(evaluator, self, context);
    } catch (error) {
      spend(STEPS_PER_FAULT);
      throw error;
    }
  });
}

/**
 * `all` and `exists` go on after a turn that throws. Without steps every further turn would: over a list of 200,000 items
 * that takes a second for each loop around. What such a loop answers does not matter, the condition has no answer any more.
 */
function endWhenExhausted({ args }: Comprehension): void {
  const { condition } = args;
  if (condition !== undefined) args.condition = (soFar) => !isExhausted() && condition(soFar);
}

const BINARY: ReadonlySet<string> = new Set(['==', '!=', '<', '<=', '>', '>=', '+', 'in']);

/** What reads its operands from end to end costs by their size, not one step. */
function meterOperands(node: LiveNode): void {
  const { handle } = node;
  if (BINARY.has(node.op)) {
    node.handle = (left, right, ...rest) => {
      spend(weight(left) + weight(right));
      return handle(left, right, ...rest);
    };
  } else if (node.op === 'call' || node.op === 'rcall') {
    node.handle = (operands, ...rest) => {
      for (const operand of operands as readonly unknown[]) if (typeof operand === 'string') spend(operand.length / CHARS_PER_STEP);
      return handle(operands, ...rest);
    };
  }
}

const weights = new WeakMap<object, number>();

/** Steps that reading a value to its end costs. Counted once for each list and map of the arguments. */
function weight(value: unknown): number {
  if (typeof value === 'string') return value.length / CHARS_PER_STEP;
  if (typeof value !== 'object' || value === null) return 0;
  let counted = weights.get(value);
  if (counted === undefined) {
    counted = 0;
    // Depth is bounded where arguments become values of a condition; iterating a map gives pairs.
    if (Symbol.iterator in value) for (const item of value as Iterable<unknown>) counted += weight(item) + 1 / ITEMS_PER_STEP;
    weights.set(value, counted);
  }
  return counted;
}
