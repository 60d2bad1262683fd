/** Conditions that can be answered before the arguments are known: those that ask about the session, the agent or the tool alone. */
import { conditionTree } from './conditions.ts';
import type { ForeseenInput, PolicyInput } from './policy.ts';
import { walkTree } from './tree.ts';

/** `session` without `calls()`: other calls are counted until the transaction. */
const KNOWN_VARIABLES: ReadonlySet<string> = new Set(['tool', 'server', 'agent', 'principal', 'session', 'mode']);
const KNOWN_METHODS: ReadonlySet<string> = new Set(['startsWith', 'endsWith', 'contains', 'size', 'matches']);

/** True when the answer is the same for every call of one tool in one session, as long as the session stays as it is. */
export function isKnownBeforeCalls(source: string): boolean {
  const tree = conditionTree(source);
  if (tree === undefined) return false;
  const unknown = walkTree(tree, (node) => {
    if (node.op === 'id') return !KNOWN_VARIABLES.has(node.args) || undefined;
    if (node.op === 'rcall') return !KNOWN_METHODS.has(node.args[0]) || undefined;
    return (node.op === 'call' && node.args[0] !== 'size') || undefined;
  });
  return unknown === undefined;
}

/** What such a condition is evaluated on. Reading what is not known yet is an error. */
export function inputBeforeCalls(known: ForeseenInput): PolicyInput {
  const unknown = (what: string): never => {
    throw new Error(`${what} is not known before the call`);
  };
  return {
    ...known,
    get args() {
      return unknown('args');
    },
    get findings() {
      return unknown('findings');
    },
    raw: () => unknown('raw'),
  };
}
