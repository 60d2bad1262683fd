/** Finds the rules whose tool patterns match, without trying all patterns on every call. */
import type { ToolRef } from '../call.ts';
import type { ToolPattern } from './patterns.ts';

/** Tools remembered per index. Names come from servers and models, so the memory must not grow with them. */
export const MAX_REMEMBERED_TOOLS = 1024;
/** Longer names are looked up each time instead of being remembered. */
const MAX_REMEMBERED_NAME_CHARS = 256;

export interface RuleIndex<Candidates> {
  find(tool: Pick<ToolRef, 'server' | 'name'>): Candidates;
  /** How many tools are remembered now. */
  readonly size: number;
}

interface Entry<Rule> {
  readonly rule: Rule;
  readonly patterns: readonly ToolPattern[];
}

/** @param select - turns the matching rules, in definition order, into what is remembered per tool. */
export function ruleIndex<Rule, Candidates>(
  entries: readonly Entry<Rule>[],
  select: (rules: readonly Rule[]) => Candidates,
): RuleIndex<Candidates> {
  const byName = new Map<string, number[]>();
  const byServer = new Map<string, number[]>();
  const wild: number[] = [];
  entries.forEach(({ patterns }, index) => {
    for (const bucket of new Set(patterns.map((pattern) => bucketOf(pattern, { byName, byServer, wild })))) bucket.push(index);
  });
  const remembered = new Map<string, Candidates>();

  const lookUp = (tool: Pick<ToolRef, 'server' | 'name'>): Candidates => {
    const near = new Set([...(byName.get(tool.name) ?? []), ...(byServer.get(tool.server ?? '') ?? []), ...wild]);
    // A name that holds a `/` may also be matched as `server/name`, so the buckets do not cover it.
    const indexes = tool.name.includes('/') ? entries.keys() : [...near].sort((left, right) => left - right);
    const rules: Rule[] = [];
    for (const index of indexes) {
      const entry = entries[index];
      if (entry?.patterns.some((pattern) => pattern.matches(tool))) rules.push(entry.rule);
    }
    return select(rules);
  };

  return {
    find(tool) {
      const server = tool.server ?? '';
      if (server.length + tool.name.length > MAX_REMEMBERED_NAME_CHARS) return lookUp(tool);
      const key = `${server.length}/${server}${tool.name}`;
      let candidates = remembered.get(key);
      if (candidates === undefined) {
        candidates = lookUp(tool);
        if (remembered.size >= MAX_REMEMBERED_TOOLS) remembered.delete(remembered.keys().next().value ?? '');
        remembered.set(key, candidates);
      }
      return candidates;
    },
    get size() {
      return remembered.size;
    },
  };
}

/** Where a pattern is looked for: under the one name it can match, the one server, or always. */
function bucketOf(
  pattern: ToolPattern,
  { byName, byServer, wild }: { readonly byName: Map<string, number[]>; readonly byServer: Map<string, number[]>; readonly wild: number[] },
): number[] {
  if (pattern.exactName !== undefined) return bucket(byName, pattern.exactName);
  return pattern.exactServer === undefined ? wild : bucket(byServer, pattern.exactServer);
}

function bucket(buckets: Map<string, number[]>, name: string): number[] {
  const known = buckets.get(name);
  if (known !== undefined) return known;
  const made: number[] = [];
  buckets.set(name, made);
  return made;
}
